/// <reference lib="webworker" />
/// <reference lib="webworker.asynciterable" />
/** Decodes pictures and encodes PNG, by the browser. Node has another `PictureCodec`. */
import { Failure, NdArray } from "@adafm/core"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Heic from "./Heic.ts"
import * as Limits from "./Limits.ts"
import { ODDITIES, type Oddity } from "./Oddity.ts"

export { ODDITIES, type Oddity } from "./Oddity.ts"

/** Row-major RGB, `[H, W, 3]`. */
export type Rgb = NdArray.NdArray<"uint8">

/** The decoder: another one may decode a file to other pixels. */
export const versions = async (): Promise<Readonly<Record<string, string>>> => ({ decoder: "browser" })

const reason = (bytes: Uint8Array): string => {
  if (bytes.length === 0) return "the file is empty"
  return Heic.isHeic(bytes)
    ? Heic.REFUSAL
    : "the browser cannot decode it: the file is damaged, cut off, or not PNG, JPEG, WebP, GIF or AVIF"
}

const surface = (width: number, height: number): OffscreenCanvasRenderingContext2D =>
  new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true, colorSpace: "srgb" })!

const decoded = async (bytes: Uint8Array, alpha: boolean): Promise<Rgb> => {
  // profiles are ignored, as in Pillow and therefore in every FID implementation
  const picture = await createImageBitmap(new Blob([bytes as Uint8Array<ArrayBuffer>]), {
    imageOrientation: "from-image",
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  }).catch(() => Failure.raise("BadImage", reason(bytes)))
  const { width, height } = picture
  try {
    if (width * height > Limits.PIXELS)
      Failure.raise("BadImage", `the picture has ${width} × ${height} pixels; the limit is ${Limits.PIXELS}`)
    const context = surface(width, height)
    if (!alpha) {
      context.fillStyle = "#fff"
      context.fillRect(0, 0, width, height)
    }
    context.drawImage(picture, 0, 0)
    const { data } = context.getImageData(0, 0, width, height)
    if (alpha) return NdArray.make("uint8", [height, width, 4], new Uint8Array(data))
    const rgb = new Uint8Array(width * height * 3)
    for (let from = 0, to = 0; from < data.length; from += 4) {
      rgb[to++] = data[from]!
      rgb[to++] = data[from + 1]!
      rgb[to++] = data[from + 2]!
    }
    return NdArray.make("uint8", [height, width, 3], rgb)
  } finally {
    picture.close()
  }
}

/**
 * Decodes what the browser can (PNG, JPEG, WebP, GIF, AVIF) as it shows it: rotated according to its EXIF tag, transparency on white,
 * the first frame of an animation. A damaged file is a failure.
 * @param alpha keeps the transparency as a fourth channel, 255 where the file has none
 */
export const decode = (bytes: Uint8Array, alpha = false): TE.TaskEither<Failure.Failure, Rgb> =>
  TE.tryCatch(() => decoded(bytes, alpha), Failure.fromThrown)

/** The browser draws SVG itself. */
export const decodeDrawing = decode

/** A browser tells the pixels of a picture only once it is decoded. */
export const pixels = async (_bytes: Uint8Array): Promise<number> => 0

/** Properties of a file that other programs decode differently; a browser does not tell them. */
export const oddities = async (_bytes: Uint8Array): Promise<readonly Oddity[]> => ODDITIES.slice(0, 0)

/** The bytes of a PNG file. `[H, W, 3]`, or RGBA `[H, W, 4]` */
export const png = ({ shape, data }: Rgb): TE.TaskEither<Failure.Failure, Uint8Array> =>
  Failure.attempt(async () => {
    const [height, width, channels] = shape as readonly [number, number, number]
    const context = surface(width, height)
    const picture = context.createImageData(width, height)
    picture.data.fill(255)
    for (let from = 0, to = 0; from < data.length; from += channels, to += 4)
      picture.data.set(data.subarray(from, from + channels), to)
    context.putImageData(picture, 0, 0)
    const blob = await context.canvas.convertToBlob({ type: "image/png" })
    return new Uint8Array(await blob.arrayBuffer())
  })
