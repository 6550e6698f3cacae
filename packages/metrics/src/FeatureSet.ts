/** From images to a matrix of features, or to their statistics, with the provenance that every score carries. */
import { Failure, type NdArray } from "@adafm/core"
import * as TE from "fp-ts/lib/TaskEither.js"
import type * as Extractor from "./extractors/Extractor.ts"
import * as FeatureExtraction from "./extractors/FeatureExtraction.ts"
import * as Matrix from "./linalg/Matrix.ts"
import * as Protocol from "./Protocol.ts"
import * as GaussianStats from "./scores/GaussianStats.ts"

export type { Options, Origin, Shard, Source } from "./extractors/FeatureExtraction.ts"

/** How features were made; two sides are compared only if they agree in it. */
export interface Provenance {
  readonly origin: FeatureExtraction.Origin
  readonly extractor: Extractor.Identity
  readonly mode: Protocol.Mode
  readonly resize: string
  readonly normalise: string
  readonly size?: number
  readonly seed: number
  /** Which part of the set this is; absent for the whole set. */
  readonly shard?: FeatureExtraction.Shard
}

export interface Features extends Provenance {
  /** `[N, dims]` */
  readonly matrix: Matrix.Matrix
  /** `[N, classes]`, if the network has a classifier. */
  readonly logits?: Matrix.Matrix
}

export interface Summary extends Provenance {
  readonly stats: GaussianStats.Stats
}

/** The provenance of features that this extractor makes. */
export const provenance = (
  extractor: Extractor.Extractor,
  origin: FeatureExtraction.Origin,
  { size, seed = 0, shard }: FeatureExtraction.Options,
): Provenance => {
  const { name, dims, sha256, comparable, protocol, provider } = extractor
  return {
    origin: { ...origin, warnings: [...origin.warnings, ...(extractor.warnings ?? [])] },
    extractor: { name, dims, sha256, comparable, ...(provider !== undefined && { provider }) },
    mode: protocol.mode,
    resize: Protocol.resizeOf(protocol, extractor.size),
    normalise: protocol.normalise,
    ...(size !== undefined && { size }),
    seed,
    ...(shard !== undefined && { shard }),
  }
}

/** All batches as one float64 matrix, without the images after the last whole multiple. */
const stacked = (parts: readonly NdArray.NdArray<"float32">[], multiple = 1): Matrix.Matrix => {
  const count = parts.reduce((n, { shape }) => n + shape[0]!, 0)
  const cols = parts[0]?.shape[1] ?? 0
  const out = Matrix.make(count, cols)
  let at = 0
  for (const { data } of parts) {
    out.data.set(data, at)
    at += data.length
  }
  const kept = count - (count % multiple)
  return Matrix.make(kept, cols, out.data.subarray(0, kept * cols))
}

const located =
  (source: FeatureExtraction.Source) =>
  (thrown: unknown): Failure.Failure =>
    Failure.inFile(source.kind === "images" ? source.set.path : source.name)(Failure.fromThrown(thrown))

/** The features of every image, in order of name. */
export const of = (
  source: FeatureExtraction.Source,
  extractor: Extractor.Extractor,
  options: FeatureExtraction.Options = {},
): TE.TaskEither<Failure.Failure, Features> =>
  TE.tryCatch(async () => {
    const [features, logits]: NdArray.NdArray<"float32">[][] = [[], []]
    const origin = await FeatureExtraction.run(source, extractor, options, {
      features: (part) => void features!.push(part),
      logits: (part) => void logits!.push(part),
    })
    const matrix = stacked(features!, extractor.protocol.batch)
    return {
      ...provenance(extractor, { ...origin, count: matrix.rows }, options),
      matrix,
      ...(logits!.length > 0 && { logits: stacked(logits!, extractor.protocol.batch) }),
    }
  }, located(source))

/** Rows that are summarised together. */
const CHUNK = 512

/** Only the statistics, in constant memory, for sets of any size. */
export const summary = (
  source: FeatureExtraction.Source,
  extractor: Extractor.Extractor,
  options: FeatureExtraction.Options = {},
): TE.TaskEither<Failure.Failure, Summary> =>
  TE.tryCatch(async () => {
    let stats = GaussianStats.empty(extractor.dims)
    let parts: NdArray.NdArray<"float32">[] = []
    const settle = async (multiple?: number): Promise<void> => {
      const chunk = stacked(parts, multiple)
      parts = []
      if (chunk.rows > 0) stats = GaussianStats.merge(stats, await GaussianStats.of(chunk))
    }
    const origin = await FeatureExtraction.run(source, extractor, options, {
      features: async (part) => {
        if (parts.push(part) * part.shape[0]! >= CHUNK) await settle()
      },
    })
    await settle(options.shard === undefined ? extractor.protocol.batch : 1)
    return { ...provenance(extractor, { ...origin, count: stats.count }, options), stats }
  }, located(source))
