/**
 * Features as safetensors, statistics as safetensors or `.npz`, with their provenance; statistics of shards merge into those
 * of the whole set.
 */
import { Failure, Files, type Flat, NdArray, Safetensors, Sha256 } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { z } from "zod"
import * as FeatureExtraction from "../extractors/FeatureExtraction.ts"
import type * as FeatureSet from "../FeatureSet.ts"
import * as Matrix from "../linalg/Matrix.ts"
import * as Protocol from "../Protocol.ts"
import * as GaussianStats from "../scores/GaussianStats.ts"
import * as StatisticsNpz from "./StatisticsNpz.ts"

const Provenance = z.strictObject({
  origin: z.strictObject({
    path: z.string(),
    count: z.number().int().nonnegative(),
    sha256: z.string(),
    broken: z.number().int().nonnegative(),
    warnings: z.array(z.string()),
    shorterSide: z.exactOptional(z.strictObject({ least: z.number(), most: z.number() })),
    partOf: z.exactOptional(z.string()),
  }),
  extractor: z.strictObject({
    name: z.string(),
    dims: z.number().int(),
    sha256: z.string(),
    comparable: z.boolean(),
    provider: z.exactOptional(z.string()),
  }),
  mode: z.enum(Protocol.MODES),
  resize: z.string(),
  normalise: z.string(),
  size: z.number().int().optional(),
  seed: z.number().int(),
  shard: z.strictObject({ index: z.number().int().nonnegative(), of: z.number().int().positive() }).optional(),
})

/** The provenance without any other keys. */
const provenanceOf = (whole: FeatureSet.Provenance): FeatureSet.Provenance => {
  const { origin, extractor, mode, resize, normalise, size, seed, shard } = whole
  return {
    origin,
    extractor,
    mode,
    resize,
    normalise,
    seed,
    ...(size !== undefined && { size }),
    ...(shard !== undefined && { shard }),
  }
}

const checked = (value: unknown): FeatureSet.Provenance => {
  const parsed = Provenance.safeParse(value)
  if (!parsed.success)
    return Failure.raise("BadArchive", "the metadata `provenance` is missing or was not written by adafm", {
      path: "provenance",
    })
  const { size, shard, ...rest } = parsed.data
  return { ...rest, ...(size !== undefined && { size }), ...(shard !== undefined && { shard }) }
}
const parseProvenance = (text: string | undefined): FeatureSet.Provenance =>
  checked(Failure.orThrow(Files.parseJson(text ?? "null", { path: "provenance" })))

/** `features` `[N, dims]` (and `logits` `[N, classes]`), float32, in order of name. */
export const writeFeatures = (file: string, features: FeatureSet.Features): TE.TaskEither<Failure.Failure, void> => {
  const array = ({ rows, cols, data }: Matrix.Matrix): NdArray.NdArray =>
    NdArray.float32([rows, cols], Float32Array.from(data))
  const { matrix, logits } = features
  return Safetensors.write(
    file,
    { features: array(matrix), ...(logits && { logits: array(logits) }) },
    { provenance: JSON.stringify(provenanceOf(features)) },
  )
}

const required = (tensors: Flat.Flat<NdArray.NdArray>, path: string): NdArray.NdArray<"float64"> =>
  NdArray.toFloat64(tensors[path] ?? Failure.raise("BadArchive", `the file has no tensor ${path}`, { path }))

const reading = <A>(file: string, decode: (content: Safetensors.Safetensors) => A): TE.TaskEither<Failure.Failure, A> =>
  pipe(
    Safetensors.read(file),
    TE.flatMapEither((content) => E.tryCatch(() => decode(content), Failure.fromThrown)),
    TE.mapLeft(Failure.inFile(file)),
  )

export const readFeatures = (file: string): TE.TaskEither<Failure.Failure, FeatureSet.Features> =>
  reading(file, ({ tensors, metadata }) => {
    const provenance = parseProvenance(metadata.provenance)
    const matrix = Matrix.of(required(tensors, "features"))
    if (matrix.cols !== provenance.extractor.dims || !Matrix.allFinite(matrix))
      Failure.raise("BadArchive", "the features are not finite, or their dimension is not that of their extractor")
    return { ...provenance, matrix, ...(tensors.logits && { logits: Matrix.of(required(tensors, "logits")) }) }
  })

/** Statistics; those of another program have no provenance. */
export interface Moments extends GaussianStats.Moments {
  readonly path: string
  readonly provenance?: FeatureSet.Provenance
}

/** `.npz` statistics, ours or those of pytorch-fid and clean-fid. */
export const readMoments = (file: string): TE.TaskEither<Failure.Failure, Moments> =>
  pipe(
    StatisticsNpz.read(file),
    TE.flatMapEither(({ provenance, ...moments }) =>
      E.tryCatch(
        () => ({ path: file, ...moments, ...(provenance !== undefined && { provenance: checked(provenance) }) }),
        Failure.fromThrown,
      ),
    ),
    TE.mapLeft(Failure.inFile(file)),
  )

/** What FID needs of a set, or of a part of one: an `.npz`, or `count`, `mean` `[d]`, `scatter` `[d, d]` in float64. */
export const writeSummary = (file: string, summary: FeatureSet.Summary): TE.TaskEither<Failure.Failure, void> => {
  if (file.endsWith(".npz"))
    return StatisticsNpz.write(file, { ...GaussianStats.moments(summary.stats), provenance: provenanceOf(summary) })
  const { count, mean, scatter } = summary.stats
  return Safetensors.write(
    file,
    {
      count: NdArray.make("float64", [], Float64Array.of(count)),
      mean: NdArray.make("float64", [mean.length], mean),
      scatter: NdArray.make("float64", [scatter.rows, scatter.cols], scatter.data),
    },
    { provenance: JSON.stringify(provenanceOf(summary)) },
  )
}

const ofMoments = ({ path, provenance, ...moments }: Moments): FeatureSet.Summary => {
  if (provenance === undefined)
    return Failure.raise(
      "BadArchive",
      "the file does not say how many images its statistics summarise, so they cannot be merged",
      { file: path },
    )
  return { ...provenance, stats: GaussianStats.ofMoments(moments, provenance.origin.count) }
}

export const readSummary = (file: string): TE.TaskEither<Failure.Failure, FeatureSet.Summary> =>
  file.endsWith(".npz")
    ? pipe(
        readMoments(file),
        TE.flatMapEither((moments) => E.tryCatch(() => ofMoments(moments), Failure.fromThrown)),
      )
    : readScatter(file)

const readScatter = (file: string): TE.TaskEither<Failure.Failure, FeatureSet.Summary> =>
  reading(file, ({ tensors, metadata }) => {
    const [count, mean, scatter] = ["count", "mean", "scatter"].map((path) => required(tensors, path))
    const d = mean!.data.length
    if (scatter!.shape.join() !== `${d},${d}` || ![mean!, scatter!].every(({ data }) => data.every(Number.isFinite)))
      Failure.raise("BadArchive", `expected a finite mean [${d}] and scatter [${d}, ${d}], found [${scatter!.shape}]`)
    return {
      ...parseProvenance(metadata.provenance),
      stats: { count: count!.data[0]!, mean: mean!.data, scatter: Matrix.make(d, d, scatter!.data) },
    }
  })

/** The first difference that forbids comparing or merging two sides; undefined if there is none. */
export const disagreement = (a: FeatureSet.Provenance, b: FeatureSet.Provenance): string | undefined => {
  const keys = ["mode", "resize", "normalise", "size"] as const
  const differs = keys.find((key) => a[key] !== b[key])
  if (differs !== undefined) return `${differs}: ${a[differs] ?? "none"} against ${b[differs] ?? "none"}`
  return a.extractor.sha256 !== b.extractor.sha256 || a.extractor.dims !== b.extractor.dims
    ? `extractor: ${a.extractor.name} against ${b.extractor.name}`
    : undefined
}

const nameOf = ({ index, of }: FeatureSet.Shard): string => `${index + 1}/${of}`

/** The missing shards, if all sides are shards. A shard that is given twice is refused. */
const missing = (shards: readonly FeatureSet.Summary[]): readonly string[] => {
  const parts = shards.flatMap(({ shard }) => shard ?? [])
  const given = new Set(parts.map(nameOf))
  // shards of earlier versions do not name their set
  const known = shards.flatMap(({ shard, origin: { partOf, path } }) =>
    shard === undefined || partOf === undefined ? [] : [{ partOf, name: `${nameOf(shard)} of ${path}` }],
  )
  if (new Set(known.map(({ partOf }) => partOf)).size > 1) {
    const names = known.map(({ name }) => name).join(", ")
    Failure.raise("BadShards", `the shards belong to different sets; merge each set separately: ${names}`)
  }
  if (given.size < parts.length || new Set(parts.map(({ of }) => of)).size > 1)
    Failure.raise("BadShards", `expected every shard of one set at most once, found ${parts.map(nameOf).join(", ")}`)
  const of = parts.length === shards.length ? parts[0]!.of : 0
  return Array.from({ length: of }, (_, index) => nameOf({ index, of })).filter((name) => !given.has(name))
}

/** One origin for all shards; the same images twice are refused. */
const union = (shards: readonly FeatureSet.Summary[]): FeatureSet.Origin => {
  const origins = shards.map(({ origin }) => origin)
  const hashes = origins.filter(({ count }) => count > 0).map(({ sha256 }) => sha256)
  if (new Set(hashes).size < hashes.length) Failure.raise("BadShards", "the same images are given twice")
  const absent = missing(shards)
  const sides = origins.reduce<FeatureExtraction.Range | undefined>(
    (all, { shorterSide }) => FeatureExtraction.widest(all, shorterSide),
    undefined,
  )
  const sum = (f: (origin: FeatureSet.Origin) => number): number => origins.reduce((n, o) => n + f(o), 0)
  return {
    path: [...new Set(origins.map(({ path }) => path))].join(", "),
    count: sum(({ count }) => count),
    broken: sum(({ broken }) => broken),
    sha256: Sha256.make().update(hashes.sort().join("\n")).hex(),
    ...(sides !== undefined && { shorterSide: sides }),
    warnings: [
      ...new Set(origins.flatMap(({ warnings }) => warnings)),
      ...(absent.length > 0 ? [`the merged statistics lack the shards ${absent.join(", ")}`] : []),
    ],
  }
}

/** The statistics of all shards together; shards made differently are refused. */
export const merge = (shards: readonly FeatureSet.Summary[]): E.Either<Failure.Failure, FeatureSet.Summary> =>
  E.tryCatch(() => {
    const [first, ...others] = shards
    if (first === undefined)
      return Failure.raise("BadArchive", "nothing to merge: expected at least one file of statistics")
    for (const other of others) {
      const differs = disagreement(first, other)
      if (differs !== undefined) Failure.raise("DifferentProtocols", `the shards were made differently (${differs})`)
    }
    const { shard: _, ...rest } = first
    const stats = others.reduce((all, other) => GaussianStats.merge(all, other.stats), first.stats)
    return { ...rest, stats, origin: union(shards) }
  }, Failure.fromThrown)
