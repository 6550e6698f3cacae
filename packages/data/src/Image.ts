/** Decodes and encodes pictures (8-bit RGB, `[H, W, 3]`), turns batches in [-1, 1] into pictures, and lays out contact sheets. */
import { Failure, Files, NdArray } from "@adafm/core"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"

/** Row-major RGB, `[H, W, 3]`. */
export type Rgb = NdArray.NdArray<"uint8">

/** The command that installs the decoder. */
export const INSTALL = "npm install --include=optional sharp@0.35.5"

/** The native decoder is imported for the first file, because resizing and batching work without it. */
const load = async () =>
  (
    await import("sharp").catch(() =>
      Failure.raise("MissingPackage", `sharp cannot be loaded; install it with: ${INSTALL}`),
    )
  ).default

/** Versions of the decoder: another version may decode a file to other pixels. */
export const versions = async (): Promise<Readonly<Record<string, string>>> => {
  const { versions } = await load()
  return { sharp: versions.sharp ?? "unknown", vips: versions.vips }
}

/** Largest picture that is decoded, in pixels: a malicious file of a few kilobytes must not fill the memory. */
const MAX_PIXELS = 268_402_689

const failed = (message: string): Failure.Failure => Failure.make("BadImage", message)

/** The first bytes of HEIC files, which some phones name `.jpg`. */
const HEIC = /^.{4}ftyp(hei|hev|mif|msf)/s

/** Why decoding failed. libvips keeps one error buffer for all threads, so its message can be empty or hold another file's error too. */
const reason = (thrown: unknown, bytes: Uint8Array): string => {
  if (bytes.length === 0) return "the file is empty"
  if (HEIC.test(Buffer.from(bytes.subarray(0, 12)).toString("latin1")))
    return "this is a HEIC file, which is not supported; convert it to JPEG"
  const message = thrown instanceof Error ? thrown.message.trim() : String(thrown)
  if (message.includes("unsupported image format")) return "the content is not PNG, JPEG, WebP, GIF, TIFF or AVIF"
  return message === "Unknown error" ? "the file is damaged or cut off" : [...new Set(message.split("\n"))].join("; ")
}

/**
 * Decodes PNG, JPEG, WebP, GIF, TIFF or AVIF as a viewer shows it: rotated according to its EXIF tag, transparency on white, grey as
 * RGB, the upper 8 of 16 bits, colours of the palette, the first frame of an animation. CMYK is converted with its colour profile. RGB
 * profiles are ignored, as in Pillow and therefore in every FID implementation. A truncated file is a failure.
 */
export const decode = (bytes: Uint8Array): TE.TaskEither<Failure.Failure, Rgb> =>
  TE.tryCatch(
    async () => {
      const sharp = await load()
      const options = { failOn: "error", limitInputPixels: MAX_PIXELS, sequentialRead: true } as const
      const { space } = await sharp(bytes, options).metadata()
      const { data, info } = await sharp(bytes, { ...options, ignoreIcc: space !== "cmyk" })
        .autoOrient()
        .toColourspace("srgb")
        .flatten({ background: "#ffffff" })
        .raw({ depth: "uchar" })
        .toBuffer({ resolveWithObject: true })
      const pixels = info.channels === 3 ? data : Buffer.from(spread(data, info.channels))
      return NdArray.make(
        "uint8",
        [info.height, info.width, 3],
        new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.length),
      )
    },
    (thrown) => (thrown instanceof Failure.Raised ? thrown.failure : failed(reason(thrown, bytes))),
  )

/** Properties of a file that other programs decode differently. */
export const ODDITIES = ["turned", "transparent", "deep", "cmyk", "animated"] as const
export type Oddity = (typeof ODDITIES)[number]

/** The oddities of a file, from its header; none if the header cannot be read. */
export const oddities = async (bytes: Uint8Array): Promise<readonly Oddity[]> => {
  const sharp = await load()
  const header = await sharp(bytes, { limitInputPixels: MAX_PIXELS })
    .metadata()
    .catch(() => undefined)
  if (header === undefined) return []
  const has: Readonly<Record<Oddity, boolean>> = {
    turned: (header.orientation ?? 1) > 1,
    transparent: header.hasAlpha,
    deep: header.depth !== "uchar",
    cmyk: header.space === "cmyk",
    animated: (header.pages ?? 1) > 1,
  }
  return ODDITIES.filter((oddity) => has[oddity])
}

/** Grey (first channel) to RGB. */
const spread = (data: Uint8Array, channels: number): Uint8Array =>
  Uint8Array.from({ length: (data.length / channels) * 3 }, (_, i) => data[Math.trunc(i / 3) * channels]!)

/** The bytes of a PNG file. `[H, W, 3]` */
export const png = ({ shape, data }: Rgb): TE.TaskEither<Failure.Failure, Uint8Array> =>
  Failure.attempt(async () => {
    const sharp = await load()
    const raw = { height: shape[0]!, width: shape[1]!, channels: shape[2] as 3 | 4 }
    const buffer = await sharp(data, { raw }).png({ compressionLevel: 9, palette: false }).toBuffer()
    return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
  })

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

/** The pictures of a batch in file layout: float32 in [-1, 1] or uint8. `[N, C, H, W] → N × [H, W, 3]`, C 1 or 3 */
export const fromNchw = (batch: NdArray.NdArray<"float32" | "uint8">): readonly Rgb[] => {
  const [n, c, h, w] = batch.shape as readonly [number, number, number, number]
  if (batch.shape.length !== 4 || (c !== 3 && c !== 1))
    throw new Error(`expected images [N, 3, H, W] or [N, 1, H, W], got [${batch.shape.join(", ")}]`)
  const read = batch.dtype === "uint8" ? (v: number) => v : quantise
  return Array.from({ length: n }, (_, i) => {
    const out = new Uint8Array(h * w * 3)
    const from = i * c * h * w
    for (let p = 0, to = 0; p < h * w; p++)
      for (let k = 0; k < 3; k++) out[to++] = read(batch.data[from + p + (c === 1 ? 0 : k * h * w)]!)
    return NdArray.make("uint8", [h, w, 3], out)
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
