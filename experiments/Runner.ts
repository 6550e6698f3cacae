/** Cells run once: what a cell leaves lies under `runs/cells/<id>/`, and a cell that was cut off goes on where it stopped. */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { Failure, Files } from "@adafm/core"
import { Image } from "@adafm/data"
import type { Engine } from "@adafm/engine"
import { ModelFolder, RunFolder } from "@adafm/gan"
import { Model, Sample, Scores, Transfer } from "@adafm/job"
import { z } from "zod"
import * as Cell from "./Cell.ts"
import * as Operation from "./Operation.ts"
import * as Target from "./Target.ts"

/** A cell and where its ingredients lie on this machine. */
export const Order = z.strictObject({
  id: z.string(),
  title: z.string(),
  cell: Cell.Cell,
  source: z.string(),
  places: z.strictObject({
    data: z.string(),
    train: z.array(z.string()),
    reference: z.string(),
    heldOut: z.array(z.string()),
  }),
})
export type Order = z.output<typeof Order>

export const Result = z.strictObject({
  id: z.string(),
  cell: Cell.Cell,
  /** Training alone, all calls together. */
  seconds: z.number(),
  size: z.number(),
  nf: z.number().nullable(),
  nfMax: z.number().nullable(),
  plan: z.record(z.string(), z.number()),
  /** Each with its provenance, as `evaluate` gives it. */
  metrics: z.record(z.string(), z.looseObject({ value: z.unknown(), label: z.string() })),
  engine: z.string(),
})
export type Result = z.output<typeof Result>

export const folderOf = (id: string): string => join("runs", "cells", id)
export const samplesOf = (id: string): string => join(folderOf(id), "samples.png")

/** What a finished cell left. */
export const read = async (id: string): Promise<Result | undefined> => {
  const file = join(folderOf(id), "result.json")
  return existsSync(file) ? Failure.orRaise(ModelFolder.readJson(Result, file)) : undefined
}

const SHOWN = 40

/** Images for people and scores for tables, of the averaged generator. */
const look = async ({ cell, places, id }: Order, run: string, engine: Engine): Promise<Result["metrics"]> => {
  const model = await Failure.orRaise(Model.open(run))
  const [size] = model.gan.image
  const generator = await Sample.open(model, engine)
  try {
    const shown = await generator.images(Sample.inputs(model.gan, cell.seed, [...Array(SHOWN).keys()]))
    const sheet = Image.sheet(Image.fromNchw(shown), { columns: 10, scale: size < 64 ? 2 : 1 })
    await Failure.orRaise(Image.writePng(samplesOf(id), sheet))
    return await Target.withHeldOut(places, async (reference) => {
      const scorer = await Scores.open(reference, { ...cell.score, size, seed: cell.seed })
      try {
        const report = await scorer.score(Sample.stream(generator, model.gan, { count: scorer.count, seed: cell.seed }))
        return JSON.parse(JSON.stringify(report.metrics)) as Result["metrics"]
      } finally {
        await scorer.close()
      }
    })
  } finally {
    await generator.dispose()
  }
}

/** Seconds of training, from the run's own record, so that a resumed run counts whole. */
const secondsOf = async (run: string): Promise<number> => {
  const lines = await Failure.orRaise(RunFolder.lines(run, "stats"))
  return lines.reduce((sum, line) => sum + Number(line.ms ?? 0), 0) / 1000
}

export interface Hooks {
  readonly onProgress?: (step: number, steps: number) => void
  readonly shouldStop?: () => boolean
}

/** Runs a cell, or goes on with it; nothing when it was asked to stop before its end. */
export const run = async (order: Order, engine: Engine, hooks: Hooks = {}): Promise<Result | undefined> => {
  const done = await read(order.id)
  if (done !== undefined) return done
  const { cell, places, id } = order
  const { surgery, schedule, seed } = cell
  const folder = folderOf(id)
  await Failure.orRaise(Files.write(join(folder, "order.json"), `${JSON.stringify(order, null, 2)}\n`))
  const source = await Failure.orRaise(Model.open(order.source))
  const unfreezeAt = schedule.unfreezeAt ?? Math.floor(schedule.steps / 6)
  const run = join(folder, "run")
  const outcome = await Failure.orRaise(
    Transfer.run(
      {
        source: await Operation.sourceFor(source, surgery, seed, folder),
        plan: Operation.plan(surgery, source.description.config, unfreezeAt),
        head: surgery.head,
        ...{ data: places.data, names: places.train, seed, out: run },
        ...{ steps: schedule.steps, batch: schedule.batch, learningRate: schedule.learningRate },
        ...(schedule.penalty !== undefined && { penalty: { weight: schedule.penalty } }),
        every: Math.max(1, Math.min(schedule.steps, 1000)),
        scoreCount: 0,
        scoreStart: false,
        onProgress: ({ step, steps }) => hooks.onProgress?.(step, steps),
        ...(hooks.shouldStop !== undefined && { shouldStop: hooks.shouldStop }),
      },
      engine,
    ),
  )
  if (outcome.steps < schedule.steps) return undefined
  const { config } = source.description
  const result: Result = {
    id,
    cell,
    metrics: await look(order, run, engine),
    seconds: await secondsOf(run),
    size: source.gan.image[0],
    nf: "nf" in config ? config.nf : null,
    nfMax: "nf_max" in config ? (config.nf_max ?? 16 * config.nf) : null,
    plan: { ...outcome.plan },
    engine: engine.provider === undefined ? engine.name : `${engine.name}/${engine.provider}`,
  }
  await Failure.orRaise(Files.write(join(folder, "result.json"), `${JSON.stringify(result, null, 2)}\n`))
  return result
}

/** The order that another process left in a cell's folder. */
export const readOrder = async (folder: string): Promise<Order> =>
  Order.parse(JSON.parse(await readFile(join(folder, "order.json"), "utf8")))
