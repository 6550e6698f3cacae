/** Scores of a class-conditional generator: KID of each class, and how often its images are recognised as their class. */
import { Failure, Flat, NdArray } from "@adafm/core"
import { type ImageSet, Subset } from "@adafm/data"
import type { Arrays } from "@adafm/engine"
import { type Model, ReferenceFeatures, Sampler } from "@adafm/job"
import { type Extractor, FeatureSet, Kid, type Matrix } from "@adafm/metrics"
import * as TargetImages from "../material/TargetImages.ts"
import type { Metric } from "./Metric.ts"

/** Images of each class, generated and real. */
const PER_CLASS = 100
const BATCH = 50

/** Generated images of one class. */
async function* ofClass(
  generator: Sampler.Generator,
  gan: Model.Model["gan"],
  label: number,
): AsyncGenerator<NdArray.NdArray<"float32">> {
  for (let from = 0; from < PER_CLASS; from += BATCH) {
    const numbers = Array.from({ length: BATCH }, (_, i) => label * PER_CLASS + from + i)
    const drawn = Sampler.inputs(gan, 0, numbers, "score")
    const y = NdArray.int32([BATCH], Array<number>(BATCH).fill(label))
    yield await generator.images(Flat.merge<Arrays[string]>(drawn, { y }))
  }
}

/** Features of each class of a place's images. */
const byClass = (
  place: TargetImages.Place,
  extractor: Extractor.Extractor,
  size: number,
): Promise<readonly Matrix.Matrix[]> =>
  TargetImages.withImages(place, async (set) => {
    const found: Matrix.Matrix[] = []
    for (const name of set.classes) {
      const own = Subset.take(Subset.ofClasses(set, [name]), { limit: PER_CLASS, seed: 0 })
      found.push((await ReferenceFeatures.features(own, extractor, { size, seed: 0 })).matrix)
    }
    return found
  })

const meanOf = ({ rows, cols, data }: Matrix.Matrix): Float64Array => {
  const mean = new Float64Array(cols)
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) mean[j]! += data[i * cols + j]! / rows
  return mean
}

/** Share of the rows whose nearest class mean is that of `label`. */
const recognised = ({ rows, cols, data }: Matrix.Matrix, label: number, means: readonly Float64Array[]): number => {
  let right = 0
  for (let i = 0; i < rows; i++) {
    const distances = means.map((mean) => mean.reduce((sum, m, j) => sum + (data[i * cols + j]! - m) ** 2, 0))
    if (distances.indexOf(Math.min(...distances)) === label) right++
  }
  return right / rows
}

const average = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length

export interface Inputs {
  readonly generator: Sampler.Generator
  readonly gan: Model.Model["gan"]
  readonly extractor: Extractor.Extractor
  readonly places: TargetImages.Places
}

/** `class-kid`, the mean over classes, and `agreement`, the share of images nearest to their own class mean of the training photographs. */
export const score = async ({ generator, gan, extractor, places }: Inputs): Promise<Record<string, Metric>> => {
  const size = gan.image[0]
  const real = await byClass(places.reporting, extractor, size)
  const means = (await byClass(places.train, extractor, size)).map(meanOf)
  const names = await TargetImages.withImages(places.reporting, async ({ classes }: ImageSet.ImageSet) => classes)
  const [kids, agreement, ceiling]: number[][] = [[], [], []]
  for (const [label, photographs] of real.entries()) {
    const batches = ofClass(generator, gan, label)
    const options = { count: PER_CLASS, size, seed: 0 }
    const { matrix } = await Failure.orThrow(
      FeatureSet.of({ kind: "batches", name: "generator", batches }, extractor, options),
    )
    kids!.push(await Kid.unbiased(matrix, photographs))
    agreement!.push(recognised(matrix, label, means))
    ceiling!.push(recognised(photographs, label, means))
  }
  const perClass = (values: readonly number[]) => Object.fromEntries(names.map((name, k) => [name, values[k]]))
  return {
    "class-kid": {
      value: average(kids!),
      label: `KID of each class, mean (${extractor.name})`,
      perClass: perClass(kids!),
      counts: { a: PER_CLASS, b: Math.min(...real.map(({ rows }) => rows)) },
    },
    agreement: {
      value: average(agreement!),
      label: `recognised as their class (nearest class mean, ${extractor.name})`,
      perClass: perClass(agreement!),
      photographs: average(ceiling!),
    },
  }
}
