/** Scores of a generator in training: the reference's features are made once, the same latents are scored every time. */
import { Failure, type NdArray } from "@adafm/core"
import { type ImageSet, Subset } from "@adafm/data"
import { Evaluate, Extractor } from "@adafm/metrics"
import * as References from "./References.ts"
import * as Weights from "./Weights.ts"

export interface Options {
  /** `inception-768`, …; the best that is found by default. */
  readonly extractor?: string
  /** Images of each side. */
  readonly count: number
  /** Centre crop and resize of the reference, in pixels. */
  readonly size: number
  readonly seed: number
  readonly metrics?: readonly Evaluate.Metric[]
}

export interface Scorer {
  readonly count: number
  readonly extractor: Extractor.Identity
  readonly score: (batches: AsyncIterable<NdArray.NdArray<"float32">>) => Promise<Evaluate.Report>
  readonly close: () => Promise<void>
}

/** A single image has no spread to compare. */
export const requireTwo = (found: number, file: string): void => {
  if (found < 2)
    Failure.raise(
      "TooFewImages",
      `scores need 2 images a side, found ${found}: name more with --reference, or none with --score-count 0`,
      { file },
    )
}

/** @param reference images to compare with; all classes in equal parts when it has more than `count` */
export const open = async (reference: ImageSet.ImageSet, options: Options): Promise<Scorer> => {
  const { size, seed, metrics = ["fid", "kid"] } = options
  const search = Weights.search()
  const name = options.extractor ?? Extractor.best(search)
  const extractor = await Failure.orRaise(Extractor.open({ name, ...search }))
  const set = Subset.take(reference, { limit: options.count, seed })
  const count = set.names.length
  const b = await References.features(set, extractor, { size, seed })
  requireTwo(b.matrix.rows, set.path)
  return {
    count,
    extractor,
    score: (batches) =>
      Failure.orRaise(
        Evaluate.evaluate({
          ...{ a: { kind: "batches", name: "generator", batches }, b, extractor, size, seed, metrics, count },
          bootstrap: 0,
        }),
      ),
    close: extractor.close,
  }
}
