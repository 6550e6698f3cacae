/** Decodes pictures and encodes PNG, by sharp. A browser has another `PictureCodec`. */
import { Bytes, Failure, NdArray } from "@adafm/core"
import * as TE from "fp-ts/lib/TaskEither.js"
import type { Sharp } from "sharp"
import * as Channels from "./Channels.ts"
import * as FloatPixels from "./FloatPixels.ts"
import { ODDITIES, type Oddity } from "./Oddity.ts"

export { ODDITIES, type Oddity } from "./Oddity.ts"

/** Row-major RGB, `[H, W, 3]`. */
export type Rgb = NdArray.NdArray<"uint8">

/** The command that installs the decoder. */
export const INSTALL = "npm install --include=optional sharp@0.35.5"

/**
 * The native decoder is imported for the first file, because resizing and batching work without it. libvips prints warnings without
 * the name of a file to stderr, unless this variable is set when it is loaded.
 */
export const load = async () => {
  process.env.VIPS_WARNING ??= "0"
  return (
    await import("sharp").catch(() =>
      Failure.raise("MissingPackage", `sharp cannot be loaded; install it with: ${INSTALL}`),
    )
  ).default
}

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
  if (HEIC.test(Bytes.toLatin1(bytes.subarray(0, 12))))
    return "this is a HEIC file, which is not supported; convert it to JPEG"
  const message = thrown instanceof Error ? thrown.message.trim() : String(thrown)
  if (message.includes("unsupported image format")) return "the content is not PNG, JPEG, WebP, GIF, TIFF or AVIF"
  return message === "Unknown error" ? "the file is damaged or cut off" : [...new Set(message.split("\n"))].join("; ")
}

/** Element types of libvips that are read; the 16 bits of `ushort` are reduced to the upper 8. */
const INTEGERS = ["uchar", "ushort"]
const FLOATS = ["float", "double"]

/** The pixels as they are stored, without the conversion from linear light that libvips makes of floating-point colours. */
const floating = async (image: Sharp, space: "b-w" | "scrgb"): Promise<Rgb> => {
  const { data, info } = await image
    .autoOrient()
    .toColourspace(space)
    .raw({ depth: "float" })
    .toBuffer({ resolveWithObject: true })
  const values = new Float32Array(data.buffer, data.byteOffset, data.length / 4)
  return FloatPixels.toBytes(values, [info.height, info.width, info.channels])
}

const integers = async (image: Sharp, alpha: boolean): Promise<Rgb> => {
  const coloured = image.autoOrient().toColourspace("srgb")
  const { data, info } = await (alpha ? coloured.ensureAlpha() : coloured.flatten({ background: "#ffffff" }))
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true })
  return NdArray.make(
    "uint8",
    [info.height, info.width, info.channels],
    new Uint8Array(data.buffer, data.byteOffset, data.length),
  )
}

/**
 * Decodes PNG, JPEG, WebP, GIF, TIFF or AVIF as a viewer shows it: rotated according to its EXIF tag, transparency on white, grey as
 * RGB, the upper 8 of 16 bits, colours of the palette, the first frame of an animation. CMYK is converted with its colour profile. RGB
 * profiles are ignored, as in Pillow and therefore in every FID implementation. A truncated file is a failure.
 * @param alpha keeps the transparency as a fourth channel, 255 where the file has none
 */
export const decode = (bytes: Uint8Array, alpha = false): TE.TaskEither<Failure.Failure, Rgb> =>
  TE.tryCatch(
    async () => {
      const sharp = await load()
      const options = { failOn: "error", limitInputPixels: MAX_PIXELS, sequentialRead: true } as const
      const { space, depth } = await sharp(bytes, options).metadata()
      const image = sharp(bytes, { ...options, ignoreIcc: space !== "cmyk" })
      if (!INTEGERS.includes(depth) && !FLOATS.includes(depth))
        Failure.raise("BadImage", `the pixels are of type ${depth}, which is not read; convert the picture to 8 bits`)
      const found = INTEGERS.includes(depth)
        ? await integers(image, alpha)
        : await floating(image, space === "b-w" ? space : "scrgb")
      return alpha && found.shape[2] === 3 ? Channels.opaque(found) : alpha ? found : Channels.rgb(found)
    },
    (thrown) => (thrown instanceof Failure.Raised ? thrown.failure : failed(reason(thrown, bytes))),
  )

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
    deep: header.depth === "ushort",
    floating: FLOATS.includes(header.depth),
    cmyk: header.space === "cmyk",
    animated: (header.pages ?? 1) > 1,
  }
  return ODDITIES.filter((oddity) => has[oddity])
}

/** The bytes of a PNG file. `[H, W, 3]`, or RGBA `[H, W, 4]` */
export const png = ({ shape, data }: Rgb): TE.TaskEither<Failure.Failure, Uint8Array> =>
  Failure.attempt(async () => {
    const sharp = await load()
    const raw = { height: shape[0]!, width: shape[1]!, channels: shape[2] as 3 | 4 }
    const buffer = await sharp(data, { raw }).png({ compressionLevel: 9, palette: false }).toBuffer()
    return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
  })
