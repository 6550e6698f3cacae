/** Decodes pictures and encodes PNG, by sharp. A browser has another `PictureCodec`. */
import { Bytes, Failure, NdArray } from "@adafm/core"
import * as TE from "fp-ts/lib/TaskEither.js"
import { ODDITIES, type Oddity } from "./Oddity.ts"

export { ODDITIES, type Oddity } from "./Oddity.ts"

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
  if (HEIC.test(Bytes.toLatin1(bytes.subarray(0, 12))))
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
      const pixels = info.channels === 3 ? data : spread(data, info.channels)
      return NdArray.make(
        "uint8",
        [info.height, info.width, 3],
        new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.length),
      )
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
