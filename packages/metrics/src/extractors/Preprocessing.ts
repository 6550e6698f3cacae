/**
 * From an image's stored bytes to the network's input: decoding, crop, resize, normalisation. It runs in worker threads, because
 * ONNX Runtime's `run` blocks the thread that calls it; in the calling thread for few images, or when no thread can be started.
 */
import { type Failure, NdArray, Rng } from "@adafm/core"
import { Image, Resize, StoredImage } from "@adafm/data"
import * as E from "fp-ts/lib/Either.js"
import * as Protocol from "../Protocol.ts"

/** Plain data, because it is sent to another thread. */
export interface Job {
  readonly form: StoredImage.Form
  readonly bytes: Uint8Array
  readonly protocol: Pick<Protocol.Protocol, "resizer" | "scale" | "shift" | "scoreInput">
  /** Height and width of the network's input. */
  readonly input: readonly [number, number]
  /** Centre crop and resize to this size before the protocol's resize. */
  readonly fit?: number
  /** The authors' transform of real images: the seed, and which of its draws. */
  readonly draw?: { readonly seed: number; readonly index: number }
}

export interface Preprocessed {
  /** SHA-256 of the stored bytes. */
  readonly digest: string
  readonly oddities: readonly Image.Oddity[]
  /** Pixels of the shorter side, before any resize. */
  readonly shorterSide?: number
  /** The result of `Protocol.inputs`; a failure for a broken image. */
  readonly inputs: E.Either<Failure.Failure, readonly Float32Array[]>
}

/** Mirrored with probability ½, U[0, 1/128) added in [-1, 1] (spec, section 5). */
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

/** One image, in this thread. */
export const run = async ({ form, bytes, protocol, input, fit, draw }: Job): Promise<Preprocessed> => {
  const digest = StoredImage.digest(bytes, form)
  const decoded = await StoredImage.decode(form, bytes)()
  const oddities = form.kind === "file" ? await Image.oddities(bytes) : []
  if (E.isLeft(decoded)) return { digest, oddities, inputs: decoded }
  const fitted = fit === undefined ? decoded.right : Resize.fit(decoded.right, fit)
  const picture = draw === undefined ? fitted : dithered(fitted, draw.seed, draw.index)
  const shorterSide = Math.min(...decoded.right.shape.slice(0, 2))
  return { digest, oddities, shorterSide, inputs: E.right(Protocol.inputs(protocol, picture, input)) }
}

export interface Preprocessing {
  /** Runs in a worker thread. The first job starts the threads; until they are ready, and after `close`, this thread does the work. */
  readonly run: (job: Job) => Promise<Preprocessed>
  /** Starts the threads and returns how many there are. */
  readonly ready: () => Promise<number>
  readonly close: () => Promise<void>
}
