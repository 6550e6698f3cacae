/** The trials of a campaign on disk, so that a campaign that was stopped goes on where it was. */
import { appendFile, mkdir, readFile, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import * as Verdict from "./Verdict.ts"

export interface Trial {
  /** The format, or what was done. */
  readonly row: string
  readonly number: number
  readonly verdict: Verdict.Verdict
  /** For faults: what was done and said. */
  readonly detail: string
}

export interface Ledger {
  readonly trials: readonly Trial[]
  readonly add: (trial: Trial) => Promise<void>
}

/** Opens `campaign.jsonl`; trials of another seed or version of the program are left out. @param key the seed and the version */
export const open = async (file: string, key: string): Promise<Ledger> => {
  await mkdir(dirname(file), { recursive: true })
  const lines = await readFile(file, "utf8").then(
    (text) => text.split("\n").slice(0, -1),
    () => [],
  )
  const goesOn = lines[0] === JSON.stringify({ key })
  if (!goesOn) await writeFile(file, `${JSON.stringify({ key })}\n`)
  const trials: Trial[] = goesOn ? lines.slice(1).map((line) => JSON.parse(line) as Trial) : []
  return {
    trials,
    add: async (trial) => {
      trials.push(trial)
      await appendFile(file, `${JSON.stringify(trial)}\n`)
    },
  }
}

const cell = (n: number): string => (n === 0 ? "" : n.toLocaleString("en"))

/** The table of `docs/reliability.md`. */
export const table = (trials: readonly Trial[]): string => {
  const rows = [...new Set(trials.map(({ row }) => row))]
  const faults = Verdict.ALL.filter(Verdict.isFault)
  const head = ["tried on", "trials", "refused by name", "harmless", "read as another value", ...faults]
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`
  const counted = (some: readonly Trial[], verdict: Verdict.Verdict): string =>
    cell(some.filter((trial) => trial.verdict === verdict).length)
  const body = [...rows, ""].map((row) => {
    const some = row === "" ? trials : trials.filter((trial) => trial.row === row)
    const columns = (["refused", "unchanged", "accepted", ...faults] as const).map((verdict) => counted(some, verdict))
    return line([row === "" ? "**all**" : row, cell(some.length), ...columns])
  })
  return [line(head), line(head.map((_, k) => (k === 0 ? "---" : "---:"))), ...body].join("\n")
}
