/**
 * The training loop: compiles the step of each phase, feeds it with batches, writes the run folder. All random draws are keyed by
 * (seed, purpose, step) and everything else is in the checkpoint, so a resumed run equals an uninterrupted one bit for bit.
 */
import { Failure, Flat, NdArray } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as E from "fp-ts/lib/Either.js"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as RunFolder from "../folders/RunFolder.ts"
import * as Latents from "../Latents.ts"
import * as AveragedStatistics from "./AveragedStatistics.ts"
import * as State from "./State.ts"
import * as Step from "./Step.ts"

export type Stats = Readonly<Record<string, number>>

/** The state of a run between two steps. */
export interface Snapshot {
  /** Number of iterations done. */
  readonly step: number
  /** The averaged generator, in the file's layout, modulation parameters included. */
  readonly generator: () => Promise<State.Params>
  /** The whole state, in compute layout. */
  readonly state: () => Promise<Engine.Arrays>
}

export interface Job {
  readonly setup: Step.Setup
  readonly engine: Engine.Engine
  /** Initial parameters, in the file's layout, modulation parameters included. */
  readonly networks: State.Networks
  readonly steps: number
  readonly seed: number
  /** The real images `x [B, H, W, C]` of a step and, if there are classes, their labels `y [B]` int32. */
  readonly batches: (step: number) => Promise<Engine.Arrays>
  /** The run folder; without it nothing is written. */
  readonly folder?: string
  /** Written to `config.json`; a folder with another configuration is an error. */
  readonly config?: unknown
  /** Steps between two checkpoints; one is always written at the end. */
  readonly checkpointEvery?: number
  /** The checkpoints that are kept; the latest two by default. On a full disk only the latest are. */
  readonly keep?: RunFolder.Kept
  /** Steps in one call of the engine; by default `perCall` of the state. The results do not depend on it. */
  readonly stepsPerCall?: number
  /** Called after each step with its stats and its duration in seconds, without compilation. */
  readonly onStats?: (step: number, stats: Stats, seconds: number) => void
  /** Called at every multiple of `checkpointEvery`, after the checkpoint is written, and at the end. */
  readonly onCheckpoint?: (snapshot: Snapshot) => Promise<void>
  /** Receives what users should know of the checkpoint that is resumed. */
  readonly onNote?: ((line: string) => void) | undefined
  /** Called before the first call of the engine and between calls; `true` stops the run after a checkpoint. */
  readonly shouldStop?: () => boolean
}

export interface Outcome {
  /** Iterations done in total. */
  readonly step: number
  readonly state: Engine.Arrays
  /** Seconds spent in the steps of this call. */
  readonly seconds: number
}

/** The state to start from: the latest checkpoint, or the initial state. */
const start = async ({
  folder,
  setup,
  networks,
  config = {},
  onNote,
}: Job): Promise<{ step: number; state: Engine.Arrays }> => {
  if (folder !== undefined) {
    await Failure.orThrow(RunFolder.open(folder, config))
    const step = (await Failure.orThrow(RunFolder.checkpoints(folder))).at(-1)
    // an interrupted call may have logged steps after its last checkpoint, which are done again
    await Failure.orThrow(RunFolder.rewind(folder, "stats", (step ?? 0) - 1))
    if (step !== undefined)
      return { step, state: await Failure.orThrow(RunFolder.readCheckpoint(folder, step, onNote)) }
  }
  return { step: 0, state: State.initial(setup, networks) }
}

/** All inputs of one step. */
export const batchAt = async (job: Pick<Job, "setup" | "seed" | "batches">, step: number): Promise<Engine.Arrays> => {
  const { gan, batchSize, extras } = job.setup
  const { x, y } = await job.batches(step)
  if (x === undefined) throw new Error(`the batch of step ${step} has no images x`)
  return Flat.merge<Engine.Arrays[string]>(
    { x },
    gan.labels > 1 && y !== undefined ? { y } : {},
    Latents.draw(gan, job.seed, "train", step, batchSize),
    Flat.map(Step.schedule(job.setup, step), NdArray.scalar),
    extras?.inputs?.(step) ?? {},
  )
}

/** A call of several steps needs a second copy of the state. Below this many bytes the copy costs less than passing the state in each step. */
const SMALL_STATE = 2 ** 27

/** Number of steps in one call: several if the state is small. */
export const perCall = (state: Engine.Arrays): number =>
  Object.values(state).reduce((sum, { data }) => sum + data.byteLength, 0) < SMALL_STATE ? 8 : 1

/** A promise that may be awaited later or never: its rejection is not reported as unhandled. */
const ahead = <A>(promise: Promise<A>): Promise<A> => {
  promise.catch(() => {})
  return promise
}

const numbers = (stats: Engine.Arrays): Stats => Flat.map(stats, ({ data }) => data[0]!)

/** Fails with the path of what is not finite and the last checkpoint. */
const diverged = (path: string, what: string, { folder }: Job, checkpoint: number | undefined): never => {
  const last = checkpoint === undefined ? "there is no checkpoint" : `the last checkpoint is from step ${checkpoint}`
  return Failure.raise(
    "Diverged",
    `${path} ${what}; ${last}. Train with a smaller learning rate (--lr) or a larger penalty (--penalty)`,
    {
      path,
      ...(folder !== undefined && {
        file: checkpoint === undefined ? folder : RunFolder.checkpointFile(folder, checkpoint),
      }),
    },
  )
}

/** The stats of a step, if all of them are finite. */
const checked = (stats: Stats, step: number, job: Job, checkpoint: number | undefined): Stats => {
  const bad = Object.entries(stats).find(([, value]) => !Number.isFinite(value))
  return bad === undefined ? stats : diverged(bad[0], `is ${bad[1]} at step ${step}`, job, checkpoint)
}

/** The state after a step, if it is finite. The losses do not show this: they are computed before the update. */
const sound = (state: Engine.Arrays, step: number, job: Job, checkpoint: number | undefined): Engine.Arrays => {
  const bad = Object.entries(state).find(([, array]) => !NdArray.allFinite(array))
  return bad === undefined
    ? state
    : diverged(bad[0], `is not finite after ${step} ${step === 1 ? "step" : "steps"}`, job, checkpoint)
}

const train = async (job: Job): Promise<Outcome> => {
  const { setup, engine, steps, folder, checkpointEvery = 1000, keep = { last: 2 } } = job
  let { step, state } = await start(job)
  const statistics = AveragedStatistics.open(setup, engine, job.seed)
  let milliseconds = 0
  let saved: number | undefined = folder !== undefined && step > 0 ? step : undefined
  const pending: RunFolder.Line[] = []

  const save = async (read: () => Promise<Engine.Arrays>): Promise<void> => {
    if (folder === undefined) return
    await Failure.orThrow(RunFolder.append(folder, "stats", pending.splice(0)))
    if (saved === step) return
    const state = sound(await read(), step, job, saved)
    const written = await RunFolder.writeCheckpoint(folder, step, state)()
    if (E.isLeft(written)) {
      // earlier checkpoints give way to this one
      const { last, every = 0 } = keep
      const isFull = written.left._tag === "System.ENOSPC"
      if (!isFull || (await Failure.orThrow(RunFolder.prune(folder, { last, every }))) === 0)
        throw new Failure.Raised(written.left)
      await Failure.orThrow(RunFolder.writeCheckpoint(folder, step, state))
    }
    await Failure.orThrow(RunFolder.prune(folder, keep))
    saved = step
  }

  let stopped = step >= steps || (job.shouldStop?.() ?? false)
  while (!stopped) {
    const phases = Step.phases(setup)
    const phase = phases.filter((from) => from <= step).at(-1)!
    const end = Math.min(steps, phases.find((from) => from > step) ?? steps)
    // a checkpoint of the step at which a phase starts does not have the moments of that phase yet
    if (phase === step) state = State.enter(setup, state, step)
    const program = await engine.compile(Step.make(setup, step), State.specs(state, await batchAt(job, step)))
    const atOnce = job.stepsPerCall ?? perCall(state)
    /** The end of a call that starts at step `from`; there is no checkpoint inside a call. */
    const until = (from: number): number =>
      Math.min(end, from + atOnce, (Math.floor(from / checkpointEvery) + 1) * checkpointEvery)
    const batchesFrom = (from: number): Promise<readonly Engine.Arrays[]> =>
      Promise.all(Array.from({ length: until(from) - from }, (_, i) => batchAt(job, from + i)))
    try {
      program.write(state)
      state = {} // the program has a copy now; free this one
      const snapshot = (): Snapshot => {
        let measured: Promise<Engine.Arrays> | undefined
        const read = (): Promise<Engine.Arrays> => {
          measured ??= program.read().then(statistics.of)
          return measured
        }
        return { step, state: read, generator: async () => State.averagedGenerator(await read()) }
      }
      let next = ahead(batchesFrom(step))
      while (step < end && !stopped) {
        const batches = await next
        const before = performance.now()
        const running =
          batches.length === 1 ? program.run(batches[0]!).then((stats) => [stats]) : program.runAll(batches)
        if (step + batches.length < end) next = ahead(batchesFrom(step + batches.length))
        const all = await running
        const elapsed = performance.now() - before
        milliseconds += elapsed
        const ms = elapsed / batches.length
        for (const one of all) {
          const stats = checked(numbers(one), step, job, saved)
          pending.push({ step, ...stats, ms: Math.round(ms) })
          job.onStats?.(step, stats, ms / 1000)
          step += 1
        }
        stopped = step >= steps || (job.shouldStop?.() ?? false)
        if (stopped || step % checkpointEvery === 0) {
          const now = snapshot()
          await save(now.state)
          await job.onCheckpoint?.(now)
          if (stopped) state = await now.state()
        } else if (folder !== undefined && pending.length >= 100)
          await Failure.orThrow(RunFolder.append(folder, "stats", pending.splice(0)))
      }
      if (!stopped) state = await program.read()
    } finally {
      if (folder !== undefined) await RunFolder.append(folder, "stats", pending.splice(0))()
      await program.dispose()
      await statistics.dispose()
    }
  }
  return { step, state, seconds: milliseconds / 1000 }
}

/** Trains until `steps` iterations are done, including those of earlier calls with the same folder. */
export const run =
  (job: Job): TE.TaskEither<Failure.Failure, Outcome> =>
  async () => {
    try {
      return E.right(await train(job))
    } catch (thrown) {
      return E.left(Failure.fromThrown(thrown))
    }
  }
