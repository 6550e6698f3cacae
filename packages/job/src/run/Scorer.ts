/** Scores a generator during training: the reference's features are computed once, and the same latents are scored every time. */

import { Failure, type NdArray } from "@adafm/core"
import { type ImageSet, Subset } from "@adafm/data"
import type { RunFolder } from "@adafm/gan"
import { Comparison, Extractor } from "@adafm/metrics"
import * as WeightFolders from "#run/WeightFolders"
import * as ReferenceFeatures from "./ReferenceFeatures.ts"

export interface Options extends ReferenceFeatures.Hooks {
  /** `inception-768`, …; by default the best one whose weights are found. */
  readonly extractor?: string
  /** Images of each side. */
  readonly count: number
  /** Centre crop and resize of the reference, in pixels. */
  readonly size: number
  /** Of the latents. */
  readonly seed: number
  /** Of the choice among more than `count` reference images; 0 by default, so that runs of several seeds are scored against the same ones. */
  readonly referenceSeed?: number
  readonly metrics?: readonly Comparison.Metric[]
}

/** What a line of `metric.jsonl` records besides the scores. */
export interface About {
  /** Images of each side. */
  readonly count: number
  readonly extractor: string
  readonly extractorSha256: string
  readonly mode: string
  /** Size of the images in pixels, before the mode resizes them. */
  readonly size: number
  /** Seed of the latents. */
  readonly seed: number
  /** Seed of the choice among more than `count` reference images; older lines have that of the latents. */
  readonly referenceSeed: number
  readonly reference: string
  /** SHA-256 over names and contents of the reference images that are used. */
  readonly referenceSha256: string
}

export type Line = RunFolder.Line

/** Scores are comparable if these are equal. */
const COMMON = {
  extractor: "extractor",
  extractorSha256: "extractor weights",
  mode: "mode",
  size: "image size",
  count: "number of images",
  referenceSha256: "reference images",
} as const satisfies Partial<Record<keyof About, string>>

/** Why the scores of two lines are not comparable; a value that an older line lacks is ignored. */
export const differing = (a: Line, b: Line): readonly string[] =>
  Object.entries(COMMON).flatMap(([key, name]) =>
    a[key] === undefined || b[key] === undefined || a[key] === b[key] ? [] : [name],
  )

/**
 * A report as a line of `metric.jsonl`: the values by short name (`fid`, `kid`) and the label of each, what they compare with, and the
 * SHA-256 of the samples' pixels.
 */
export const line = ({ metrics }: Comparison.Report, about: About): Line => {
  const scores = Object.entries(metrics)
  const samples = scores[0]?.[1].images.a
  return {
    ...Object.fromEntries(scores.map(([name, { value }]) => [name, value as number])),
    labels: Object.fromEntries(scores.map(([name, { label }]) => [name, label])),
    ...about,
    ...(samples !== undefined && "sha256" in samples && { samplesSha256: samples.sha256 }),
  }
}

export interface Value {
  /** `fid`, `kid`, … */
  readonly name: string
  /** `FID (inception-768)`, … */
  readonly label: string
  readonly value: number
}

/** The scores of a line of `metric.jsonl`; in runs of older versions the labels themselves are the keys. */
export const values = ({ labels, ...line }: Line): readonly Value[] =>
  Object.entries(typeof labels === "object" ? labels : {})
    .concat(Object.keys(line).flatMap((key) => (/^(FID|KID|IS)\b/.test(key) ? [[key, key]] : [])))
    .flatMap(([key, label]) => {
      const value = line[key]
      return typeof value === "number" ? [{ name: key.replace(/ \(.*/, "").toLowerCase(), label, value }] : []
    })

/** The score that chooses between checkpoints: KID, whose estimate has no bias, or else FID. Lower is better. */
export const choosing = (line: Line): { readonly label: string; readonly value: number } | undefined => {
  const finite = values(line).filter(({ value }) => Number.isFinite(value))
  const found = finite.find(({ name }) => name === "kid") ?? finite.find(({ name }) => name === "fid")
  return found && { label: found.label, value: found.value }
}

export interface Scorer {
  readonly count: number
  readonly extractor: Extractor.Identity
  readonly about: About
  readonly score: (batches: AsyncIterable<NdArray.NdArray<"float32">>) => Promise<Comparison.Report>
  readonly close: () => Promise<void>
}

/** A covariance needs two images. */
export const requireTwo = (found: number, file: string): void => {
  if (found < 2)
    Failure.raise(
      "TooFewImages",
      `scores need at least 2 images on each side, found ${found}: give more with --reference, or turn scores off with --score-count 0`,
      { file },
    )
}

/** @param reference images to compare with; of more than `count`, a subset that is balanced over the classes */
export const open = async (reference: ImageSet.ImageSet, options: Options): Promise<Scorer> => {
  const { size, seed, referenceSeed = 0, metrics = ["fid", "kid"] } = options
  const search = WeightFolders.search()
  const name = options.extractor ?? Extractor.best(search)
  const extractor = await Failure.orThrow(Extractor.open({ name, ...search }))
  const set = Subset.take(reference, { limit: options.count, seed: referenceSeed })
  const b = await ReferenceFeatures.features(set, extractor, { size, seed: referenceSeed }, options)
  // images that cannot be decoded are not counted
  const count = b.matrix.rows
  requireTwo(count, set.path)
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
      referenceSeed,
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
