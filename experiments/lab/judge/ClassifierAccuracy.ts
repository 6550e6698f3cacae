/** The accuracy of a cell's classifiers: prepares photographs and generated images and trains one classifier for each seed. */
import { Failure, NdArray } from "@adafm/core"
import { DecodeMany, Image, Resize, Subset } from "@adafm/data"
import type { Engine } from "@adafm/engine"
import { Model, Sampler } from "@adafm/job"
import type { Lesson } from "../declare/Cell.ts"
import * as TargetImages from "../material/TargetImages.ts"
import * as Classifier from "./Classifier.ts"
import type { Metric } from "./Metric.ts"

const BATCH = 50

/** At most `limit` images of a place, cropped and resized as for training a generator. */
const photographs = (
  place: TargetImages.Place,
  size: number,
  limit = Number.POSITIVE_INFINITY,
): Promise<Classifier.Labelled & { readonly classes: number }> =>
  TargetImages.withImages(place, async (whole) => {
    const set = limit < whole.names.length ? Subset.take(whole, { limit, seed: 0 }) : whole
    const found: { image: Image.Rgb; label: number }[] = []
    await Failure.orThrow(
      DecodeMany.forEach(set, ({ place: at, image }) => {
        found.push({ image: Resize.fit(image, size), label: set.labels[at]! })
      }),
    )
    return {
      images: found.map(({ image }) => image),
      labels: found.map(({ label }) => label),
      classes: set.classes.length,
    }
  })

/** `each` images of every class, from a class-conditional generator. */
const generated = async (run: string, step: number, each: number, engine: Engine): Promise<Classifier.Labelled> => {
  const model = await Failure.orThrow(Model.open(run, { checkpoint: step }))
  const generator = await Sampler.open(model, engine, BATCH)
  try {
    const [images, labels]: [Image.Rgb[], number[]] = [[], []]
    for (let label = 0; label < model.gan.labels; label++)
      for (let from = 0; from < each; from += BATCH) {
        const numbers = Array.from({ length: Math.min(BATCH, each - from) }, (_, i) => label * each + from + i)
        const y = NdArray.int32([numbers.length], Array<number>(numbers.length).fill(label))
        const made = await generator.images({ ...Sampler.inputs(model.gan, 0, numbers, "lesson"), y })
        images.push(...Image.fromNchw(made))
        for (const _ of numbers) labels.push(label)
      }
    return { images, labels }
  } finally {
    await generator.dispose()
  }
}

export interface Inputs {
  readonly lesson: Lesson
  readonly places: TargetImages.Places
  readonly size: number
  /** The largest number of photographs that choose, and of those that report. */
  readonly count: number
  /** The generator's run and step; not needed if the share is 0. */
  readonly from?: { readonly run: string; readonly step: number }
  readonly seed: number
  readonly engine: Engine
  readonly shouldStop?: () => boolean
}

/** 95 % of a normal distribution lie within 1.96 deviations. */
const Z95 = 1.96

const summary = (outcomes: readonly Classifier.Outcome[]): Metric => {
  const values = outcomes.map(({ test }) => test)
  const value = values.reduce((a, b) => a + b, 0) / values.length
  const spread = values.reduce((sum, v) => sum + (v - value) ** 2, 0) / Math.max(1, values.length - 1)
  const half = Z95 * Math.sqrt(spread / values.length)
  return {
    value,
    label: `accuracy on held-out photographs, mean of ${values.length} classifiers`,
    outcomes,
    interval: { low: value - half, high: value + half, level: 0.95 },
  }
}

/** The mean test accuracy over seeds; `undefined` if it was asked to stop. */
export const accuracy = async (inputs: Inputs): Promise<Metric | undefined> => {
  const { lesson, places, size, from, seed, engine } = inputs
  const { classes, ...real } = await photographs(places.train, size)
  const material = {
    real,
    classes,
    generated:
      from === undefined ? { images: [], labels: [] } : await generated(from.run, from.step, lesson.generated, engine),
    validation: await photographs(places.choosing, size, inputs.count),
    test: await photographs(places.reporting, size, inputs.count),
  }
  const outcomes: Classifier.Outcome[] = []
  for (let k = 0; k < lesson.seeds; k++) {
    if (inputs.shouldStop?.() === true) return undefined
    outcomes.push(await Classifier.train(material, lesson, lesson.seeds * seed + k, engine))
  }
  return summary(outcomes)
}
