/** What scores are to be read beside: photographs of the pool, and the source before it learned anything. */
import { Failure, Files } from "@adafm/core"
import type { Engine } from "@adafm/engine"
import { ModelFolder } from "@adafm/gan"
import { Model, Sample } from "@adafm/job"
import type { Features } from "@adafm/metrics"
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

/** The source's own images, as they are. */
const sourceImages = async ({ cell, source }: Order, engine: Engine) => {
  const model = await Failure.orRaise(Model.open(source))
  const generator = await Sample.open(model, engine, 64)
  try {
    return await Score.scoredImages(generator, model.gan, cell.score.count)
  } finally {
    await generator.dispose()
  }
}

const measure = async (order: Order, engine: Engine, threads: number | undefined): Promise<Floor> => {
  const { score } = order.cell
  const { choosing, reporting, floor } = order.places
  const batches = await sourceImages(order, engine)
  const size = batches[0]!.shape[2]!
  /** Both sides through an extractor, judged beside a place's photographs. */
  const through = <A>(
    name: string,
    place: Target.Place,
    judge: (images: Features.Features, photographs: Features.Features) => Promise<A>,
  ): Promise<Pair<A>> =>
    Extractors.using(name, threads, async (extractor) => {
      const of = (place: Target.Place) => Score.reference(place, extractor, { count: score.count, size })
      const photographs = await of(place)
      const own = await Score.featuresOf(batches, size, extractor, "source")
      return { pool: await judge(await of(floor), photographs), source: await judge(own, photographs) }
    })
  const curve = await through(score.curve, choosing, Score.kidOf)
  const all = [await through(score.extractor, reporting, (a, reporting) => Score.report(a, { reporting }))]
  for (const name of score.second)
    all.push(await through(name, reporting, (a, reporting) => Score.secondKid(name, a, reporting)))
  const merged = (side: keyof Pair<unknown>): Floor["pool"] => Object.assign({}, ...all.map((pair) => pair[side]))
  return { pool: merged("pool"), source: merged("source"), curve }
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
