/** Compares engines on the same work: each runs in its own process, an iteration each in turn, so that a slow minute slows all of them. */
import { type ChildProcess, fork } from "node:child_process"
import { availableParallelism, cpus, totalmem } from "node:os"
import { dirname, extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure } from "@adafm/core"
import type { Engine } from "@adafm/engine"
import { Session } from "@adafm/onnx"
import type * as TE from "fp-ts/lib/TaskEither.js"
import type { Message, Order } from "./BenchWorker.ts"
import * as ExternalProgram from "./ExternalProgram.ts"
import * as Workload from "./Workload.ts"

export interface Options extends Omit<Workload.Workload, "variant"> {
  readonly variants: readonly Workload.Workload["variant"][]
  readonly engines: readonly Engine["name"][]
  readonly provider?: string
  readonly threads?: number
  /** Iterations before the timed ones; none on the `cpu` engine. */
  readonly warmup: number
  /** Iterations that are timed; one on the `cpu` engine. */
  readonly iterations: number
  /** Iterations in one call of the onnx engine, by default as many as in training; times are those of one iteration. */
  readonly stepsPerCall?: number
  /** Processes of each engine that run at the same time; images per second are the sum of all of them. */
  readonly copies?: number
  /** The command of another program that runs the same work, in turns with the engines. */
  readonly against?: string
  readonly onNote?: (line: string) => void
}

export interface Result {
  /** An engine, or the name of the program of `against`. */
  readonly engine: string
  readonly provider: string | null
  readonly variant: Workload.Workload["variant"]
  /** Time of the generator's step with its moving average, and of the discriminator's; null where one program does both. */
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

interface Runner {
  readonly name: string
  readonly provider: string | null
  readonly compileMs: number
  /** Whether one iteration must do. */
  readonly slow: boolean
  readonly run: () => Promise<{ readonly ms: number; readonly peakRssMb: number }>
  readonly stop: () => void
}

const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The next message, of this kind; any other is a failure of the engine. */
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

const start = async (engine: Engine["name"], order: Order): Promise<Runner> => {
  const child = fork(worker, [JSON.stringify(order)], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  })
  try {
    const { provider, compileMs } = await next(child, engine, "ready")
    return {
      name: engine,
      provider,
      compileMs,
      slow: engine === "cpu",
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

const compared = async (command: string, workload: Workload.Workload, threads: number): Promise<Runner> => ({
  ...(await ExternalProgram.start(command, { ...workload, threads })),
  provider: null,
  compileMs: 0,
  slow: false,
})

/** Several runners of the same work as one: they run at the same time; the slowest time and the memory of one count. */
const together = ([first, ...others]: readonly Runner[]): Runner =>
  others.length === 0
    ? first!
    : {
        ...first!,
        name: `${1 + others.length} × ${first!.name}`,
        run: async () => {
          const all = await Promise.all([first!, ...others].map((runner) => runner.run()))
          return { ms: Math.max(...all.map(({ ms }) => ms)), peakRssMb: all[0]!.peakRssMb }
        },
      }

/** Times all engines on one variant, an iteration each in turn. */
const compare = async (variant: Result["variant"], options: Options): Promise<readonly Result[]> => {
  const { engines, provider, threads, warmup, iterations, onNote, mode, size, nf, nfMax, batch, seed } = options
  const { stepsPerCall, copies = 1, against } = options
  const workload = { variant, mode, size, nf, batch, seed, ...(nfMax !== undefined && { nfMax }) }
  const order = (engine: Engine["name"]): Order => ({
    workload,
    choice: { engine, threads, ...(engine === "onnx" && { provider }) },
    ...(stepsPerCall !== undefined && { stepsPerCall }),
  })
  const all: Runner[] = []
  const keep = async (starting: Promise<Runner>): Promise<Runner> => {
    const runner = await starting
    all.push(runner)
    return runner
  }
  const runners: Runner[] = []
  try {
    for (const engine of engines) {
      const same: Runner[] = []
      for (let copy = 0; copy < copies; copy++) same.push(await keep(start(engine, order(engine))))
      const runner = together(same)
      onNote?.(`${variant}: ${runner.name} is ready after ${(runner.compileMs / 1000).toFixed(1)} s`)
      runners.push(runner)
    }
    if (against !== undefined) runners.push(await keep(compared(against, workload, threads ?? Session.defaultThreads)))
    const times = runners.map((): number[] => [])
    const peaks = runners.map(() => 0)
    for (let round = -warmup; round < iterations; round++)
      for (const [k, runner] of runners.entries()) {
        if (runner.slow && round !== 0) continue
        const { ms, peakRssMb } = await runner.run()
        peaks[k] = peakRssMb
        if (round < 0) continue
        times[k]!.push(ms)
        onNote?.(`${variant}: ${runner.name} ${ms.toFixed(0)} ms`)
      }
    return runners.map(({ name, provider, compileMs }, k): Result => {
      const total_ms = median(times[k]!)
      return {
        engine: name,
        provider,
        variant,
        g_ms: null,
        d_ms: null,
        total_ms,
        images_per_s: ((k < engines.length ? copies : 1) * 1000 * batch) / total_ms,
        peak_rss_mb: Math.round(peaks[k]!),
        compile_ms: compileMs,
        runs_ms: times[k]!,
      }
    })
  } finally {
    for (const { stop } of all) stop()
  }
}

const machine = async ({ threads }: Options): Promise<Machine> => ({
  cpu: cpus()[0]?.model.trim() ?? "unknown",
  cores: availableParallelism(),
  threads: threads ?? Session.defaultThreads,
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
        Failure.raise("WrongSize", `--size ${size} is too small for --variant ${variant}`)
    const results: Result[] = []
    for (const variant of variants) results.push(...(await compare(variant, options)))
    return {
      results,
      machine: await machine(options),
      workload: { mode, size, nf, batch, seed, ...(nfMax !== undefined && { nfMax }) },
    }
  })
