/** Scores between two sets of images, each with everything that decides its value. */
import { Failure } from "@adafm/core"
import { Session } from "@adafm/onnx"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Archive from "./Archive.ts"
import * as Extractor from "./Extractor.ts"
import * as Features from "./Features.ts"
import * as Fid from "./Fid.ts"
import * as Is from "./Is.ts"
import * as Kid from "./Kid.ts"
import * as Neighbours from "./Neighbours.ts"
import type * as Npz from "./Npz.ts"
import * as Prdc from "./Prdc.ts"
import * as Protocol from "./Protocol.ts"
import * as Stats from "./Stats.ts"

export const METRICS = ["fid", "fid-infinity", "kid", "is", "prdc", "memorisation", "diversity"] as const
export type Metric = (typeof METRICS)[number]

/** What a score says beside its value. */
export interface About {
  readonly extractor: Extractor.Identity
  readonly mode: Protocol.Mode
  readonly resize: string
  readonly normalise: string
  readonly size: number | null
  readonly seed: number
  readonly counts: { readonly a: number; readonly b: number | null }
  readonly images: { readonly a: Features.Origin; readonly b: Features.Origin | { readonly path: string } }
  readonly versions: Readonly<Record<string, string>>
  readonly warnings: readonly string[]
}

export type Score = About & {
  readonly value: number | Readonly<Record<string, number>>
  readonly label: string
} & Readonly<Record<string, unknown>>

export interface Report {
  readonly metrics: Readonly<Record<string, Score>>
  readonly warnings: readonly string[]
}

/** A reference that exists as statistics only. */
export interface Moments {
  readonly path: string
  readonly npz: Npz.Npz
}

/** The reference: features (reusable, e.g. for every evaluation of a training run) or statistics of a file. */
export type Reference = Features.Features | Moments

/** Our own statistics (`Archive.readSummary`, merged shards) as a reference. */
export const ofSummary = ({ stats, ...provenance }: Features.Summary): Moments => ({
  path: provenance.origin.path,
  npz: { ...Stats.moments(stats), provenance },
})

const isFeatures = (reference: Reference): reference is Features.Features => "matrix" in reference

export interface ScoreOptions {
  readonly metrics?: readonly Metric[]
  readonly seed?: number
  /** Neighbours of PRDC. */
  readonly k?: number
  /** Resamples of KID's bootstrap interval; 0 leaves it out. */
  readonly bootstrap?: number
}

/** "FID" alone is the 2048-dimensional one; any other says its features. */
const label = (name: string, { name: extractor, dims, comparable }: Extractor.Identity): string =>
  comparable && extractor === "inception"
    ? name
    : `${name} (${extractor}${comparable ? "" : `, ${dims} dimensions, not comparable`})`

interface Context {
  readonly a: Features.Features
  readonly b: Reference
  readonly seed: number
  readonly k: number
  readonly bootstrap: number
}

type Value = { readonly value: Score["value"]; readonly label?: string; readonly key?: string } & Readonly<
  Record<string, unknown>
>

const needsImages = (b: Reference, metric: string): Features.Features =>
  isFeatures(b)
    ? b
    : Failure.raise("NeedsImages", `${metric} needs the images of both sides, the reference is statistics`, {
        file: b.path,
      })

const enough = ({ a, b }: Context, least: number, metric: string): void => {
  for (const side of isFeatures(b) ? [a, b] : [a])
    if (side.matrix.rows < least)
      Failure.raise("TooFewImages", `${metric} needs at least ${least} images a side, found ${side.matrix.rows}`, {
        file: side.origin.path,
      })
}

const compute: Readonly<Record<Metric, (context: Context) => Promise<Value>>> = {
  fid: async (context) => {
    enough(context, 2, "FID")
    const { a, b } = context
    if (isFeatures(b)) return { ...(await Fid.fromFeatures(a.matrix, b.matrix)) }
    if (b.npz.mean.length !== a.matrix.cols)
      Failure.raise("BadNpz", `statistics of ${b.npz.mean.length} dimensions, features of ${a.matrix.cols}`, {
        file: b.path,
      })
    return { ...(await Fid.fromMoments(Stats.moments(await Stats.of(a.matrix)), b.npz)) }
  },
  "fid-infinity": async (context) => {
    enough(context, 16, "FID∞")
    return { value: await Fid.infinity(context.a.matrix, needsImages(context.b, "FID∞").matrix, context.seed) }
  },
  kid: async (context) => {
    enough(context, 2, "KID")
    const { a, seed, bootstrap } = context
    const b = needsImages(context.b, "KID")
    const subset = Protocol.of(a.mode).kidSubset
    const whole = await Kid.unbiased(a.matrix, b.matrix)
    const small =
      Math.max(a.matrix.rows, b.matrix.rows) <= Kid.BOOTSTRAP_LIMIT && Math.min(a.matrix.rows, b.matrix.rows) > 4
    const interval =
      bootstrap > 0 && small ? await Kid.bootstrap(a.matrix, b.matrix, { resamples: bootstrap, seed }) : undefined
    if (subset === undefined) return { value: whole, estimator: "unbiased, whole sets", ...(interval && { interval }) }
    const { mean, deviation, values } = await Kid.subsets(a.matrix, b.matrix, { size: subset, seed })
    const size = Math.min(subset, a.matrix.rows, b.matrix.rows)
    return {
      value: mean,
      deviation,
      whole,
      estimator: `mean of ${values.length} subsets of ${size}`,
      ...(interval && { interval }),
    }
  },
  is: async ({ a }) => {
    const { extractor, logits } = a
    if (logits === undefined)
      return Failure.raise(
        "NoLogits",
        `the Inception Score needs class logits, which ${extractor.name} (${extractor.dims} dimensions) has none of: ` +
          "use the extractor inception with the full weights (2048 dimensions and fc)",
      )
    if (logits.rows < 10) Failure.raise("TooFewImages", `10 splits need at least 10 images, found ${logits.rows}`)
    const { mean, deviation } = Is.of(logits)
    const own = extractor.name === "inception"
    return {
      value: mean,
      deviation,
      splits: 10,
      ...(!own && { key: `is-${extractor.name}`, label: `class score of ${extractor.name}` }),
    }
  },
  prdc: async (context) => {
    enough(context, context.k + 1, "precision and recall")
    const prdc = await Prdc.of(context.a.matrix, needsImages(context.b, "precision and recall").matrix, context.k)
    return { value: { ...prdc }, ...prdc, k: context.k }
  },
  memorisation: async (context) => {
    enough(context, 2, "the nearest-neighbour distance")
    const found = await Neighbours.memorisation(context.a.matrix, needsImages(context.b, "memorisation").matrix)
    return { value: found.ratio, ...found }
  },
  diversity: async (context) => {
    enough(context, 2, "diversity")
    const reference = isFeatures(context.b) ? await Neighbours.diversity(context.b.matrix) : undefined
    return { value: await Neighbours.diversity(context.a.matrix), ...(reference !== undefined && { reference }) }
  },
}

const NAMES: Readonly<Record<Metric, string>> = {
  fid: "FID",
  "fid-infinity": "FID∞",
  kid: "KID",
  is: "IS",
  prdc: "precision, recall, density, coverage",
  memorisation: "nearest training image, median distance relative to real images",
  diversity: "mean distance within the set",
}

const warningsOf = (a: Features.Features, b: Reference, metrics: readonly Metric[]): readonly string[] => {
  const n = Math.min(a.matrix.rows, isFeatures(b) ? b.matrix.rows : a.matrix.rows)
  const few = n < a.matrix.cols && metrics.includes("fid")
  return [
    ...new Set([
      ...a.origin.warnings,
      ...(isFeatures(b) ? b.origin.warnings : []),
      ...(few
        ? [
            `${n} images for ${a.matrix.cols} dimensions: FID is mostly bias here and compares only at equal counts; look at KID`,
          ]
        : []),
      ...(a.extractor.comparable ? [] : [`${a.extractor.name} is a stand-in: its scores compare with no one else's`]),
    ]),
  ]
}

/** All scores of `a` (the samples) against `b` (the reference). With few images KID is given beside FID. */
export const scores = (
  a: Features.Features,
  b: Reference,
  { metrics = ["fid", "kid"], seed = a.seed, k = 5, bootstrap = 200 }: ScoreOptions = {},
): TE.TaskEither<Failure.Failure, Report> =>
  TE.tryCatch(async () => {
    const other = isFeatures(b) ? b : (b.npz.provenance as Features.Provenance | undefined)
    const differs = other === undefined ? undefined : Archive.disagreement(a, other)
    if (differs !== undefined) Failure.raise("DifferentProtocols", `the two sides were made differently (${differs})`)
    const few = a.matrix.rows < a.matrix.cols && isFeatures(b)
    const wanted: readonly Metric[] =
      few && metrics.includes("fid") && !metrics.includes("kid") ? [...metrics, "kid"] : metrics
    const warnings = warningsOf(a, b, wanted)
    const about: About = {
      extractor: a.extractor,
      mode: a.mode,
      resize: a.resize,
      normalise: a.normalise,
      size: a.size ?? null,
      seed,
      counts: { a: a.matrix.rows, b: isFeatures(b) ? b.matrix.rows : null },
      images: { a: a.origin, b: isFeatures(b) ? b.origin : { path: b.path } },
      versions: { onnxruntime: await Session.version(), node: process.versions.node },
      warnings,
    }
    const found: Record<string, Score> = {}
    for (const metric of wanted) {
      const { key = metric, label: own, ...value } = await compute[metric]({ a, b, seed, k, bootstrap })
      found[key] = { ...value, ...about, label: own ?? label(NAMES[metric], a.extractor) } as Score
    }
    return { metrics: found, warnings }
  }, Failure.fromThrown)

export interface Options extends ScoreOptions, Omit<Features.Options, "seed" | "authorsReals"> {
  readonly a: Features.Source
  readonly b: Features.Source | Reference
  readonly extractor: Extractor.Options | Extractor.Extractor
}

const isExtractor = (e: Extractor.Options | Extractor.Extractor): e is Extractor.Extractor => "run" in e

/** The features of the reference as `evaluate` would make them, to be kept and given as `b` again and again. */
export const reference = (
  source: Features.Source,
  extractor: Extractor.Extractor,
  options: Omit<Features.Options, "authorsReals"> = {},
): TE.TaskEither<Failure.Failure, Features.Features> =>
  Features.of(source, extractor, { ...options, authorsReals: extractor.protocol.mode === "authors" })

/** Opens the extractor (unless one is given), runs it over both sides, scores. */
export const evaluate = (options: Options): TE.TaskEither<Failure.Failure, Report> => {
  const { a, b, extractor } = options
  const run = (network: Extractor.Extractor): TE.TaskEither<Failure.Failure, Report> =>
    pipe(
      TE.Do,
      TE.bind("b", () => ("kind" in b ? reference(b, network, options) : TE.right<Failure.Failure, Reference>(b))),
      TE.bind("a", () => Features.of(a, network, options)),
      TE.flatMap(({ a: samples, b: against }) => scores(samples, against, options)),
    )
  return isExtractor(extractor)
    ? run(extractor)
    : TE.bracket(Extractor.open(extractor), run, (network) => TE.tryCatch(network.close, Failure.fromThrown))
}
