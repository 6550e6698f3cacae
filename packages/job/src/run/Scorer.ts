/** Scores of a generator in training: the reference's features are made once, the same latents are scored every time. */
import { Failure, type NdArray } from "@adafm/core"
import { type ImageSet, Subset } from "@adafm/data"
import type { RunFolder } from "@adafm/gan"
import { Comparison, Extractor } from "@adafm/metrics"
import * as ReferenceFeatures from "./ReferenceFeatures.ts"
import * as WeightFolders from "./WeightFolders.ts"

export interface Options {
  /** `inception-768`, …; the best that is found by default. */
  readonly extractor?: string
  /** Images of each side. */
  readonly count: number
  /** Centre crop and resize of the reference, in pixels. */
  readonly size: number
  readonly seed: number
  readonly metrics?: readonly Comparison.Metric[]
}

/** What a line of scores says beside them. */
export interface About {
  /** Images of each side. */
  readonly count: number
  readonly extractor: string
  readonly extractorSha256: string
  readonly mode: string
  /** Of the images before the mode resizes them, in pixels. */
  readonly size: number
  /** Of the latents, and of the reference's images where it has more than `count`. */
  readonly seed: number
  readonly reference: string
  /** SHA-256 over names and contents of the reference's images that are used. */
  readonly referenceSha256: string
}

export type Line = RunFolder.Line

/** What two lines have in common when their scores compare. */
const COMMON = {
  extractor: "extractor",
  extractorSha256: "file of weights",
  mode: "mode",
  size: "size of images",
  count: "number of images",
  referenceSha256: "reference",
} as const satisfies Partial<Record<keyof About, string>>

/** Why two lines do not compare; what an older line does not say stands against nothing. */
export const differing = (a: Line, b: Line): readonly string[] =>
  Object.entries(COMMON).flatMap(([key, name]) =>
    a[key] === undefined || b[key] === undefined || a[key] === b[key] ? [] : [name],
  )

/** A report as a line: the values by their labels, what they compare with, and the SHA-256 of the samples' pixels. */
export const line = ({ metrics }: Comparison.Report, about: About): Line => {
  const scores = Object.values(metrics)
  const samples = scores[0]?.images.a
  return {
    ...Object.fromEntries(scores.map(({ label, value }) => [label, value as number])),
    ...about,
    ...(samples !== undefined && "sha256" in samples && { samplesSha256: samples.sha256 }),
  }
}

export interface Scorer {
  readonly count: number
  readonly extractor: Extractor.Identity
  readonly about: About
  readonly score: (batches: AsyncIterable<NdArray.NdArray<"float32">>) => Promise<Comparison.Report>
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
  const search = WeightFolders.search()
  const name = options.extractor ?? Extractor.best(search)
  const extractor = await Failure.orThrow(Extractor.open({ name, ...search }))
  const set = Subset.take(reference, { limit: options.count, seed })
  const count = set.names.length
  const b = await ReferenceFeatures.features(set, extractor, { size, seed })
  requireTwo(b.matrix.rows, set.path)
  return {
    count,
    extractor,
    about: {
      count,
      extractor: extractor.name,
      extractorSha256: extractor.sha256,
      mode: extractor.protocol.mode,
      size,
      seed,
      reference: set.path,
      referenceSha256: b.origin.sha256,
    },
    score: (batches) =>
      Failure.orThrow(
        Comparison.evaluate({
          a: { kind: "batches", name: "generator", batches },
          b,
          extractor,
          size,
          seed,
          metrics,
          count,
          bootstrap: 0,
        }),
      ),
    close: extractor.close,
  }
}
