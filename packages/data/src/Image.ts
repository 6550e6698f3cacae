/** Pictures (8-bit RGB, `[H, W, 3]`): decodes and encodes them, turns batches in [-1, 1] into them, and lays out contact sheets. */

import { Failure, Files, NdArray } from "@adafm/core"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { png, type Rgb } from "#PictureCodec"
import * as Channels from "./Channels.ts"

export {
  decode,
  decodeDrawing,
  ODDITIES,
  type Oddity,
  oddities,
  pixels,
  png,
  type Rgb,
  versions,
} from "#PictureCodec"

export const writePng = (file: string, image: Rgb): TE.TaskEither<Failure.Failure, void> =>
  pipe(
    png(image),
    TE.flatMap((bytes) => Files.write(file, bytes)),
  )

/** A value in [-1, 1] as 8 bits: ⌊(v + 1)·127.5 + ½⌋, clipped, as in torchvision's `save_image`. NaN throws. */
export const quantise = (v: number): number => {
  const q = Math.floor((v + 1) * 127.5 + 0.5)
  if (Number.isNaN(q)) return Failure.raise("NotFinite", "a pixel is NaN")
  return Math.min(255, Math.max(0, q))
}

/**
 * The pictures of a batch in file layout: float32 in [-1, 1] or uint8. `[N, C, H, W] → N × [H, W, 3]`, C 1, 3 or 4 (RGBA)
 * @param alpha keeps RGBA, `[H, W, 4]`, instead of showing it on white
 */
export const fromNchw = (batch: NdArray.NdArray<"float32" | "uint8">, alpha = false): readonly Rgb[] => {
  const [n, c, h, w] = batch.shape as readonly [number, number, number, number]
  if (batch.shape.length !== 4 || !Channels.isCount(c))
    throw new Error(`expected images [N, 1, 3 or 4, H, W], got [${batch.shape.join(", ")}]`)
  const planes = Math.max(3, c)
  const read = batch.dtype === "uint8" ? (v: number) => v : quantise
  return Array.from({ length: n }, (_, i) => {
    const out = new Uint8Array(h * w * planes)
    const from = i * c * h * w
    for (let p = 0, to = 0; p < h * w; p++)
      for (let k = 0; k < planes; k++) out[to++] = read(batch.data[from + p + (c === 1 ? 0 : k * h * w)]!)
    const picture = NdArray.make("uint8", [h, w, planes], out)
    return alpha ? picture : Channels.rgb(picture)
  })
}

export interface SheetOptions {
  /** Pictures in a row; by default the square root of their number, rounded up. */
  readonly columns?: number
  /** White pixels between pictures. */
  readonly gap?: number
  /** Enlargement by a whole number (nearest neighbour). */
  readonly scale?: number
}

/** A contact sheet, filled row by row. Every cell has the size of the largest picture; smaller pictures are at its top left. */
export const sheet = (images: readonly Rgb[], { columns, gap = 2, scale = 1 }: SheetOptions = {}): Rgb => {
  if (images.length === 0) throw new Error("a contact sheet needs at least one picture")
  const across = columns ?? Math.ceil(Math.sqrt(images.length))
  const height = Math.max(...images.map(({ shape }) => shape[0]!)) * scale
  const width = Math.max(...images.map(({ shape }) => shape[1]!)) * scale
  const rows = Math.ceil(images.length / across)
  const [H, W] = [rows * (height + gap) - gap, across * (width + gap) - gap]
  const out = new Uint8Array(H * W * 3).fill(255)
  images.forEach(({ shape, data }, i) => {
    const [top, left] = [Math.trunc(i / across) * (height + gap), (i % across) * (width + gap)]
    const [h, w] = [shape[0]!, shape[1]!]
    for (let y = 0; y < h * scale; y++)
      for (let x = 0; x < w * scale; x++) {
        const from = (Math.trunc(y / scale) * w + Math.trunc(x / scale)) * 3
        out.set(data.subarray(from, from + 3), ((top + y) * W + left + x) * 3)
      }
  })
  return NdArray.make("uint8", [H, W, 3], out)
}
