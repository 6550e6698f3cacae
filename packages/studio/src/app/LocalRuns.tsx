/** The runs in the folder of the computer that serves the page: listed, followed while they train, opened to play. */
import { useSignal } from "@preact/signals"
import { useEffect } from "preact/hooks"
import type { Line } from "../protocol/Protocol.ts"
import { Curve } from "./Curve.tsx"
import * as Store from "./Store.ts"

interface Listed {
  readonly name: string
  readonly files: readonly string[]
  /** Milliseconds since 1970. */
  readonly changed: number
}

const API = "api/runs"

const json = async <A,>(address: string): Promise<A | undefined> => {
  const response = await fetch(address).catch(() => undefined)
  const isJson = response?.ok === true && response.headers.get("content-type")?.startsWith("application/json")
  return isJson ? ((await response.json()) as A) : undefined
}

const fileOf = (run: string, file: string): string => `${API}/${encodeURIComponent(run)}/${file}`

const linesOf = async (run: string, name: string): Promise<readonly Line[]> => {
  const response = await fetch(fileOf(run, `${name}.jsonl`)).catch(() => undefined)
  if (response?.ok !== true) return []
  const text = await response.text()
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line)
}

/** Milliseconds between two looks at the folder. */
const PACE = 2000
/** A run whose statistics did not change for so long (milliseconds) is not training. */
const QUIET = 60_000
const POINTS = 500

const gridsOf = ({ files }: Listed): readonly string[] => files.filter((file) => file.startsWith("samples-")).sort()

const Followed = ({ run }: { readonly run: Listed }) => {
  const stats = useSignal<readonly Line[]>([])
  useEffect(() => {
    const look = async (): Promise<void> => {
      stats.value = await linesOf(run.name, "stats")
    }
    void look()
    const timer = setInterval(look, PACE)
    return () => clearInterval(timer)
  }, [run.name])
  const grid = gridsOf(run).at(-1)
  const every = Math.ceil(stats.value.length / POINTS)
  const shown = stats.value.filter((_, i) => i % every === 0)
  const ms = Number(stats.value.at(-1)?.ms ?? 0)
  return (
    <>
      {grid === undefined ? null : (
        <img class="grid-file" src={fileOf(run.name, grid)} alt={`Newest pictures of ${run.name}`} />
      )}
      <p class="quiet">
        {stats.value.length === 0 ? "No step yet." : `${Number(stats.value.at(-1)!.step) + 1} steps, ${ms} ms each`}
      </p>
      <Curve
        title="Losses"
        label="loss"
        lines={shown}
        columns={[
          ["g_loss", "generator"],
          ["d_loss", "discriminator"],
        ]}
      />
    </>
  )
}

/** Copies a run into this browser, where Play opens it. */
const bring = (run: Listed): Promise<void> =>
  Store.doing(`reading ${run.name}`, async () => {
    const files = await Promise.all(
      run.files.map(async (name) => {
        const response = await fetch(fileOf(run.name, name))
        return new File([await response.blob()], `${run.name}/${name}`)
      }),
    )
    const found = await Store.bringRun(files)
    Store.toPlay.value = found.job.run
    Store.view.value = "play"
  })

export const LocalRuns = () => {
  const runs = useSignal<readonly Listed[] | undefined>(undefined)
  const followed = useSignal<string | undefined>(undefined)
  useEffect(() => {
    const look = async (): Promise<void> => {
      runs.value = await json<readonly Listed[]>(API)
    }
    void look()
    const timer = setInterval(look, PACE)
    return () => clearInterval(timer)
  }, [])
  if (runs.value === undefined) return null
  const now = Date.now()
  return (
    <section aria-labelledby="local">
      <h2 id="local">Runs of this computer</h2>
      {runs.value.length === 0 ? (
        <p class="quiet">The folder has no runs yet. `adafm transfer` writes them, and so does "Train with adafm".</p>
      ) : null}
      <ul class="runs">
        {runs.value.map((run) => (
          <li key={run.name}>
            <h3>{run.name}</h3>
            <p class="quiet">
              {now - run.changed < QUIET ? "changed in the last minute" : new Date(run.changed).toLocaleString()}
            </p>
            <p class="buttons">
              <button
                type="button"
                aria-pressed={followed.value === run.name}
                onClick={() => {
                  followed.value = followed.value === run.name ? undefined : run.name
                }}
              >
                {followed.value === run.name ? "Close" : "Follow"}
              </button>
              <button
                type="button"
                disabled={!run.files.some((file) => file.startsWith("checkpoints/")) || Store.busy.value !== undefined}
                onClick={() => void bring(run)}
              >
                Play
              </button>
            </p>
            {followed.value === run.name ? <Followed run={run} /> : null}
          </li>
        ))}
      </ul>
    </section>
  )
}
