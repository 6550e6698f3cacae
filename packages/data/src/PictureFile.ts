/** Pictures and animations as files, in the format that the file's name says; a name without a known ending is an error. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { rename, rm } from "node:fs/promises"
import { dirname, extname } from "node:path"
import { Failure, Files } from "@adafm/core"
import type * as TE from "fp-ts/lib/TaskEither.js"
import { load, type Rgb } from "./PictureCodec.ts"

const STILL = [".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".avif"] as const
/** Written by sharp. */
const ANIMATED = [".gif", ".webp"] as const
/** Written by ffmpeg. */
const VIDEO = [".mp4", ".webm"] as const
/** Endings of videos and pictures that are not written, so that a typing error does not become the name of a folder. */
const OTHER = [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".avif", ".apng", ".mov", ".avi", ".mkv", ".m4v", ".bmp"]

const endingOf = (file: string): string => extname(file).toLowerCase()
const isOneOf = <A extends string>(endings: readonly A[], ending: string): ending is A =>
  (endings as readonly string[]).includes(ending)

const listed = (endings: readonly string[]): string => `${endings.slice(0, -1).join(", ")} or ${endings.at(-1)}`

/** Whether a path is the name of an animation. A name with the ending of another picture or video is an error, any other is no animation's. */
export const isAnimation = (path: string): boolean => {
  const ending = endingOf(path)
  if (isOneOf([...ANIMATED, ...VIDEO], ending)) return true
  return isOneOf(OTHER, ending)
    ? Failure.raise(
        "UnknownFormat",
        `an animation is written as ${listed([...ANIMATED, ...VIDEO])}, not as ${ending}`,
        {
          file: path,
        },
      )
    : false
}

/** Fails before any work is done if a still picture cannot be written under this name. */
export const requireStill = (file: string): void => {
  const ending = endingOf(file)
  if (isOneOf(STILL, ending)) return
  const hint = isOneOf([".gif", ...VIDEO], ending) ? "; animations are for --out, with --interpolate or --fade" : ""
  Failure.raise(
    "UnknownFormat",
    `a picture is written as ${listed(STILL)}, not as ${ending || "a file without an ending"}${hint}`,
    {
      file,
    },
  )
}

/** Writes one picture. JPEG has quality 95 and no chroma subsampling, WebP and AVIF are lossless. */
export const write = (file: string, { shape, data }: Rgb): TE.TaskEither<Failure.Failure, void> =>
  Failure.attempt(async () => {
    requireStill(file)
    const sharp = await load()
    const picture = sharp(data, { raw: { height: shape[0]!, width: shape[1]!, channels: 3 } })
    const encoded = {
      ".png": () => picture.png({ compressionLevel: 9, palette: false }),
      ".jpg": () => picture.jpeg({ quality: 95, chromaSubsampling: "4:4:4" }),
      ".webp": () => picture.webp({ lossless: true }),
      ".tif": () => picture.tiff({ compression: "deflate" }),
      ".avif": () => picture.avif({ lossless: true }),
    }
    const ending = endingOf(file).replace("jpeg", "jpg").replace("tiff", "tif") as keyof typeof encoded
    await Failure.orThrow(Files.write(file, await encoded[ending]().toBuffer()))
  })

export interface Animation {
  /** Pictures of one size, `[H, W, 3]`. */
  readonly frames: readonly Rgb[]
  /** Frames in a second. */
  readonly fps: number
  /** Milliseconds for which the last frame stays, in GIF and WebP. */
  readonly rest?: number
}

/** The bytes of an animated GIF or WebP, which repeats for ever. */
const encoded = async (
  ending: (typeof ANIMATED)[number],
  { frames, fps, rest = 0 }: Animation,
): Promise<Uint8Array> => {
  const sharp = await load()
  const [height = 0, width = 0] = frames[0]?.shape ?? []
  const delay = frames.map((_, i) => Math.round(1000 / fps) + (i === frames.length - 1 ? rest : 0))
  const raw = { width, height: height * frames.length, channels: 3 as const, pageHeight: height }
  const all = sharp(Buffer.concat(frames.map(({ data }) => data)), { raw, limitInputPixels: false })
  const how = { loop: 0, delay }
  return ending === ".gif"
    ? all.gif({ ...how, effort: 7 }).toBuffer()
    : all.webp({ ...how, lossless: true, effort: 4 }).toBuffer()
}

/** The program, or the one that `ADAFM_FFMPEG` names. */
const ffmpeg = (): string => process.env.ADAFM_FFMPEG ?? "ffmpeg"

const CODECS = {
  ".mp4": ["-c:v", "libx264", "-crf", "16", "-movflags", "+faststart", "-f", "mp4"],
  ".webm": ["-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", "-f", "webm"],
} as const

/** Pipes the frames through ffmpeg into a temporary file, which is renamed. Sides are padded to even numbers, as the codecs need. */
const film = async (file: string, ending: keyof typeof CODECS, { frames, fps }: Animation): Promise<void> => {
  const [height = 0, width = 0] = frames[0]?.shape ?? []
  await Files.folder(dirname(file))
  const temporary = `${file}.tmp-${process.pid}`
  const input = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", `${width}x${height}`, "-r", String(fps), "-i", "-"]
  const output = ["-an", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", ...CODECS[ending], temporary]
  const child = spawn(ffmpeg(), ["-loglevel", "error", "-y", ...input, ...output], {
    stdio: ["pipe", "ignore", "pipe"],
  })
  let told = ""
  child.stderr.on("data", (text) => {
    told += text
  })
  // a program that ends early closes the pipe; its exit code and its messages say why
  child.stdin.on("error", () => {})
  const ended = new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve))
  try {
    for (const { data } of frames) {
      if (child.stdin.destroyed) break
      if (!child.stdin.write(data)) await Promise.race([once(child.stdin, "drain").catch(() => {}), ended])
    }
    child.stdin.end()
    const code = await ended
    if (code !== 0) Failure.raise("FfmpegFailed", `ffmpeg ended with code ${code}: ${told.trim()}`, { file })
    await rename(temporary, file)
  } catch (thrown) {
    await rm(temporary, { force: true })
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT") throw thrown
    Failure.raise(
      "NoFfmpeg",
      `${ending} needs the program ffmpeg, which is not installed (Debian: apt-get install ffmpeg; macOS: brew install ffmpeg); .gif and .webp need nothing`,
      { file },
    )
  }
}

/** Writes an animation as GIF or WebP, or, where ffmpeg is installed, as MP4 (H.264) or WebM (VP9). */
export const animate = (file: string, animation: Animation): TE.TaskEither<Failure.Failure, void> =>
  Failure.attempt(async () => {
    const ending = endingOf(file)
    if (!isAnimation(file) || animation.frames.length === 0)
      return Failure.raise(
        "UnknownFormat",
        `an animation is written as ${listed([...ANIMATED, ...VIDEO])}, not as ${ending || "a file without an ending"}`,
        {
          file,
        },
      )
    if (isOneOf(VIDEO, ending)) return film(file, ending, animation)
    return Failure.orThrow(Files.write(file, await encoded(ending as (typeof ANIMATED)[number], animation)))
  })
