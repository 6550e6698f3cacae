/** What scores are to be read beside: photographs of the pool, and the source before it learned anything. */
import { Failure, Files } from "@adafm/core"
import type { Engine } from "@adafm/engine"
import { ModelFolder } from "@adafm/gan"
import { Model, Sample } from "@adafm/job"
import { Features } from "@adafm/metrics"
import { z } from "zod"
import * as Bank from "./Bank.ts"
import * as Cell from "./Cell.ts"
import * as Extractors from "./Extractors.ts"
import type { Order } from "./Runner.ts"
import * as Score from "./Score.ts"
import type * as Target from "./Target.ts"

export const Floor = z.strictObject({
  /** Images of the training pool against those that report: what a perfect generator would reach. */
  pool: z.record(z.string(), Score.Metric),
  /** The source's images, as they are. */
  source: z.record(z.string(), Score.Metric),
  /** Both through the cheap features of the curves, against the images that choose: KID. */
  curve: z.strictObject({ pool: z.number(), source: z.number() }),
})
export type Floor = z.output<typeof Floor>

type Pair<A> = { readonly pool: A; readonly source: A }

/** Features of the pool's images and of the source's own. */
const both = async <A>(
  { cell: { score }, source, places }: Order,
  name: string,
  engine: Engine,
  threads: number | undefined,
  body: (pair: Pair<Features.Features>, side: (place: Target.Place) => Promise<Features.Features>) => Promise<A>,
): Promise<A> => {
  const { count } = score
  const extractor = await Extractors.open(name, threads)
  const model = await Failure.orRaise(Model.open(source))
  const generator = await Sample.open(model, engine, 64)
  try {
    const size = model.gan.image[0]
    const side = (place: Target.Place): Promise<Features.Features> => Score.reference(place, extractor, { count, size })
    const batches = Sample.stream(generator, model.gan, { count, seed: 0 })
    const own = Features.of({ kind: "batches", name: "source", batches }, extractor, { count, size, seed: 0 })
    return await body({ pool: await side(places.floor), source: await Failure.orRaise(own) }, side)
  } finally {
    await generator.dispose()
    await extractor.close()
  }
}

const measure = async (order: Order, engine: Engine, threads: number | undefined): Promise<Floor> => {
  const { cell, places } = order
  const curve = await both(order, cell.score.curve, engine, threads, async ({ pool, source }, side) => {
    const choosing = await side(places.choosing)
    return { pool: await Score.kidOf(pool, choosing), source: await Score.kidOf(source, choosing) }
  })
  const first = await both(order, cell.score.extractor, engine, threads, async ({ pool, source }, side) => {
    const reporting = await side(places.reporting)
    return { pool: await Score.report(pool, { reporting }), source: await Score.report(source, { reporting }) }
  })
  const others: Pair<Record<string, Score.Metric>> = { pool: {}, source: {} }
  for (const name of cell.score.second)
    await both(order, name, engine, threads, async ({ pool, source }, side) => {
      const reporting = await side(places.reporting)
      others.pool[Score.secondOf(name)] = await Score.secondKid(pool, reporting)
      others.source[Score.secondOf(name)] = await Score.secondKid(source, reporting)
    })
  return { pool: { ...first.pool, ...others.pool }, source: { ...first.source, ...others.source }, curve }
}

const nameOf = ({ cell, places }: Order): string => {
  const { training, score, reporting } = cell
  return `${Cell.id({ source: training.source, reporting, score, floor: places.floor.sha256, size: 1 })}.json`
}

export const read = async (order: Order): Promise<Floor | undefined> => {
  const file = Bank.find("floors", nameOf(order))
  return file === undefined ? undefined : Failure.orRaise(ModelFolder.readJson(Floor, file))
}

export const publish = (bank: string, order: Order): Promise<void> => Bank.publish(bank, "floors", [[nameOf(order)]])

/** Once for each target, source and extractor. */
export const ensure = async (order: Order, engine: () => Promise<Engine>, threads?: number): Promise<Floor> => {
  const known = await read(order)
  if (known !== undefined) return known
  const found = await measure(order, await engine(), threads)
  await Failure.orRaise(Files.write(Bank.own("floors", nameOf(order)), `${JSON.stringify(found, null, 2)}\n`))
  return found
}
