/** Images → a matrix of features, with the origin that every score carries. */
import { createHash } from "node:crypto"
import { Failure, NdArray, Rng } from "@adafm/core"
import { Decoded, Image, ImageSet, Resize } from "@adafm/data"
import * as E from "fp-ts/lib/Either.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import type * as Extractor from "./Extractor.ts"
import * as Matrix from "./linalg/Matrix.ts"
import * as Protocol from "./Protocol.ts"

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
  /** Images of one run of the network. */
  readonly batch?: number
  /** The authors' real images are drawn with flips and dither: `authors` mode, reference side. */
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

export interface Features {
  /** `[N, dims]` */
  readonly matrix: Matrix.Matrix
  /** `[N, classes]`, when the network has a classifier. */
  readonly logits?: Matrix.Matrix
  readonly origin: Origin
  readonly extractor: Extractor.Identity
  readonly mode: Protocol.Mode
  readonly resize: string
  readonly normalise: string
  readonly size?: number
  readonly seed: number
}

/** Images a run; larger batches are no faster on a processor. */
const BATCH = 8

/** Rows collected one batch at a time. */
interface Rows {
  readonly add: (rows: NdArray.NdArray<"float32">) => void
  readonly matrix: () => Matrix.Matrix
}

const rows = (): Rows => {
  const parts: NdArray.NdArray<"float32">[] = []
  return {
    add: (part) => void parts.push(part),
    matrix: () => {
      const cols = parts[0]?.shape[1] ?? 0
      const out = Matrix.make(
        parts.reduce((n, { shape }) => n + shape[0]!, 0),
        cols,
      )
      let at = 0
      for (const { data } of parts) {
        out.data.set(data, at)
        at += data.length
      }
      return out
    },
  }
}

/** Fills batches and runs the network whenever one is full. */
const collector = (extractor: Extractor.Extractor, size: number) => {
  const { protocol } = extractor
  const [features, logits] = [rows(), rows()]
  const shape = [size, 3, ...extractor.size]
  const [input, second] = [NdArray.zeros("float32", shape), protocol.scoreInput && NdArray.zeros("float32", shape)]
  let filled = 0
  const cut = (batch: NdArray.NdArray<"float32">): NdArray.NdArray<"float32"> =>
    NdArray.float32([filled, ...shape.slice(1)], batch.data.subarray(0, (batch.data.length / size) * filled))
  const flush = async (): Promise<void> => {
    if (filled === 0) return
    const results = await extractor.run(cut(input))
    features.add(results.features!)
    if (extractor.hasLogits) {
      const scored = second === undefined ? results : await extractor.run(cut(second))
      logits.add(scored[protocol.logits]!)
    }
    filled = 0
  }
  return {
    add: async (image: Protocol.Picture): Promise<void> => {
      Protocol.prepare(protocol, image, input, filled)
      if (second && protocol.scoreInput && extractor.hasLogits)
        Protocol.prepare({ ...protocol, ...protocol.scoreInput }, image, second, filled)
      filled++
      if (filled === size) await flush()
    },
    end: async (): Promise<{ readonly features: Matrix.Matrix; readonly logits?: Matrix.Matrix }> => {
      await flush()
      return { features: features.matrix(), ...(extractor.hasLogits && { logits: logits.matrix() }) }
    },
  }
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

const warningsOf = (set: ImageSet.ImageSet): readonly string[] =>
  set.lossy ? ["the images are JPEG: traces of lossy compression move FID; compare only sets stored alike"] : []

/** The seeded subset that `count` means: uniform over the images, in order of name. */
const chosen = (set: ImageSet.ImageSet, count: number | undefined, seed: number): ImageSet.ImageSet =>
  count === undefined || count >= set.names.length
    ? set
    : ImageSet.pick(
        set,
        [...Rng.permutation(Rng.at(seed, "metrics/subset"), set.names.length).subarray(0, count)].sort((a, b) => a - b),
      )

const unwrap = <A>(either: E.Either<Failure.Failure, A>): A => {
  if (E.isLeft(either)) throw new Failure.Raised(either.left)
  return either.right
}

/** Runs the network over a source. Not finite features are a failure. */
export const of = (
  source: Source,
  extractor: Extractor.Extractor,
  options: Options = {},
): TE.TaskEither<Failure.Failure, Features> =>
  TE.tryCatch(async () => {
    const { count, size, seed = 0, batch = BATCH, authorsReals = false, onProgress } = options
    const began = performance.now()
    let done = 0
    const collect = collector(extractor, batch)
    const add = async (image: Image.Rgb, total: number | undefined): Promise<void> => {
      const fitted = size === undefined ? image : Resize.fit(image, size)
      await collect.add(authorsReals ? dithered(fitted, seed, done) : fitted)
      done++
      onProgress?.(done, total, (1000 * done) / (performance.now() - began))
    }
    let origin: Omit<Origin, "count">
    if (source.kind === "images") {
      const set = chosen(source.set, count, seed)
      const broken = unwrap(await Decoded.forEach(set, ({ image }) => add(image, set.names.length))())
      const short = count !== undefined && count > set.names.length
      origin = {
        path: set.path,
        sha256: unwrap(await ImageSet.hash(set)()),
        broken: broken.length,
        warnings: [
          ...warningsOf(set),
          ...(broken.length > 0 ? [`${broken.length} broken images were left out, the first: ${broken[0]!.name}`] : []),
          ...(short ? [`${count} images were asked for, the set has ${set.names.length}`] : []),
        ],
      }
    } else {
      const pixels = createHash("sha256")
      batches: for await (const images of source.batches)
        for (const image of Image.fromNchw(images)) {
          if (done === count) break batches
          pixels.update(image.data)
          await add(image, count)
        }
      if (done === 0 || (count !== undefined && done < count))
        Failure.raise("TooFewImages", `${source.name} gave ${done} images, ${count ?? "some"} were wanted`)
      origin = { path: source.name, sha256: pixels.digest("hex"), broken: 0, warnings: [] }
    }
    const { features, logits } = await collect.end()
    const whole = extractor.protocol.batch
    const kept = whole === undefined ? features.rows : features.rows - (features.rows % whole)
    const first = (m: Matrix.Matrix): Matrix.Matrix => Matrix.make(kept, m.cols, m.data.subarray(0, kept * m.cols))
    if (!Matrix.allFinite(features))
      Failure.raise("BadFeatures", `the features of ${origin.path} are not finite numbers`, { file: origin.path })
    const { name, dims, sha256, comparable, protocol } = extractor
    return {
      matrix: first(features),
      ...(logits && { logits: first(logits) }),
      origin: { ...origin, count: kept },
      extractor: { name, dims, sha256, comparable },
      mode: protocol.mode,
      resize: protocol.resize,
      normalise: protocol.normalise,
      ...(size !== undefined && { size }),
      seed,
    }
  }, Failure.fromThrown)
