/** Features and statistics as safetensors files, with their provenance; statistics of shards merge into those of the whole. */
import { createHash } from "node:crypto"
import { Failure, type Flat, NdArray, Safetensors } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { z } from "zod"
import type * as Features from "./Features.ts"
import * as Matrix from "./linalg/Matrix.ts"
import * as Protocol from "./Protocol.ts"
import * as Stats from "./Stats.ts"

const Provenance = z.strictObject({
  origin: z.strictObject({
    path: z.string(),
    count: z.number().int().nonnegative(),
    sha256: z.string(),
    broken: z.number().int().nonnegative(),
    warnings: z.array(z.string()),
  }),
  extractor: z.strictObject({ name: z.string(), dims: z.number().int(), sha256: z.string(), comparable: z.boolean() }),
  mode: z.enum(Protocol.MODES),
  resize: z.string(),
  normalise: z.string(),
  size: z.number().int().optional(),
  seed: z.number().int(),
})

const provenanceOf = ({ origin, extractor, mode, resize, normalise, size, seed }: Features.Provenance): string =>
  JSON.stringify({ origin, extractor, mode, resize, normalise, size, seed })

const parseProvenance = (text: string | undefined): Features.Provenance => {
  const parsed = Provenance.safeParse(JSON.parse(text ?? "null"))
  if (!parsed.success)
    return Failure.raise("BadArchive", "the metadata `provenance` are missing or not ours", { path: "provenance" })
  const { size, ...rest } = parsed.data
  return size === undefined ? rest : { ...rest, size }
}

/** `features` `[N, dims]` (and `logits` `[N, classes]`), float32, in order of name. */
export const writeFeatures = (file: string, features: Features.Features): TE.TaskEither<Failure.Failure, void> => {
  const array = ({ rows, cols, data }: Matrix.Matrix): NdArray.NdArray =>
    NdArray.float32([rows, cols], Float32Array.from(data))
  const { matrix, logits } = features
  return Safetensors.write(
    file,
    { features: array(matrix), ...(logits && { logits: array(logits) }) },
    { provenance: provenanceOf(features) },
  )
}

const required = (tensors: Flat.Flat<NdArray.NdArray>, path: string): NdArray.NdArray<"float64"> =>
  NdArray.toFloat64(tensors[path] ?? Failure.raise("BadArchive", "the file lacks this tensor", { path }))

const reading = <A>(file: string, decode: (content: Safetensors.Safetensors) => A): TE.TaskEither<Failure.Failure, A> =>
  pipe(
    Safetensors.read(file),
    TE.flatMapEither((content) => E.tryCatch(() => decode(content), Failure.fromThrown)),
    TE.mapLeft(Failure.inFile(file)),
  )

export const readFeatures = (file: string): TE.TaskEither<Failure.Failure, Features.Features> =>
  reading(file, ({ tensors, metadata }) => {
    const provenance = parseProvenance(metadata.provenance)
    const matrix = Matrix.of(required(tensors, "features"))
    if (matrix.cols !== provenance.extractor.dims || !Matrix.allFinite(matrix))
      Failure.raise("BadArchive", "the features are not finite or have another dimension than their extractor")
    return { ...provenance, matrix, ...(tensors.logits && { logits: Matrix.of(required(tensors, "logits")) }) }
  })

/** `count`, `mean` `[d]`, `scatter` `[d, d]`, float64: all that FID needs of a set, or of a part of one. */
export const writeSummary = (file: string, summary: Features.Summary): TE.TaskEither<Failure.Failure, void> => {
  const { count, mean, scatter } = summary.stats
  return Safetensors.write(
    file,
    {
      count: NdArray.make("float64", [], Float64Array.of(count)),
      mean: NdArray.make("float64", [mean.length], mean),
      scatter: NdArray.make("float64", [scatter.rows, scatter.cols], scatter.data),
    },
    { provenance: provenanceOf(summary) },
  )
}

export const readSummary = (file: string): TE.TaskEither<Failure.Failure, Features.Summary> =>
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

/** What must agree before two sides are compared or merged; undefined when all does. */
export const disagreement = (a: Features.Provenance, b: Features.Provenance): string | undefined => {
  const keys = ["mode", "resize", "normalise", "size"] as const
  const differs = keys.find((key) => a[key] !== b[key])
  if (differs !== undefined) return `${differs}: ${a[differs] ?? "none"} against ${b[differs] ?? "none"}`
  return a.extractor.sha256 !== b.extractor.sha256 || a.extractor.dims !== b.extractor.dims
    ? `extractor: ${a.extractor.name} against ${b.extractor.name}`
    : undefined
}

/** The statistics of all shards together; shards made differently are refused. */
export const merge = (shards: readonly Features.Summary[]): E.Either<Failure.Failure, Features.Summary> =>
  E.tryCatch(() => {
    const [first, ...others] = shards
    if (first === undefined) return Failure.raise("BadArchive", "there is nothing to merge")
    for (const other of others) {
      const differs = disagreement(first, other)
      if (differs !== undefined) Failure.raise("DifferentProtocols", `the shards were made differently (${differs})`)
    }
    const origins = shards.map(({ origin }) => origin)
    const sum = (f: (origin: Features.Origin) => number): number => origins.reduce((n, o) => n + f(o), 0)
    return {
      ...first,
      stats: others.reduce((all, { stats }) => Stats.merge(all, stats), first.stats),
      origin: {
        path: [...new Set(origins.map(({ path }) => path))].join(", "),
        count: sum(({ count }) => count),
        broken: sum(({ broken }) => broken),
        sha256:
          shards.length === 1
            ? first.origin.sha256
            : createHash("sha256")
                .update(
                  origins
                    .map(({ sha256 }) => sha256)
                    .sort()
                    .join("\n"),
                )
                .digest("hex"),
        warnings: [...new Set(origins.flatMap(({ warnings }) => warnings))],
      },
    }
  }, Failure.fromThrown)
