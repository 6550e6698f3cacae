/** Runs the unfinished cells, a few at a time: in this process, or each in its own. */
import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { Failure } from "@adafm/core"
import type { Engine } from "@adafm/engine"
import { Doctor } from "@adafm/job"
import * as Catalogue from "../declare/Catalogue.ts"
import * as CellRunner from "./CellRunner.ts"
import type { Entry } from "./ExperimentPlan.ts"

export interface Options {
  /** Number of processes. */
  readonly jobs: number
  /** Threads of each process. */
  readonly threads: number
  /** Execution provider of training and generation; scores are computed on the CPU. */
  readonly provider?: string | undefined
  /** Seconds after which no further cell starts. */
  readonly budget: number
  readonly onNote: (line: string) => void
  readonly shouldStop: () => boolean
}

/** The exit code of a child process. A request to stop is passed on once: a second signal would end it without a checkpoint. */
export const ended = async (child: ChildProcess, shouldStop: () => boolean): Promise<number | null> => {
  const watch = setInterval(() => {
    if (!shouldStop()) return
    clearInterval(watch)
    child.kill("SIGTERM")
  }, 500)
  try {
    return await new Promise((resolve, reject) => {
      child.on("error", reject).on("exit", resolve)
    })
  } finally {
    clearInterval(watch)
  }
}

/** Runs a cell in a child process. */
const apart = async (order: CellRunner.Order, { threads, provider, shouldStop }: Options): Promise<void> => {
  await CellRunner.write(order)
  const folder = CellRunner.folderOf(order.id)
  const worker = join(Catalogue.here, "worker.ts")
  const args = [
    "--import",
    import.meta.resolve("tsx"),
    worker,
    folder,
    String(threads),
    ...(provider ? [provider] : []),
  ]
  // a worker notices through the channel when this process ends
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] })
  const code = await ended(child, shouldStop)
  // no code: it was asked to stop before it handled signals
  const isStopped = code === null && shouldStop()
  if (code !== 0 && !isStopped)
    Failure.raise("CellFailed", `the process of cell ${order.id} ended with exit code ${code}`)
}

const text = (seconds: number): string =>
  seconds < 90
    ? `${Math.round(seconds)} s`
    : seconds < 5400
      ? `${Math.round(seconds / 60)} min`
      : `${(seconds / 3600).toFixed(1)} h`

const outcome = ({ metrics: { kid, accuracy }, chosen }: CellRunner.Result): string =>
  accuracy === undefined
    ? `KID ${Number(kid?.value).toPrecision(3)} at ${chosen}`
    : `accuracy ${Number(accuracy.value).toPrecision(3)}`

export interface Outcome {
  readonly failed: number
  /** Number of cells that were not started. */
  readonly left: number
}

/** The compiled engine, the only one that results are made with. */
export const engine = (choice: Pick<Options, "threads" | "provider">): Promise<Engine> =>
  Failure.orThrow(Doctor.engine({ ...choice, engine: "onnx" }))

/** An engine that opens on its first use. */
export const lazily = (choice: Pick<Options, "threads" | "provider">): (() => Promise<Engine>) => {
  let opened: Promise<Engine> | undefined
  return () => {
    opened ??= engine(choice)
    return opened
  }
}

/** Runs the entries in order. @param onDone called after every finished cell */
export const run = async (
  entries: readonly Entry[],
  options: Options,
  onDone: (entry: Entry, result: CellRunner.Result) => Promise<void>,
): Promise<Outcome> => {
  const { jobs, threads, budget, onNote, shouldStop } = options
  const queue = [...new Map(entries.map((entry) => [entry.order.id, entry])).values()]
  const total = queue.length
  const open = lazily(options)
  const began = performance.now()
  const since = (): number => (performance.now() - began) / 1000
  let [failed, finished] = [0, 0]
  const one = async ({ order }: Entry): Promise<CellRunner.Result | undefined> => {
    if (jobs === 1) return CellRunner.run(order, await open(), { threads, shouldStop })
    await apart(order, options)
    return CellRunner.read(order.id)
  }
  const lane = async (): Promise<void> => {
    while (queue.length > 0 && !shouldStop() && since() <= budget) {
      const entry = queue.shift()!
      const { id, title } = entry.order
      try {
        const result = await one(entry)
        if (result === undefined) continue
        finished++
        const left = (since() / finished) * (total - finished)
        onNote(
          `${id} ${title}: ${outcome(result)}; ` +
            `${text(result.seconds)} of training, ${text(result.scoringSeconds)} of scores; ${finished} of ${total}, about ${text(left)} left`,
        )
        await onDone(entry, result)
      } catch (thrown) {
        failed++
        const { message, file } = Failure.fromThrown(thrown)
        onNote(`${id} ${title}: failed, ${message}${file === undefined ? "" : ` (${file})`}`)
      }
    }
  }
  await Promise.all(Array.from({ length: jobs }, lane))
  return { failed, left: queue.length }
}
