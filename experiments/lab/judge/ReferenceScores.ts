/** Scores that every table shows for comparison: those of real photographs, and of the source before the transfer. */
import { Failure, Files } from "@adafm/core"
import type { Engine } from "@adafm/engine"
import { ModelFolder } from "@adafm/gan"
import { Model, Sampler } from "@adafm/job"
import type { FeatureSet } from "@adafm/metrics"
import { z } from "zod"
import * as Cell from "../declare/Cell.ts"
import * as FeatureExtractors from "../material/FeatureExtractors.ts"
import type * as TargetImages from "../material/TargetImages.ts"
import * as CellBank from "../run/CellBank.ts"
import type { Order } from "../run/CellRunner.ts"
import * as CheckpointScores from "./CheckpointScores.ts"
import { Metric } from "./Metric.ts"

export const References = z.strictObject({
  /** Photographs of the training pool against the images that report: what a perfect generator would reach. */
  pool: z.record(z.string(), Metric),
  /** The images of the untouched source. */
  source: z.record(z.string(), Metric),
  /** KID of both in the curves' cheap features, against the images that choose. */
  curve: z.strictObject({ pool: z.number(), source: z.number() }),
})
export type References = z.output<typeof References>

type Pair<A> = { readonly pool: A; readonly source: A }

/** Images of the untouched source. */
const sourceImages = async ({ cell, source }: Order, engine: Engine) => {
  const model = await Failure.orThrow(Model.open(source))
  const generator = await Sampler.open(model, engine, 64)
  try {
    return await CheckpointScores.scoredImages(generator, model.gan, cell.score.count)
  } finally {
    await generator.dispose()
  }
}

const measure = async (order: Order, engine: Engine, threads: number | undefined): Promise<References> => {
  const { score } = order.cell
  const { choosing, reporting, floor } = order.places
  const batches = await sourceImages(order, engine)
  const size = batches[0]!.shape[2]!
  /** Scores both sides in the features of an extractor, against a place's photographs. */
  const through = <A>(
    name: string,
    place: TargetImages.Place,
    judge: (images: FeatureSet.Features, photographs: FeatureSet.Features) => Promise<A>,
  ): Promise<Pair<A>> =>
    FeatureExtractors.using(name, threads, async (extractor) => {
      const of = (place: TargetImages.Place) =>
        CheckpointScores.reference(place, extractor, { count: score.count, size })
      const photographs = await of(place)
      const own = await CheckpointScores.featuresOf(batches, size, extractor, "source")
      return { pool: await judge(await of(floor), photographs), source: await judge(own, photographs) }
    })
  const curve = await through(score.curve, choosing, CheckpointScores.kidOf)
  const all = [await through(score.extractor, reporting, (a, reporting) => CheckpointScores.report(a, { reporting }))]
  for (const name of score.second)
    all.push(await through(name, reporting, (a, reporting) => CheckpointScores.secondKid(name, a, reporting)))
  const merged = (side: keyof Pair<unknown>): References["pool"] => Object.assign({}, ...all.map((pair) => pair[side]))
  return { pool: merged("pool"), source: merged("source"), curve }
}

const nameOf = ({ cell, places }: Order): string => {
  const { training, score, reporting } = cell
  return `${Cell.id({ source: training.source, reporting, score, floor: places.floor.sha256, size: 1 })}.json`
}

export const read = async (order: Order): Promise<References | undefined> => {
  const file = CellBank.find("floors", nameOf(order))
  return file === undefined ? undefined : Failure.orThrow(ModelFolder.readJson(References, file))
}

export const publish = (bank: string, order: Order): Promise<void> =>
  CellBank.publish(bank, "floors", [[nameOf(order)]])

/** Reads the scores, or computes them once for each target, source and extractor. */
export const ensure = async (order: Order, engine: () => Promise<Engine>, threads?: number): Promise<References> => {
  const known = await read(order)
  if (known !== undefined) return known
  const found = await measure(order, await engine(), threads)
  await Failure.orThrow(Files.write(CellBank.own("floors", nameOf(order)), `${JSON.stringify(found, null, 2)}\n`))
  return found
}
