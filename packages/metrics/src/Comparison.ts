/** Scores between two sets of images, each with everything that determines its value. */

import { Failure, Host } from "@adafm/core"
import { Image } from "@adafm/data"
import { Session } from "@adafm/onnx"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { version } from "#Version"
import * as Extractor from "./extractors/Extractor.ts"
import * as FeatureExtraction from "./extractors/FeatureExtraction.ts"
import * as FeatureRange from "./FeatureRange.ts"
import * as FeatureSet from "./FeatureSet.ts"
import * as FeatureFile from "./files/FeatureFile.ts"
import * as Matrix from "./linalg/Matrix.ts"
import * as Metrics from "./Metrics.ts"
import type * as Protocol from "./Protocol.ts"
import * as GaussianStats from "./scores/GaussianStats.ts"

export const METRICS = Metrics.NAMES
export type Metric = Metrics.Name
/** Features (reusable, e.g. for every evaluation of a training run) or statistics of a file (`FeatureFile.readMoments`). */
export type Side = Metrics.Side

/** The provenance of a score; `unknown` if both sides are files of another program. */
export interface About {
  readonly extractor: Extractor.Identity
  readonly mode: Protocol.Mode | "unknown"
  readonly resize: string
  readonly normalise: string
  readonly size: number | null
  readonly seed: number
  /** Null for statistics without a count. */
  readonly counts: { readonly a: number | null; readonly b: number | null }
  readonly images: { readonly a: Origin; readonly b: Origin }
  readonly versions: Readonly<Record<string, string>>
  readonly warnings: readonly string[]
}
export type Origin = FeatureSet.Origin | { readonly path: string }

export type Score = About & {
  readonly value: number | Readonly<Record<string, number>>
  readonly label: string
} & Readonly<Record<string, unknown>>

export interface Report {
  readonly metrics: Readonly<Record<string, Score>>
  readonly warnings: readonly string[]
}

/** Our statistics (`FeatureFile.readSummary`, merged shards) as a side. */
export const ofSummary = ({ stats, ...provenance }: FeatureSet.Summary): FeatureFile.Moments => ({
  path: provenance.origin.path,
  ...GaussianStats.moments(stats),
  provenance,
})

export interface ScoreOptions {
  /** FID by default, and KID if both sides have features. */
  readonly metrics?: readonly Metric[]
  readonly seed?: number
  /** Nearest neighbours of PRDC. */
  readonly k?: number
  /** Resamples of the bootstrap intervals; 0 for no intervals. */
  readonly bootstrap?: number
}

/** "FID" alone is that of pytorch-fid; every other label names the features and the mode. */
const label = (name: string, { extractor, mode }: Pick<About, "extractor" | "mode">): string => {
  const parts = [
    ...(extractor.name === "inception" ? [] : [extractor.name]),
    ...(extractor.comparable ? [] : [`${extractor.dims} dimensions, not comparable`]),
    ...(mode === "pytorch-fid" ? [] : [mode === "unknown" ? "unknown mode" : mode]),
  ]
  return parts.length === 0 ? name : `${name} (${parts.join(", ")})`
}

/** How a side was made, if it says so. */
export const provenanceOf = (side: Side): FeatureSet.Provenance | undefined =>
  Metrics.isFeatures(side) ? side : side.provenance
const originOf = (side: Side): Origin =>
  Metrics.isFeatures(side) ? side.origin : (side.provenance?.origin ?? { path: side.path })

/**
 * A stored side, reduced to the images that `count` selects from a set; the hash stays that of the whole set. A side that cannot be
 * reduced gets a warning.
 */
export const take = (side: Side, { count, seed }: { readonly count: number; readonly seed: number }): Side => {
  const [made, own] = [provenanceOf(side), Metrics.countOf(side)]
  if (made === undefined || own === undefined || own === count) return side
  if (Metrics.isFeatures(side) && count < own) {
    const rows = (matrix: Matrix.Matrix): Matrix.Matrix =>
      Matrix.rows(matrix, FeatureExtraction.places(own, count, seed))
    const { origin, matrix, logits } = side
    return { ...side, origin: { ...origin, count }, matrix: rows(matrix), ...(logits && { logits: rows(logits) }) }
  }
  const warning = `${count} images were requested, but ${made.origin.path} has ${own}`
  const origin = { ...made.origin, warnings: [...made.origin.warnings, warning] }
  return Metrics.isFeatures(side) ? { ...side, origin } : { ...side, provenance: { ...made, origin } }
}

/** The flag that makes statistics like the other side, where one does. */
const remedy = (differs: string, sides: readonly FeatureSet.Provenance[]): string => {
  const [key] = differs.split(":")
  const found = sides.flatMap((side) => (key === "mode" || key === "size" ? (side[key] ?? []) : []))
  return found.length === 0 ? "" : `: ${found.map((value) => `--${key} ${value}`).join(" or ")}`
}

/** Sides are compared only if they were made in the same way. */
const differing = (a?: FeatureSet.Provenance, b?: FeatureSet.Provenance): Failure.Failure | undefined => {
  if (a === undefined || b === undefined) return undefined
  const differs = FeatureFile.disagreement(a, b)
  return differs === undefined
    ? undefined
    : Failure.make(
        "DifferentProtocols",
        `the two sides were made differently (${differs}); compute the statistics again from their images, with the same extractor, mode and size${remedy(differs, [a, b])}`,
      )
}

/** How the sides were made. A side that does not say is assumed to be like the other one. */
const making = (a: Side, b: Side): Omit<FeatureSet.Provenance, "origin" | "seed" | "mode"> & Pick<About, "mode"> =>
  provenanceOf(a) ??
  provenanceOf(b) ?? {
    extractor: { name: "unknown", dims: Metrics.dimsOf(a), sha256: "unknown", comparable: false },
    mode: "unknown",
    resize: "unknown",
    normalise: "unknown",
  }

/** Sides whose images differ in size: every protocol resizes to one size, so that the size they had becomes a part of the score. */
const sizesWarning = (a: Side, b: Side): readonly string[] => {
  const sides = [a, b].flatMap((side) => {
    const origin = provenanceOf(side)?.origin
    return origin?.shorterSide === undefined ? [] : [{ path: origin.path, ...origin.shorterSide }]
  })
  const [least, most] = [Math.min(...sides.map((s) => s.least)), Math.max(...sides.map((s) => s.most))]
  if (sides.length === 0 || least === most) return []
  const text = sides.map((s) => `${s.least === s.most ? s.least : `${s.least} to ${s.most}`} px in ${s.path}`)
  return [
    `the images have different sizes (shorter side ${text.join(", ")}), and the score depends on them: --size ${least} brings all to one size`,
  ]
}

const warningsOf = (a: Side, b: Side, metrics: readonly Metric[]): readonly string[] => {
  const { extractor, mode } = making(a, b)
  const silent = [a, b].filter((side) => provenanceOf(side) === undefined).map((side) => originOf(side).path)
  const [few, dims] = [Metrics.isFew(a, b) && metrics.includes("fid"), Metrics.dimsOf(a)]
  const least = Math.min(...[a, b].map((side) => Metrics.countOf(side) ?? Number.POSITIVE_INFINITY))
  return [
    ...new Set([
      ...[a, b].flatMap((side) => provenanceOf(side)?.origin.warnings ?? []),
      ...(few
        ? [
            `${least} images for ${dims} dimensions: FID is mostly bias here and comparable only at equal counts; prefer KID`,
          ]
        : []),
      ...sizesWarning(a, b),
      ...silent.map((path) =>
        mode === "unknown"
          ? `${path} does not say how it was made`
          : `${path} does not say how it was made; assumed the extractor ${extractor.name} in mode ${mode}`,
      ),
      ...(extractor.comparable || mode === "unknown"
        ? []
        : [`scores of the extractor ${extractor.name} are comparable only with each other`]),
    ]),
  ]
}

const rangeOf = (side: Side): FeatureRange.Named => ({
  path: originOf(side).path,
  ...(Metrics.isFeatures(side)
    ? { values: side.matrix.data }
    : { values: side.mean, covariance: side.covariance.data }),
})

/** All scores of `a` (the samples) against `b` (the reference). With few images, KID is added to FID. */
export const scores = (
  a: Side,
  b: Side,
  { metrics, seed = provenanceOf(a)?.seed ?? 0, k = 5, bootstrap = 200 }: ScoreOptions = {},
): TE.TaskEither<Failure.Failure, Report> =>
  Failure.attempt(async () => {
    const different = differing(provenanceOf(a), provenanceOf(b))
    if (different !== undefined) throw new Failure.Raised(different)
    for (const side of [a, b]) FeatureRange.check(rangeOf(side))
    const both = Metrics.isFeatures(a) && Metrics.isFeatures(b)
    const asked: readonly Metric[] = metrics ?? (both ? ["fid", "kid"] : ["fid"])
    const adds = both && Metrics.isFew(a, b) && asked.includes("fid") && !asked.includes("kid")
    const wanted: readonly Metric[] = adds ? [...asked, "kid"] : asked
    const { extractor, mode, resize, normalise, size = null } = making(a, b)
    const about: About = {
      extractor,
      mode,
      resize,
      normalise,
      size,
      seed,
      counts: { a: Metrics.countOf(a) ?? null, b: Metrics.countOf(b) ?? null },
      images: { a: originOf(a), b: originOf(b) },
      versions: {
        adafm: version,
        ...Host.runtime,
        onnxruntime: await Session.version(),
        ...(await Image.versions()),
      },
      warnings: warningsOf(a, b, wanted),
    }
    const found: Record<string, Score> = {}
    const notes: string[] = []
    for (const metric of wanted) {
      const { key = metric, label: own, ...value } = await Metrics.compute[metric]({ a, b, seed, k, bootstrap })
      FeatureRange.checkScore(Metrics.LABELS[metric], value.value, about.images.b.path)
      found[key] = { ...value, ...about, label: own ?? label(Metrics.LABELS[metric], { extractor, mode }) } as Score
      notes.push(...(value.notes ?? []))
    }
    return { metrics: found, warnings: [...about.warnings, ...notes] }
  })

export interface Options extends ScoreOptions, Omit<FeatureSet.Options, "seed" | "authorsReals"> {
  readonly a: FeatureSet.Source | Side
  readonly b: FeatureSet.Source | Side
  readonly extractor: Extractor.Options | Extractor.Extractor
}

const isSource = (side: FeatureSet.Source | Side): side is FeatureSet.Source => "kind" in side
const isExtractor = (e: Extractor.Options | Extractor.Extractor): e is Extractor.Extractor => "run" in e

/** The reference's features as `evaluate` computes them, for use as `b` in many evaluations. */
export const reference = (
  source: FeatureSet.Source,
  extractor: Extractor.Extractor,
  options: Omit<FeatureSet.Options, "authorsReals"> = {},
): TE.TaskEither<Failure.Failure, FeatureSet.Features> =>
  FeatureSet.of(source, extractor, { ...options, authorsReals: extractor.protocol.mode === "authors" })

/** How many images a source has, if it is known. */
const expected = (source: FeatureSet.Source, { count = Number.POSITIVE_INFINITY }: Options): number | undefined => {
  const most = source.kind === "images" ? Math.min(count, source.set.names.length) : count
  return Number.isFinite(most) ? most : undefined
}

/** FID alone, of at least as many images as dimensions, needs only their statistics: constant memory for sets of any size. */
const needsOnlyStatistics = (options: Options, { dims }: Extractor.Extractor): boolean =>
  options.metrics?.join() === "fid" &&
  [options.a, options.b].every((side) =>
    isSource(side) ? (expected(side, options) ?? 0) >= dims : (Metrics.countOf(side) ?? dims) >= dims,
  )

/** The failures that are known before an image is read. */
const refusal = (options: Options, network: Extractor.Extractor): Failure.Failure | undefined => {
  const { metrics = [], a, b } = options
  if (metrics.includes("is") && !network.hasLogits) return Metrics.noLogits(network)
  const bare = [a, b].find((side): side is FeatureFile.Moments => !isSource(side) && !Metrics.isFeatures(side))
  const needy = metrics.find((metric) => Metrics.NEED_IMAGES.includes(metric))
  if (bare !== undefined && needy !== undefined) return Metrics.needsImages(needy, bare)
  const noOrigin: FeatureSet.Origin = { path: "", count: 0, sha256: "", broken: 0, warnings: [] }
  const made = (side: FeatureSet.Source | Side): FeatureSet.Provenance | undefined =>
    isSource(side) ? FeatureSet.provenance(network, noOrigin, options) : provenanceOf(side)
  return differing(made(a), made(b))
}

/** Opens the extractor (unless it is open already, or none is needed), runs it over both sides, computes the scores. */
export const evaluate = (options: Options): TE.TaskEither<Failure.Failure, Report> => {
  const { a, b, extractor } = options
  if (!isSource(a) && !isSource(b)) return scores(a, b, options)
  const run = (network: Extractor.Extractor): TE.TaskEither<Failure.Failure, Report> => {
    const refused = refusal(options, network)
    if (refused !== undefined) return TE.left(refused)
    const featuresOf = (side: FeatureSet.Source | Side, isReference: boolean): TE.TaskEither<Failure.Failure, Side> => {
      if (!isSource(side)) return TE.right(side)
      const how = { ...options, authorsReals: isReference && network.protocol.mode === "authors" }
      return needsOnlyStatistics(options, network)
        ? pipe(FeatureSet.summary(side, network, how), TE.map(ofSummary))
        : FeatureSet.of(side, network, how)
    }
    return pipe(
      TE.Do,
      TE.bind("b", () => featuresOf(b, true)),
      TE.bind("a", () => featuresOf(a, false)),
      TE.flatMap((sides) => scores(sides.a, sides.b, options)),
    )
  }
  return isExtractor(extractor)
    ? run(extractor)
    : TE.bracket(Extractor.open(extractor), run, (network) => Failure.attempt(network.close))
}
