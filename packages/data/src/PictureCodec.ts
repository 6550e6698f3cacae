/** Decodes pictures and encodes PNG, by sharp. A browser has another `PictureCodec`. */
import { Bytes, Failure, NdArray } from "@adafm/core"
import * as TE from "fp-ts/lib/TaskEither.js"
import type { Metadata, Sharp } from "sharp"
import * as Channels from "./Channels.ts"
import * as FloatPixels from "./FloatPixels.ts"
import * as Heic from "./Heic.ts"
import * as Limits from "./Limits.ts"
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

/**
 * The documented formats by their first bytes, with the names that the decoder gives them. Nothing else reaches it: it knows more
 * formats (SVG, which can take minutes to draw, among them) and recognises them under any file name.
 */
const FORMATS: readonly (readonly [start: RegExp, format: string])[] = [
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the last of the eight bytes with which PNG begins
  [/^\x89PNG\r\n\x1a\n/, "png"],
  [/^\xff\xd8\xff/, "jpeg"],
  [/^RIFF.{4}WEBP/s, "webp"],
  [/^GIF8[79]a/, "gif"],
  // classic and BigTIFF, in both byte orders
  [/^(II[*+]\0|MM\0[*+])/, "tiff"],
  // a box of brands, one of which is AVIF's
  [/^.{4}ftyp(?:.{4})*?avi[fs]/s, "heif"],
]

/** Bytes that decide the format: the brands of AVIF files take no more. */
const HEAD = 64

const formatOf = (bytes: Uint8Array): string | undefined => {
  const head = Bytes.toLatin1(bytes.subarray(0, HEAD))
  return FORMATS.find(([start]) => start.test(head))?.[1]
}

const failed = (message: string): Failure.Failure => Failure.make("BadImage", message)

const UNSUPPORTED = "the content is not PNG, JPEG, WebP, GIF, TIFF or AVIF"
const TOO_SLOW = `the picture is not decoded after ${Limits.SECONDS} s, which is the limit`

/** Why decoding failed. libvips keeps one error buffer for all threads, so its message can be empty or hold another file's error too. */
const reason = (thrown: unknown, bytes: Uint8Array): string => {
  if (bytes.length === 0) return "the file is empty"
  if (Heic.isHeic(bytes)) return Heic.REFUSAL
  const message = thrown instanceof Error ? thrown.message.trim() : String(thrown)
  if (message.includes("unsupported image format")) return UNSUPPORTED
  if (message.includes("exceeds pixel limit"))
    return `the picture has more than ${Limits.PIXELS} pixels, which is the limit`
  if (message.startsWith("timeout")) return TOO_SLOW
  return message === "Unknown error" ? "the file is damaged or cut off" : [...new Set(message.split("\n"))].join("; ")
}

const OPTIONS = { failOn: "error", limitInputPixels: Limits.PIXELS, sequentialRead: true } as const

/** What is decoded, and the header that the decoder reads of it. Raises `BadImage` for other formats. */
const opened = async (bytes: Uint8Array): Promise<{ readonly image: Sharp; readonly header: Metadata }> => {
  const format = formatOf(bytes)
  if (bytes.length === 0 || format === undefined) throw new Error("unsupported image format")
  const image = (await load())(bytes, OPTIONS)
  const header = await image.metadata()
  // the decoder recognises formats by itself: it must come to the same result
  return header.format === format ? { image, header } : Failure.raise("BadImage", UNSUPPORTED)
}

/** The pixels of a picture as its header says; 0 if it cannot be read, and is refused on decoding. */
export const pixels = async (bytes: Uint8Array): Promise<number> =>
  opened(bytes).then(
    ({ header: { width, height } }) => width * height,
    () => 0,
  )

/** Rejects after the time limit. The decoder itself stops at its next step; a single step that never ends cannot be stopped. */
const inTime = async <A>(work: Promise<A>): Promise<A> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Failure.Raised(failed(TOO_SLOW))), 1000 * (Limits.SECONDS + 1))
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Element types of libvips that are read; the 16 bits of `ushort` are reduced to the upper 8. */
const INTEGERS = ["uchar", "ushort"]
const FLOATS = ["float", "double"]

/** The pixels as they are stored, without the conversion from linear light that libvips makes of floating-point colours. */
const floating = async (image: Sharp, space: "b-w" | "scrgb"): Promise<Rgb> => {
  const { data, info } = await inTime(
    image
      .autoOrient()
      .toColourspace(space)
      .raw({ depth: "float" })
      .timeout({ seconds: Limits.SECONDS })
      .toBuffer({ resolveWithObject: true }),
  )
  const values = new Float32Array(data.buffer, data.byteOffset, data.length / 4)
  return FloatPixels.toBytes(values, [info.height, info.width, info.channels])
}

const integers = async (image: Sharp, alpha: boolean): Promise<Rgb> => {
  const coloured = image.autoOrient().toColourspace("srgb")
  const { data, info } = await inTime(
    (alpha ? coloured.ensureAlpha() : coloured.flatten({ background: "#ffffff" }))
      .raw({ depth: "uchar" })
      .timeout({ seconds: Limits.SECONDS })
      .toBuffer({ resolveWithObject: true }),
  )
  return NdArray.make(
    "uint8",
    [info.height, info.width, info.channels],
    new Uint8Array(data.buffer, data.byteOffset, data.length),
  )
}

const decoding = (bytes: Uint8Array, work: () => Promise<Rgb>): TE.TaskEither<Failure.Failure, Rgb> =>
  TE.tryCatch(work, (thrown) => (thrown instanceof Failure.Raised ? thrown.failure : failed(reason(thrown, bytes))))

const decoded = async (bytes: Uint8Array, { space, depth }: Metadata, alpha: boolean): Promise<Rgb> => {
  const image = (await load())(bytes, { ...OPTIONS, ignoreIcc: space !== "cmyk" })
  if (!INTEGERS.includes(depth) && !FLOATS.includes(depth))
    Failure.raise("BadImage", `the pixels are of type ${depth}, which is not read; convert the picture to 8 bits`)
  const found = INTEGERS.includes(depth)
    ? await integers(image, alpha)
    : await floating(image, space === "b-w" ? space : "scrgb")
  return alpha && found.shape[2] === 3 ? Channels.opaque(found) : alpha ? found : Channels.rgb(found)
}

/**
 * Decodes PNG, JPEG, WebP, GIF, TIFF or AVIF as a viewer shows it: rotated according to its EXIF tag, transparency on white, grey as
 * RGB, the upper 8 of 16 bits, colours of the palette, the first frame of an animation. CMYK is converted with its colour profile. RGB
 * profiles are ignored, as in Pillow and therefore in every FID implementation. A truncated file is a failure, and so is one beyond
 * `Limits`.
 * @param alpha keeps the transparency as a fourth channel, 255 where the file has none
 */
export const decode = (bytes: Uint8Array, alpha = false): TE.TaskEither<Failure.Failure, Rgb> =>
  decoding(bytes, async () => decoded(bytes, (await opened(bytes)).header, alpha))

/** Decodes SVG that this program wrote. */
export const decodeDrawing = (bytes: Uint8Array, alpha = false): TE.TaskEither<Failure.Failure, Rgb> =>
  decoding(bytes, async () => decoded(bytes, await (await load())(bytes, OPTIONS).metadata(), alpha))

/** The oddities of a file, from its header; none if the header cannot be read. */
export const oddities = async (bytes: Uint8Array): Promise<readonly Oddity[]> => {
  const found = await opened(bytes).catch(() => undefined)
  if (found === undefined) return []
  const { header } = found
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
