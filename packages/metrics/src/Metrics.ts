/** Every metric by its name: from two sides to a value and its details. */
import * as Failure from "@adafm/core/Failure"
import type * as FeatureSet from "./FeatureSet.ts"
import type * as FeatureFile from "./files/FeatureFile.ts"
import type * as Matrix from "./linalg/Matrix.ts"
import * as Protocol from "./Protocol.ts"
import * as Fid from "./scores/Fid.ts"
import * as GaussianStats from "./scores/GaussianStats.ts"
import * as InceptionScore from "./scores/InceptionScore.ts"
import * as Kid from "./scores/Kid.ts"
import * as NearestNeighbours from "./scores/NearestNeighbours.ts"
import * as NumpyRandom from "./scores/NumpyRandom.ts"
import * as Prdc from "./scores/Prdc.ts"

export const NAMES = ["fid", "fid-infinity", "kid", "is", "prdc", "memorisation", "diversity"] as const
export type Name = (typeof NAMES)[number]

export const LABELS: Readonly<Record<Name, string>> = {
  fid: "FID",
  "fid-infinity": "FID∞",
  kid: "KID",
  is: "IS",
  prdc: "precision, recall, density, coverage",
  memorisation: "nearest training image, median distance relative to real images",
  diversity: "mean distance within the set",
}

/** Features, or statistics from a file. */
export type Side = FeatureSet.Features | FeatureFile.Moments

export const isFeatures = (side: Side): side is FeatureSet.Features => "matrix" in side

export const countOf = (side: Side): number | undefined =>
  isFeatures(side) ? side.matrix.rows : side.provenance?.origin.count

export const dimsOf = (side: Side): number => (isFeatures(side) ? side.matrix.cols : side.mean.length)

const pathOf = (side: Side): string => (isFeatures(side) ? side.origin.path : side.path)

/** Whether a side has fewer images than dimensions. */
export const isFew = (...sides: readonly Side[]): boolean =>
  sides.some((side) => (countOf(side) ?? Number.POSITIVE_INFINITY) < dimsOf(side))

export interface Context {
  readonly a: Side
  readonly b: Side
  readonly seed: number
  /** Nearest neighbours of PRDC. */
  readonly k: number
  /** Resamples of the bootstrap intervals. */
  readonly bootstrap: number
}

export interface Value extends Readonly<Record<string, unknown>> {
  readonly value: number | Readonly<Record<string, number>>
  /** What a reader of the value must know. */
  readonly notes?: readonly string[]
  /** Label and key of the score, if they are not those of the metric. */
  readonly label?: string
  readonly key?: string
}

/** The metrics that need the images of both sides: statistics do not suffice. */
export const NEED_IMAGES: readonly Name[] = ["fid-infinity", "kid", "prdc", "memorisation"]

export const needsImages = (metric: string, { path }: FeatureFile.Moments): Failure.Failure =>
  Failure.make("NeedsImages", `${metric} needs the images of both sides, but this side is a file of statistics`, {
    file: path,
  })

export const noLogits = ({ name, dims }: FeatureSet.Provenance["extractor"]): Failure.Failure =>
  Failure.make(
    "NoLogits",
    `the Inception Score needs class logits, and the extractor ${name} (${dims} dimensions) has none: ` +
      "use the extractor inception with the full weights (2048 dimensions and fc)",
  )

const refused = (failure: Failure.Failure): never => {
  throw new Failure.Raised(failure)
}

const images = (side: Side, metric: string): FeatureSet.Features =>
  isFeatures(side) ? side : refused(needsImages(metric, side))

const enough = ({ a, b }: Context, least: number, metric: string): void => {
  for (const side of [a, b]) {
    const count = countOf(side)
    if (count !== undefined && count < least)
      Failure.raise("TooFewImages", `${metric} needs at least ${least} images on each side, found ${count}`, {
        file: pathOf(side),
      })
  }
}

/** The features of both sides. */
const matrices = (context: Context, least: number, metric: string): readonly [Matrix.Matrix, Matrix.Matrix] => {
  enough(context, least, metric)
  return [images(context.a, metric).matrix, images(context.b, metric).matrix]
}

const momentsOf = async (side: Side): Promise<GaussianStats.Moments> =>
  isFeatures(side) ? GaussianStats.moments(await GaussianStats.of(side.matrix)) : side

const fid = async (context: Context): Promise<Value> => {
  enough(context, 2, "FID")
  const { a, b, seed, bootstrap } = context
  if (!isFeatures(a) || !isFeatures(b)) {
    if (dimsOf(a) !== dimsOf(b))
      Failure.raise("BadNpz", `the sides have ${dimsOf(a)} and ${dimsOf(b)} dimensions; expected equal numbers`, {
        file: pathOf(isFeatures(b) ? a : b),
      })
    return { ...(await Fid.fromMoments(await momentsOf(a), await momentsOf(b))) }
  }
  const small = Math.max(a.matrix.rows, b.matrix.rows) <= Fid.BOOTSTRAP_LIMIT && isFew(a, b)
  const interval =
    bootstrap > 0 && small
      ? await Fid.bootstrap(a.matrix, b.matrix, {
          resamples: Math.min(Fid.resamples(a.matrix, b.matrix), bootstrap),
          seed,
        })
      : undefined
  return { ...(await Fid.fromFeatures(a.matrix, b.matrix)), ...(interval && { interval }) }
}

/** With more images on a side, the kernel of whole sets takes minutes, and KID is computed over subsets. */
const KID_WHOLE = 10_000
const KID_SUBSET = 1000

/** Seed 0 is torch-fidelity's seed, so that the draws are equal. */
const rngSeed = (seed: number): number => (2020 + seed) >>> 0

const kid = async (context: Context): Promise<Value> => {
  const [a, b] = matrices(context, 2, "KID")
  const { seed, bootstrap } = context
  const [most, least] = [Math.max(a.rows, b.rows), Math.min(a.rows, b.rows)]
  const small = most <= Kid.BOOTSTRAP_LIMIT && least > 4
  const whole = most <= KID_WHOLE ? await Kid.unbiased(a, b) : undefined
  const interval = bootstrap > 0 && small ? await Kid.bootstrap(a, b, { resamples: bootstrap, seed }) : undefined
  const subset = Protocol.of(images(context.a, "KID").mode).kidSubset ?? (whole === undefined ? KID_SUBSET : undefined)
  if (subset === undefined) return { value: whole!, estimator: "unbiased, whole sets", ...(interval && { interval }) }
  const { mean, deviation, values } = await Kid.subsets(a, b, { size: subset, rngSeed: rngSeed(seed) })
  const estimator = `mean of ${values.length} subsets of ${Math.min(subset, least)}`
  return { value: mean, deviation, ...(whole !== undefined && { whole }), estimator, ...(interval && { interval }) }
}

const inceptionScore = async ({ a, seed }: Context): Promise<Value> => {
  const { extractor, logits, mode } = images(a, "the Inception Score")
  if (logits === undefined) return refused(noLogits(extractor))
  if (logits.rows < 10)
    Failure.raise(
      "TooFewImages",
      `the Inception Score has 10 splits and needs at least 10 images, found ${logits.rows}`,
    )
  const shuffled = Protocol.of(mode).shuffled ?? true
  const order = shuffled ? NumpyRandom.of(rngSeed(seed)).permutation(logits.rows) : undefined
  const { mean, deviation } = InceptionScore.of(logits, 10, order)
  const own = extractor.name === "inception"
  return {
    value: mean,
    deviation,
    splits: 10,
    ...(!own && {
      key: `is-${extractor.name}`,
      label: `class score of ${extractor.name}${extractor.comparable ? "" : " (not comparable)"}`,
    }),
  }
}

export const compute: Readonly<Record<Name, (context: Context) => Promise<Value>>> = {
  fid,
  "fid-infinity": async (context) => {
    const [a, b] = matrices(context, 16, "FID∞")
    return { value: await Fid.infinity(a, b, context.seed) }
  },
  kid,
  is: inceptionScore,
  prdc: async (context) => {
    const [a, b] = matrices(context, context.k + 1, "precision and recall")
    const { points, ...prdc } = await Prdc.of(a, b, context.k)
    const notes = [
      { count: points.real, of: b.rows, path: pathOf(context.b), lowers: "precision, density and coverage" },
      { count: points.fake, of: a.rows, path: pathOf(context.a), lowers: "recall" },
    ].flatMap(({ count, of, path, lowers }) =>
      count === 0
        ? []
        : [
            `${count} of ${of} images in ${path} have ${context.k} or more equal ones: their neighbourhood is a point, which lowers ${lowers}`,
          ],
    )
    return { value: { ...prdc }, ...prdc, k: context.k, ...(notes.length > 0 && { notes }) }
  },
  memorisation: async (context) => {
    const [a, b] = matrices(context, 2, "the nearest-neighbour distance")
    const found = await NearestNeighbours.memorisation(a, b)
    const { doubles } = found
    if (b.rows - doubles < 2)
      Failure.raise(
        "TooFewImages",
        `the nearest-neighbour distance needs at least 2 different images, and all ${b.rows} of the reference are the same picture`,
        { file: pathOf(context.b) },
      )
    const note = `${doubles} of ${b.rows} reference images repeat another one: each picture counts once in the distance between photographs`
    return { value: found.ratio, ...found, ...(doubles > 0 && { notes: [note] }) }
  },
  diversity: async (context) => {
    enough(context, 2, "diversity")
    const { a, b } = context
    const reference = isFeatures(b) ? await NearestNeighbours.diversity(b.matrix) : undefined
    const value = await NearestNeighbours.diversity(images(a, "diversity").matrix)
    return { value, ...(reference !== undefined && { reference }) }
  },
}
