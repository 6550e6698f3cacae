/**
 * Trainings run once: what one leaves lies under `runs/trainings/<name>/`. One that was cut off goes on at its last checkpoint;
 * a modulation goes on from the run without it, at the step where it begins.
 */
import { existsSync } from "node:fs"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { Modulate } from "@adafm/adafm"
import { Failure, Files, Flat, Layout, Leaf, Lock, type NdArray } from "@adafm/core"
import type { Arrays, Engine } from "@adafm/engine"
import { type Gan, ModelFolder, RunFolder, State, type Step } from "@adafm/gan"
import { Model, RunConfig, Transfer } from "@adafm/job"
import type { Plan } from "@adafm/transfer"
import { z } from "zod"
import * as Cell from "../declare/Cell.ts"
import type * as TargetImages from "../material/TargetImages.ts"
import * as CellBank from "./CellBank.ts"
import * as CellSurgery from "./CellSurgery.ts"

/** A training, with the paths of its source and images on this machine. */
export interface Order {
  readonly training: Cell.Training
  readonly source: string
  readonly train: TargetImages.Place
  /** Steps between two checkpoints. All of them are kept until the run is scored. */
  readonly every: number
}

export interface Hooks {
  readonly onProgress?: (step: number, steps: number) => void
  readonly shouldStop?: () => boolean
}

export const folderOf = (training: Cell.Training): string => CellBank.own("trainings", Cell.id(training))
export const runOf = (training: Cell.Training): string => join(folderOf(training), "run")

const countsOf = (training: Cell.Training): string => join(folderOf(training), "plan.json")

/** How many parameters are copied, fresh, frozen, modulated, trained. */
export const counts = (training: Cell.Training): Promise<Record<string, number>> =>
  Failure.orThrow(ModelFolder.readJson(z.record(z.string(), z.number()), countsOf(training)))

const has = async (training: Cell.Training, step: number): Promise<boolean> =>
  existsSync(RunFolder.checkpointFile(runOf(training), step))

const planOf = ({ training }: Order, source: Model.Model): Plan.Plan =>
  CellSurgery.plan(training, source.description.config)

/** A network's modulation at its identity, in compute layout. */
const identity = (
  net: Step.Net,
  plan: Plan.Plan,
  gan: Gan.Gan,
  state: Arrays,
  seed: number,
): Flat.Flat<NdArray.NdArray<"float32">> => {
  const { leaves, start } = Modulate.make(
    plan.modulation,
    gan[net],
    CellSurgery.modulated(plan, gan, net),
    Modulate.transposed(gan, net),
  )
  return Flat.map(Flat.merge(Leaf.initAll(leaves, seed, net), start(State.network(state, net))), Layout.toCompute)
}

/** Copies the parent's checkpoints and statistics up to the step where the modulation begins, with the modulation at its identity. */
const seedFrom = async (order: Order, { parent, at }: Cell.Branch, source: Model.Model): Promise<void> => {
  const [from, to] = [runOf(parent), runOf(order.training)]
  const config = await Failure.orThrow(ModelFolder.readJson(RunConfig.RunConfig, join(from, "config.json")))
  const gan = ModelFolder.ganOf(config.model)
  const lines = await Failure.orThrow(RunFolder.lines(from, "stats"))
  const before = lines.filter(({ step }) => Number(step) < at)
  await Failure.orThrow(RunFolder.append(to, "stats", before))
  const plan = planOf(order, source)
  const steps = await Failure.orThrow(RunFolder.checkpoints(from))
  for (const step of steps.filter((step) => step <= at)) {
    const state = await Failure.orThrow(RunFolder.readCheckpoint(from, step))
    const of = (net: Step.Net) => identity(net, plan, gan, state, order.training.seed)
    const [g, d] = [of("generator"), of("discriminator")]
    const own = [Flat.prefix(g, "generator"), Flat.prefix(g, "generator_ema"), Flat.prefix(d, "discriminator")]
    await Failure.orThrow(RunFolder.writeCheckpoint(to, step, Flat.merge(state, ...own)))
  }
}

/** Trains until step `until`; returns false if it was asked to stop earlier. */
const train = async (order: Order, until: number, engine: Engine, hooks: Hooks): Promise<boolean> => {
  const { training, train: images } = order
  const { surgery, schedule, seed, conditional } = training
  const folder = folderOf(training)
  const note = { ...order, train: { ...images, names: images.names.length } }
  await Failure.orThrow(Files.write(join(folder, "training.json"), `${JSON.stringify(note, null, 2)}\n`))
  const source = await Failure.orThrow(Model.open(order.source))
  const branch = Cell.branch(training)
  const run = runOf(training)
  const begun = (await Failure.orThrow(RunFolder.checkpoints(run))).length > 0
  // the state to branch from must be a checkpoint that is kept
  if (branch !== undefined && !begun && branch.at % order.every === 0) {
    if (!(await ensure({ ...order, training: branch.parent }, branch.at, engine, hooks))) return false
    // a finished parent may have deleted that checkpoint: then this run trains from the start
    if (await has(branch.parent, branch.at)) await seedFrom(order, branch, source)
  }
  const outcome = await Failure.orThrow(
    Transfer.run(
      {
        source: source.path,
        surgery: CellSurgery.given(training),
        // the authors' constants may saturate on another source, and such a cell is there to show it
        ...(surgery.graft === "authors" && { maxSaturation: 1 }),
        data: images.path,
        names: images.names,
        seed,
        conditional,
        out: run,
        steps: until,
        batch: schedule.batch,
        learningRate: schedule.learningRate,
        modulationRate: schedule.modulationRate,
        augment: schedule.augment,
        ...(schedule.stabiliser !== undefined && { [schedule.stabiliser]: {} }),
        ...(schedule.constantEma === true && { constantEma: true }),
        penalty: { mode: schedule.penaltyMode, ...(schedule.penalty !== undefined && { weight: schedule.penalty }) },
        every: order.every,
        keepEvery: order.every,
        keepBytes: 0,
        scoreCount: 0,
        scoreStart: false,
        onProgress: ({ step }) => hooks.onProgress?.(step, until),
        ...(hooks.shouldStop !== undefined && { shouldStop: hooks.shouldStop }),
      },
      engine,
    ),
  )
  await Failure.orThrow(Files.write(countsOf(training), `${JSON.stringify(outcome.plan)}\n`))
  return outcome.steps >= until
}

/** Deletes all checkpoints but these and those that a branch begins from. */
export const prune = async (training: Cell.Training, kept: readonly number[]): Promise<void> => {
  for (const step of await Failure.orThrow(RunFolder.checkpoints(runOf(training))))
    if (step > Cell.sixth(training) && !kept.includes(step)) await rm(RunFolder.checkpointFile(runOf(training), step))
}

/** Trains until a checkpoint of step `until` exists, here or in another process; returns false if it was asked to stop earlier. */
export const ensure = async (order: Order, until: number, engine: Engine, hooks: Hooks = {}): Promise<boolean> => {
  const { training } = order
  if (await has(training, until)) return true
  return Lock.within(
    folderOf(training),
    () => train(order, until, engine, hooks),
    async () => ((await has(training, until)) ? true : hooks.shouldStop?.() === true ? false : undefined),
  )
}

export interface Times {
  /** Seconds of training up to a step, from the run's log, so that a resumed run is counted in full. */
  readonly at: (step: number) => number
  /** Median, ms: what a step takes when nothing else runs. */
  readonly perStep: number
}

export const times = async (training: Cell.Training): Promise<Times> => {
  const lines = await Failure.orThrow(RunFolder.lines(runOf(training), "stats"))
  const ms = lines.map((line) => Number(line.ms ?? 0))
  const sorted = ms.toSorted((a, b) => a - b)
  return {
    at: (until) => lines.reduce((sum, { step }, i) => (Number(step) < until ? sum + ms[i]! : sum), 0) / 1000,
    perStep: sorted[sorted.length >> 1] ?? 0,
  }
}
