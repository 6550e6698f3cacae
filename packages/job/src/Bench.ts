/** Engines side by side on the same work: each in a process of its own, taking turns, so that a slow minute slows all of them. */
import { type ChildProcess, fork } from "node:child_process"
import { availableParallelism, cpus, totalmem } from "node:os"
import { dirname, extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure } from "@adafm/core"
import type { Engine } from "@adafm/engine"
import { Session } from "@adafm/onnx"
import type * as TE from "fp-ts/lib/TaskEither.js"
import type { Message, Order } from "./BenchWorker.ts"
import * as Workload from "./Workload.ts"

export interface Options extends Omit<Workload.Workload, "variant"> {
  readonly variants: readonly Workload.Workload["variant"][]
  readonly engines: readonly Engine["name"][]
  readonly provider?: string
  readonly threads?: number
  /** Iterations that are not counted; none on the `cpu` engine. */
  readonly warmup: number
  /** Iterations that are timed; one on the `cpu` engine. */
  readonly iterations: number
  readonly onNote?: (line: string) => void
}

export interface Result {
  readonly engine: Engine["name"]
  readonly provider: string | null
  readonly variant: Workload.Workload["variant"]
  /** Of the generator's step with its average, and of the discriminator's; null, because one program does both. */
  readonly g_ms: number | null
  readonly d_ms: number | null
  /** Median. */
  readonly total_ms: number
  readonly images_per_s: number
  readonly peak_rss_mb: number
  readonly compile_ms: number
  readonly runs_ms: readonly number[]
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly threads: number
  readonly memory_gb: number
  readonly platform: string
  readonly node: string
  readonly onnxruntime: string
}

export interface Outcome {
  readonly results: readonly Result[]
  readonly machine: Machine
  readonly workload: Omit<Workload.Workload, "variant">
}

interface Worker {
  readonly engine: Engine["name"]
  readonly ready: Extract<Message, { readonly kind: "ready" }>
  readonly run: () => Promise<Extract<Message, { readonly kind: "ran" }>>
  readonly stop: () => void
}

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The next message of a kind; anything else is a failure of that engine. */
const next = <K extends Message["kind"]>(
  child: ChildProcess,
  engine: string,
  kind: K,
): Promise<Extract<Message, { readonly kind: K }>> =>
  new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      child.off("message", onMessage).off("exit", onExit)
      act()
    }
    const fail = (reason: string): void =>
      settle(() => reject(new Failure.Raised(Failure.make("EngineFailed", `the ${engine} engine: ${reason}`))))
    const onMessage = (message: Message): void =>
      message.kind === kind
        ? settle(() => resolve(message as Extract<Message, { readonly kind: K }>))
        : fail(message.kind === "failed" ? message.reason : `unexpected ${message.kind}`)
    const onExit = (code: number | null, signal: string | null): void =>
      fail(`its process ended (${signal ?? `code ${code}`}); was there enough memory?`)
    child.on("message", onMessage).on("exit", onExit)
  })

const here = fileURLToPath(import.meta.url)
/** TypeScript in the repository, JavaScript in the published package. */
const worker = join(dirname(here), `BenchWorker${extname(here)}`)

const start = async (engine: Engine["name"], order: Order): Promise<Worker> => {
  const child = fork(worker, [JSON.stringify(order)], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  })
  try {
    return {
      engine,
      ready: await next(child, engine, "ready"),
      run: () => {
        const answer = next(child, engine, "ran")
        child.send({})
        return answer
      },
      stop: () => void child.kill(),
    }
  } catch (thrown) {
    child.kill()
    throw thrown
  }
}

/** All engines on one variant, an iteration each in turn. */
const compare = async (variant: Result["variant"], options: Options): Promise<readonly Result[]> => {
  const { engines, provider, threads, warmup, iterations, onNote, mode, size, nf, nfMax, batch, seed } = options
  const workload = { variant, mode, size, nf, batch, seed, ...(nfMax !== undefined && { nfMax }) }
  const workers: Worker[] = []
  try {
    for (const engine of engines) {
      const worker = await start(engine, {
        workload,
        choice: { engine, threads, ...(engine === "onnx" && { provider }) },
      })
      onNote?.(`${variant}: ${engine} is ready after ${(worker.ready.compileMs / 1000).toFixed(1)} s`)
      workers.push(worker)
    }
    const times = workers.map((): number[] => [])
    const peaks = workers.map(() => 0)
    for (let round = -warmup; round < iterations; round++)
      for (const [k, worker] of workers.entries()) {
        if (worker.engine === "cpu" && round !== 0) continue
        const { ms, peakRssMb } = await worker.run()
        peaks[k] = peakRssMb
        if (round < 0) continue
        times[k]!.push(ms)
        onNote?.(`${variant}: ${worker.engine} ${ms.toFixed(0)} ms`)
      }
    return workers.map(({ engine, ready }, k): Result => {
      const total_ms = median(times[k]!)
      return {
        ...{ engine, provider: ready.provider, variant, g_ms: null, d_ms: null, total_ms },
        images_per_s: (1000 * batch) / total_ms,
        peak_rss_mb: Math.round(peaks[k]!),
        compile_ms: ready.compileMs,
        runs_ms: times[k]!,
      }
    })
  } finally {
    for (const { stop } of workers) stop()
  }
}

const machine = async ({ threads }: Options): Promise<Machine> => ({
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: availableParallelism(),
  threads: threads ?? availableParallelism(),
  memory_gb: Math.round(totalmem() / 2 ** 30),
  platform: `${process.platform} ${process.arch}`,
  node: process.versions.node,
  onnxruntime: await Session.version().catch(() => "missing"),
})

export const run = (options: Options): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const { variants, mode, size, nf, nfMax, batch, seed } = options
    for (const variant of variants)
      if (!Workload.fits({ variant, size }))
        Failure.raise("WrongSize", `${size} px are too few for the variant ${variant}`)
    const results: Result[] = []
    for (const variant of variants) results.push(...(await compare(variant, options)))
    return {
      results,
      machine: await machine(options),
      workload: { mode, size, nf, batch, seed, ...(nfMax !== undefined && { nfMax }) },
    }
  })
