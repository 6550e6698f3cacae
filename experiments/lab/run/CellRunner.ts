/** Runs a cell once: its files are under `runs/cells/<id>/`, and an interrupted cell continues where it stopped. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { Failure, Files } from "@adafm/core"
import type { Engine } from "@adafm/engine"
import { Gan, ModelFolder } from "@adafm/gan"
import { Model } from "@adafm/job"
import { z } from "zod"
import * as Catalogue from "../declare/Catalogue.ts"
import * as Cell from "../declare/Cell.ts"
import * as CheckpointScores from "../judge/CheckpointScores.ts"
import * as ClassifierAccuracy from "../judge/ClassifierAccuracy.ts"
import * as TargetImages from "../material/TargetImages.ts"
import * as CellBank from "./CellBank.ts"
import * as TrainingRun from "./TrainingRun.ts"

/** A cell, and the paths of its source and images on this machine. */
export const Order = z.strictObject({
  id: z.string(),
  title: z.string(),
  cell: Cell.Cell,
  source: z.string(),
  places: TargetImages.Places,
})
export type Order = z.output<typeof Order>

export const Result = z.strictObject({
  id: z.string(),
  cell: Cell.Cell,
  /** The name of its training, under `runs/trainings/`. */
  training: z.string(),
  /** Seconds of training, over all calls; for a branch they include its parent's. */
  seconds: z.number(),
  /** Median time of a training step. */
  msPerStep: z.number(),
  /** Seconds of everything after training. */
  scoringSeconds: z.number(),
  size: z.number(),
  nf: z.number().nullable(),
  nfMax: z.number().nullable(),
  plan: z.record(z.string(), z.number()),
  ...CheckpointScores.Scores.shape,
  engine: z.string(),
  /** Commit of the code; cells from before 28 November have none. */
  commit: z.string().nullable().optional(),
})
export type Result = z.output<typeof Result>

const RESULT = "result.json"

export const folderOf = (id: string): string => CellBank.own("cells", id)
/** Images of the chosen checkpoint, on this machine or in the bank. */
export const samplesOf = (id: string): string | undefined => CellBank.find("cells", id, CheckpointScores.SAMPLES)
export const learnedOf = (id: string): string | undefined => CellBank.find("cells", id, CheckpointScores.LEARNED)
export const walkOf = (id: string): string | undefined => CellBank.find("cells", id, CheckpointScores.WALK)
export const mixingOf = (id: string): string | undefined => CellBank.find("cells", id, CheckpointScores.MIXING)

/** The result of a finished cell, from this machine or the bank. */
export const read = async (id: string): Promise<Result | undefined> => {
  const file = CellBank.find("cells", id, RESULT)
  return file === undefined ? undefined : Failure.orThrow(ModelFolder.readJson(Result, file))
}

/** Copies a cell's files to the bank: its numbers, and images if a page shows them. */
export const publish = (
  bank: string,
  id: string,
  { pictures, analysed }: { readonly pictures: boolean; readonly analysed: boolean },
): Promise<void> =>
  CellBank.publish(
    bank,
    "cells",
    [
      RESULT,
      ...(pictures ? [CheckpointScores.SAMPLES, CheckpointScores.LEARNED] : []),
      ...(pictures && analysed ? [CheckpointScores.WALK, CheckpointScores.MIXING] : []),
    ].map((file) => [id, file]),
  )

export interface Hooks extends TrainingRun.Hooks {
  /** Threads of the feature extractors. */
  readonly threads?: number
}

const widths = (config: Gan.Config): Pick<Result, "nf" | "nfMax"> => ({
  nf: "nf" in config ? config.nf : null,
  nfMax: "nf_max" in config ? (config.nf_max ?? 16 * config.nf) : null,
})

/** The engine and its threads: the bits of a result depend on both. */
const named = ({ name, provider }: Engine, threads: number | undefined): string =>
  [
    provider === undefined ? name : `${name}/${provider}`,
    ...(threads === undefined ? [] : [`threads ${threads}`]),
  ].join(", ")

/** Trains a generator and scores it; `undefined` if it was asked to stop. */
const generator = async (order: Order, engine: Engine, hooks: Hooks): Promise<Result | undefined> => {
  const { cell, places, id } = order
  const { training, score } = cell
  const { steps } = training.schedule
  const every = Cell.every(training, score)
  const asked = { training, source: order.source, train: places.train, every }
  if (!(await TrainingRun.ensure(asked, steps, engine, hooks))) return undefined
  const began = performance.now()
  const { threads } = hooks
  const ask = { training, score, places, source: order.source, engine, folder: folderOf(id) }
  const scores = await CheckpointScores.of({ ...ask, ...(threads !== undefined && { threads }) })
  const { at, perStep } = await TrainingRun.times(training)
  const { gan, description } = await Failure.orThrow(Model.open(TrainingRun.runOf(training)))
  return {
    id,
    cell,
    training: Cell.id(training),
    seconds: at(steps),
    msPerStep: perStep,
    scoringSeconds: (performance.now() - began) / 1000,
    size: gan.image[0],
    ...widths(description.config),
    plan: await TrainingRun.counts(training),
    ...scores,
    engine: named(engine, threads),
  }
}

/** The cell that trains the generator of a lesson, which other experiments may have run. */
export const teacher = (order: Order): Order => {
  const { lesson: _, ...cell } = order.cell
  return { ...order, id: Cell.id(cell), cell }
}

/** Trains classifiers, on images of a generator that is trained first. */
const classifiers = async (
  order: Order,
  lesson: Cell.Lesson,
  engine: Engine,
  hooks: Hooks,
): Promise<Result | undefined> => {
  const { id, cell, places, source } = order
  const { training } = cell
  const made = lesson.share === 0 ? undefined : await run(teacher(order), engine, hooks)
  if (lesson.share > 0 && made === undefined) return undefined
  // a cell from the bank has its numbers here, but not its parameters
  const asked = { training, source, train: places.train, every: Cell.every(training, cell.score) }
  if (made !== undefined && !(await TrainingRun.ensure(asked, made.chosen, engine, hooks))) return undefined
  const began = performance.now()
  const { description } = await Failure.orThrow(Model.open(source))
  const size = Gan.of(description.config).image[0]
  const accuracy = await ClassifierAccuracy.accuracy({
    lesson,
    places,
    size,
    count: cell.score.count,
    seed: training.seed,
    engine,
    ...(made !== undefined && { from: { run: TrainingRun.runOf(training), step: made.chosen } }),
    ...(hooks.shouldStop !== undefined && { shouldStop: hooks.shouldStop }),
  })
  if (accuracy === undefined) return undefined
  const seconds = (performance.now() - began) / 1000
  const none = { curve: [], curveLabel: "", candidates: [], nearest: [], plan: {}, scoringSeconds: 0 }
  return {
    id,
    cell,
    training: Cell.id(training),
    size,
    ...widths(description.config),
    ...none,
    seconds,
    msPerStep: (1000 * seconds) / (lesson.steps * lesson.seeds),
    chosen: made?.chosen ?? 0,
    metrics: { accuracy },
    engine: named(engine, hooks.threads),
  }
}

/** Runs a cell or continues it; `undefined` if it was asked to stop before its end. */
export const run = async (order: Order, engine: Engine, hooks: Hooks = {}): Promise<Result | undefined> => {
  const done = await read(order.id)
  if (done !== undefined) return done
  const { cell, id } = order
  const { training, lesson } = cell
  const made = await (lesson === undefined
    ? generator(order, engine, hooks)
    : classifiers(order, lesson, engine, hooks))
  if (made === undefined) return undefined
  const result = { ...made, commit: await Catalogue.commit() }
  await Failure.orThrow(Files.write(join(folderOf(id), RESULT), `${JSON.stringify(result, null, 2)}\n`))
  const { steps } = training.schedule
  if (lesson === undefined) await TrainingRun.prune(training, [steps, result.chosen])
  return result
}

export const write = (order: Order): Promise<void> =>
  Failure.orThrow(Files.write(join(folderOf(order.id), "order.json"), `${JSON.stringify(order, null, 2)}\n`))

/** The order that another process wrote to a cell's folder. */
export const readOrder = async (folder: string): Promise<Order> =>
  Order.parse(JSON.parse(await readFile(join(folder, "order.json"), "utf8")))
