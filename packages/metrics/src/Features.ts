/** Images → a matrix of features, with the origin that every score carries. */
import { createHash } from "node:crypto"
import { Failure, NdArray, Rng } from "@adafm/core"
import { Decoded, Image, ImageSet, Resize } from "@adafm/data"
import * as E from "fp-ts/lib/Either.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import type * as Extractor from "./Extractor.ts"
import * as Matrix from "./linalg/Matrix.ts"
import * as Protocol from "./Protocol.ts"
import * as Stats from "./Stats.ts"

/**
 * What is scored: an image set, or batches of images `[N, 3, H, W]` (float32 in [-1, 1], quantised to 8 bits first, or uint8)
 * from anything that makes images.
 */
export type Source =
  | { readonly kind: "images"; readonly set: ImageSet.ImageSet }
  | {
      readonly kind: "batches"
      /** For the provenance. */
      readonly name: string
      readonly batches:
        | AsyncIterable<NdArray.NdArray<"float32" | "uint8">>
        | Iterable<NdArray.NdArray<"float32" | "uint8">>
    }

export interface Options {
  /** Images to take: a seeded subset of a set, the first ones of batches; all by default. */
  readonly count?: number
  /** Centre crop and resize to this size before the protocol's own resize; none by default. */
  readonly size?: number
  readonly seed?: number
  /** One of several runs whose statistics are merged. */
  readonly shard?: Shard
  /** Images of one run of the network. */
  readonly batch?: number
  /** The reference side of `authors` mode: batches drawn anew, with flips and dither. */
  readonly authorsReals?: boolean
  readonly onProgress?: (done: number, total: number | undefined, imagesPerSecond: number) => void
}

export interface Origin {
  readonly path: string
  readonly count: number
  /** SHA-256 over names and contents of a set, over the pixels of batches. */
  readonly sha256: string
  readonly broken: number
  readonly warnings: readonly string[]
}

/** How numbers came about; two sides are compared only if these agree. */
export interface Provenance {
  readonly origin: Origin
  readonly extractor: Extractor.Identity
  readonly mode: Protocol.Mode
  readonly resize: string
  readonly normalise: string
  readonly size?: number
  readonly seed: number
  /** Which part of the set this is, the only one there is when absent. */
  readonly shard?: Shard
}

/** Every `of`-th image of a set from `index` (0, …) on. */
export interface Shard {
  readonly index: number
  readonly of: number
}

export interface Features extends Provenance {
  /** `[N, dims]` */
  readonly matrix: Matrix.Matrix
  /** `[N, classes]`, when the network has a classifier. */
  readonly logits?: Matrix.Matrix
}

export interface Summary extends Provenance {
  readonly stats: Stats.Stats
}

/** Images a run; larger batches are no faster on a processor. */
const BATCH = 8

/** Where the network's answers go, a batch at a time. */
interface Sink {
  readonly features: (rows: NdArray.NdArray<"float32">) => void | Promise<void>
  readonly logits?: (rows: NdArray.NdArray<"float32">) => void
}

/** Fills batches and runs the network whenever one is full. */
const feeder = (extractor: Extractor.Extractor, size: number, sink: Sink) => {
  const { protocol } = extractor
  const shape = [size, 3, ...extractor.size]
  const scoring = extractor.hasLogits && sink.logits !== undefined
  const input = NdArray.zeros("float32", shape)
  const scoreInput = scoring && protocol.scoreInput ? NdArray.zeros("float32", shape) : undefined
  let filled = 0
  const cut = (batch: NdArray.NdArray<"float32">): NdArray.NdArray<"float32"> =>
    NdArray.float32([filled, ...shape.slice(1)], batch.data.subarray(0, (batch.data.length / size) * filled))
  const flush = async (): Promise<void> => {
    if (filled === 0) return
    const results = await extractor.run(cut(input))
    const features = results.features!
    if (!features.data.every(Number.isFinite)) Failure.raise("BadFeatures", "the features are not finite numbers")
    await sink.features(features)
    if (scoring) sink.logits?.((scoreInput ? await extractor.run(cut(scoreInput)) : results)[protocol.logits]!)
    filled = 0
  }
  const add = async (image: Protocol.Picture): Promise<void> => {
    Protocol.prepare(protocol, image, input, filled)
    if (scoreInput) Protocol.prepare({ ...protocol, ...protocol.scoreInput }, image, scoreInput, filled)
    filled++
    if (filled === size) await flush()
  }
  return { add, flush }
}

/** The authors' transform of reals: mirrored with probability ½, U[0, 1/128) added in [-1, 1] (spec, section 5). */
const dithered = ({ shape, data }: Image.Rgb, seed: number, i: number): NdArray.NdArray<"float32"> => {
  const [h, w] = shape as [number, number, number]
  const noise = Rng.uniform(Rng.at(seed, "metrics/authors-dither", i), [data.length], 0, 127.5 / 128)
  const mirrored = Rng.uniform(Rng.at(seed, "metrics/authors-flip", i), [1]).data[0]! < 0.5
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++)
      for (let c = 0; c < 3; c++)
        noise.data[(y * w + x) * 3 + c]! += data[(y * w + (mirrored ? w - 1 - x : x)) * 3 + c]!
  return NdArray.float32(shape, noise.data)
}

/** The seeded subset that `count` means: uniform over the images, in order of name. */
const chosen = (set: ImageSet.ImageSet, count: number | undefined, seed: number): ImageSet.ImageSet =>
  count === undefined || count >= set.names.length
    ? set
    : ImageSet.pick(
        set,
        [...Rng.permutation(Rng.at(seed, "metrics/subset"), set.names.length).subarray(0, count)].sort((a, b) => a - b),
      )

/** The authors' reference: every batch is the first of a new shuffle, so that images come again (spec, section 5). */
const redrawn = (set: ImageSet.ImageSet, count = set.names.length, batch: number, seed: number): ImageSet.ImageSet => {
  const size = Math.min(batch, set.names.length)
  const draws = Array.from({ length: Math.ceil(count / size) }, (_, k) => [
    ...Rng.permutation(Rng.at(seed, "metrics/authors-redraw", k), set.names.length).subarray(0, size),
  ])
  return ImageSet.pick(set, draws.flat().slice(0, count))
}

const unwrap = <A>(either: E.Either<Failure.Failure, A>): A => {
  if (E.isLeft(either)) throw new Failure.Raised(either.left)
  return either.right
}

/** Runs the network over a source. */
const scan = async (
  source: Source,
  extractor: Extractor.Extractor,
  { count, size, seed = 0, shard, batch = BATCH, authorsReals = false, onProgress }: Options,
  sink: Sink,
): Promise<Origin> => {
  const began = performance.now()
  let done = 0
  const { add: feed, flush } = feeder(extractor, batch, sink)
  const add = async (image: Image.Rgb, total: number | undefined): Promise<void> => {
    const fitted = size === undefined ? image : Resize.fit(image, size)
    await feed(authorsReals ? dithered(fitted, seed, done) : fitted)
    done++
    onProgress?.(done, total, (1000 * done) / (performance.now() - began))
  }
  if (source.kind === "images") {
    const whole = authorsReals
      ? redrawn(source.set, count, extractor.protocol.batch ?? 1, seed)
      : chosen(source.set, count, seed)
    const places = whole.names.map((_, i) => i)
    const set =
      shard === undefined
        ? whole
        : ImageSet.pick(
            whole,
            places.filter((i) => i % shard.of === shard.index),
          )
    const broken = unwrap(await Decoded.forEach(set, ({ image }) => add(image, set.names.length))())
    await flush()
    const short = count !== undefined && count > whole.names.length
    return {
      path: set.path,
      count: done,
      sha256: unwrap(await ImageSet.hash(set)()),
      broken: broken.length,
      warnings: [
        ...(set.lossy ? ["the images are JPEG, whose traces move FID: compare only sets that are stored alike"] : []),
        ...(broken.length > 0 ? [`${broken.length} broken images were left out, the first: ${broken[0]!.name}`] : []),
        ...(short ? [`${count} images were asked for, the set has ${whole.names.length}`] : []),
      ],
    }
  }
  const pixels = createHash("sha256")
  batches: for await (const images of source.batches)
    for (const image of Image.fromNchw(images)) {
      if (done === count) break batches
      pixels.update(image.data)
      await add(image, count)
    }
  await flush()
  if (done === 0 || (count !== undefined && done < count))
    Failure.raise("TooFewImages", `${source.name} gave ${done} images, ${count ?? "some"} were wanted`)
  return { path: source.name, count: done, sha256: pixels.digest("hex"), broken: 0, warnings: [] }
}

const provenance = (extractor: Extractor.Extractor, origin: Origin, { size, seed = 0, shard }: Options): Provenance => {
  const { name, dims, sha256, comparable, protocol } = extractor
  return {
    origin,
    extractor: { name, dims, sha256, comparable },
    mode: protocol.mode,
    resize: protocol.resize,
    normalise: protocol.normalise,
    ...(size !== undefined && { size }),
    seed,
    ...(shard !== undefined && { shard }),
  }
}

/** All batches as one float64 matrix, less the images beyond the last whole batch where the protocol says so. */
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
  (source: Source) =>
  (thrown: unknown): Failure.Failure =>
    Failure.inFile(source.kind === "images" ? source.set.path : source.name)(Failure.fromThrown(thrown))

/** The features of every image, in order of name. */
export const of = (
  source: Source,
  extractor: Extractor.Extractor,
  options: Options = {},
): TE.TaskEither<Failure.Failure, Features> =>
  TE.tryCatch(async () => {
    const [features, logits]: NdArray.NdArray<"float32">[][] = [[], []]
    const origin = await scan(source, extractor, options, {
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

/** Rows that are summarised at once. */
const CHUNK = 512

/** Statistics only, in constant memory, for sets of any size. */
export const summary = (
  source: Source,
  extractor: Extractor.Extractor,
  options: Options = {},
): TE.TaskEither<Failure.Failure, Summary> =>
  TE.tryCatch(async () => {
    let stats = Stats.empty(extractor.dims)
    let parts: NdArray.NdArray<"float32">[] = []
    const settle = async (): Promise<void> => {
      const chunk = stacked(parts)
      parts = []
      if (chunk.rows > 0) stats = Stats.merge(stats, await Stats.of(chunk))
    }
    const origin = await scan(source, extractor, options, {
      features: async (part) => {
        if (parts.push(part) * part.shape[0]! >= CHUNK) await settle()
      },
    })
    await settle()
    return { ...provenance(extractor, origin, options), stats }
  }, located(source))
