/**
 * The training loop: compiles the step of each phase, feeds it, writes the run folder. Everything random is keyed by
 * (seed, purpose, step) and everything else is in the checkpoint, so a resumed run equals an unbroken one to the bit.
 */
import { Failure, Flat, NdArray } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as E from "fp-ts/lib/Either.js"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as RunFolder from "../folders/RunFolder.ts"
import * as Latents from "../Latents.ts"
import * as State from "./State.ts"
import * as Step from "./Step.ts"

export type Stats = Readonly<Record<string, number>>

/** A look at a run between two steps. */
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
  /** Real images `x [B, H, W, C]` and, where there are classes, labels `y [B]` int32 for a step. */
  readonly batches: (step: number) => Promise<Engine.Arrays>
  /** Where to write; without it nothing is kept but the answer. */
  readonly folder?: string
  /** Written to `config.json`; a folder with another configuration is refused. */
  readonly config?: unknown
  /** Steps between two checkpoints; one is always written at the end. */
  readonly checkpointEvery?: number
  /** How many of the latest checkpoints stay. */
  readonly keepCheckpoints?: number
  /** Every such multiple of steps stays too. */
  readonly keepEvery?: number
  /** Steps in one call of the engine; by default as many as `perCall` answers. The bits do not depend on it. */
  readonly stepsPerCall?: number
  /** With the seconds that the step took, setting up not counted. */
  readonly onStats?: (step: number, stats: Stats, seconds: number) => void
  /** Called at every multiple of `checkpointEvery`, after the checkpoint is written, and at the end. */
  readonly onCheckpoint?: (snapshot: Snapshot) => Promise<void>
  /** Asked between calls of the engine: true stops the run cleanly, with a checkpoint. */
  readonly shouldStop?: () => boolean
}

export interface Outcome {
  /** Iterations done in total. */
  readonly step: number
  readonly state: Engine.Arrays
  /** Seconds spent in steps of this call. */
  readonly seconds: number
}

/** The state to begin with: the latest checkpoint, or the initial one. */
const start = async ({
  folder,
  setup,
  networks,
  config = {},
}: Job): Promise<{ step: number; state: Engine.Arrays }> => {
  if (folder !== undefined) {
    await Failure.orRaise(RunFolder.open(folder, config))
    const step = (await Failure.orRaise(RunFolder.checkpoints(folder))).at(-1)
    if (step !== undefined) return { step, state: await Failure.orRaise(RunFolder.readCheckpoint(folder, step)) }
  }
  return { step: 0, state: State.initial(setup, networks) }
}

/** All inputs of one step. */
export const batchAt = async (job: Pick<Job, "setup" | "seed" | "batches">, step: number): Promise<Engine.Arrays> => {
  const { gan, batchSize, extras } = job.setup
  const { x, y } = await job.batches(step)
  if (x === undefined) throw new Error("the source of batches gave no x")
  return Flat.merge<Engine.Arrays[string]>(
    { x },
    gan.labels > 1 && y !== undefined ? { y } : {},
    Latents.draw(gan, job.seed, "train", step, batchSize),
    Flat.map(Step.schedule(job.setup, step), NdArray.scalar),
    extras?.inputs?.(step) ?? {},
  )
}

/** In a call of several steps the state lies in memory once more; below this many bytes that costs less than handing it over each time. */
const LITTLE_STATE = 2 ** 27

/** Steps in one call: several where the state is small. */
export const perCall = (state: Engine.Arrays): number =>
  Object.values(state).reduce((sum, { data }) => sum + data.byteLength, 0) < LITTLE_STATE ? 8 : 1

/** A promise that is awaited later, if at all. */
const ahead = <A>(promise: Promise<A>): Promise<A> => {
  promise.catch(() => {})
  return promise
}

const numbers = (stats: Engine.Arrays): Stats => Flat.map(stats, ({ data }) => data[0]!)

/** Names what is no number any more, and the last checkpoint. */
const diverged = (path: string, what: string, { folder }: Job, checkpoint: number | undefined): never => {
  const last = checkpoint === undefined ? "there is no checkpoint" : `the last checkpoint is of step ${checkpoint}`
  return Failure.raise("Diverged", `${path} ${what}; ${last}`, {
    path,
    ...(folder !== undefined && {
      file: checkpoint === undefined ? folder : RunFolder.checkpointFile(folder, checkpoint),
    }),
  })
}

/** A step's stats when all of them are finite. */
const checked = (stats: Stats, step: number, job: Job, checkpoint: number | undefined): Stats => {
  const bad = Object.entries(stats).find(([, value]) => !Number.isFinite(value))
  return bad === undefined ? stats : diverged(bad[0], `is ${bad[1]} at step ${step}`, job, checkpoint)
}

/** The same of the state after a step: losses are those from before it. */
const sound = (state: Engine.Arrays, step: number, job: Job, checkpoint: number | undefined): Engine.Arrays => {
  const bad = Object.entries(state).find(([, array]) => !NdArray.allFinite(array))
  return bad === undefined ? state : diverged(bad[0], `is not finite after ${step} steps`, job, checkpoint)
}

const train = async (job: Job): Promise<Outcome> => {
  const { setup, engine, steps, folder, checkpointEvery = 1000, keepCheckpoints = 2, keepEvery = 0 } = job
  let { step, state } = await start(job)
  let milliseconds = 0
  let saved: number | undefined = folder !== undefined && step > 0 ? step : undefined
  const pending: RunFolder.Line[] = []

  const save = async (read: () => Promise<Engine.Arrays>): Promise<void> => {
    if (folder === undefined) return
    await Failure.orRaise(RunFolder.append(folder, "stats", pending.splice(0)))
    if (saved === step) return
    await Failure.orRaise(RunFolder.writeCheckpoint(folder, step, sound(await read(), step, job, saved)))
    await Failure.orRaise(RunFolder.prune(folder, keepCheckpoints, keepEvery))
    saved = step
  }

  let stopped = step >= steps
  while (!stopped) {
    const phases = Step.phases(setup)
    const phase = phases.filter((from) => from <= step).at(-1)!
    const end = Math.min(steps, phases.find((from) => from > step) ?? steps)
    // a checkpoint of the very step at which a phase begins has no moments of that phase yet
    if (phase === step) state = State.enter(setup, state, step)
    const program = await engine.compile(Step.make(setup, step), State.specs(state, await batchAt(job, step)))
    const atOnce = job.stepsPerCall ?? perCall(state)
    /** Where a call that begins at a step ends: no checkpoint lies inside it. */
    const until = (from: number): number =>
      Math.min(end, from + atOnce, (Math.floor(from / checkpointEvery) + 1) * checkpointEvery)
    const batchesFrom = (from: number): Promise<readonly Engine.Arrays[]> =>
      Promise.all(Array.from({ length: until(from) - from }, (_, i) => batchAt(job, from + i)))
    try {
      program.write(state)
      state = {} // the program has it now: one copy less in memory
      const snapshot = (): Snapshot => ({
        step,
        state: () => program.read(),
        generator: async () => State.averagedGenerator(await program.read()),
      })
      let next = ahead(batchesFrom(step))
      while (step < end && !stopped) {
        const batches = await next
        const before = performance.now()
        const running =
          batches.length === 1 ? program.run(batches[0]!).then((stats) => [stats]) : program.runAll(batches)
        if (step + batches.length < end) next = ahead(batchesFrom(step + batches.length))
        const answered = await running
        const elapsed = performance.now() - before
        milliseconds += elapsed
        const ms = elapsed / batches.length
        for (const answer of answered) {
          const stats = checked(numbers(answer), step, job, saved)
          pending.push({ step, ...stats, ms: Math.round(ms) })
          job.onStats?.(step, stats, ms / 1000)
          step += 1
        }
        stopped = step >= steps || (job.shouldStop?.() ?? false)
        if (stopped || step % checkpointEvery === 0) {
          await save(snapshot().state)
          await job.onCheckpoint?.(snapshot())
        } else if (folder !== undefined && pending.length >= 100)
          await Failure.orRaise(RunFolder.append(folder, "stats", pending.splice(0)))
      }
      state = await program.read()
    } finally {
      if (folder !== undefined) await RunFolder.append(folder, "stats", pending.splice(0))()
      await program.dispose()
    }
  }
  return { step, state, seconds: milliseconds / 1000 }
}

/** Trains until `steps` iterations are done, counting those of an earlier call with the same folder. */
export const run =
  (job: Job): TE.TaskEither<Failure.Failure, Outcome> =>
  async () => {
    try {
      return E.right(await train(job))
    } catch (thrown) {
      return E.left(Failure.fromThrown(thrown))
    }
  }
