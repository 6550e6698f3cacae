/**
 * One interface for many pictures: a folder (sub-folders can be classes), a zip (stored or deflated, with NVlabs' `dataset.json` if
 * there is one), a safetensors file with `images`, or a single picture. An image is decoded only on request.
 */

import { Disk, Failure, NdArray, Safetensors, Sha256 } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { z } from "zod"
import * as ImageSource from "#ImageSource"
import * as Channels from "./Channels.ts"
import type * as Image from "./Image.ts"
import * as StoredImage from "./StoredImage.ts"

export interface ImageSet {
  /** The path that was opened. */
  readonly path: string
  /** Names of the images, in byte order. */
  readonly names: readonly string[]
  /** Class of every image, as an index into `classes`. */
  readonly labels: Int32Array
  /** Names of the classes; only `all` if the set has no classes. */
  readonly classes: readonly string[]
  /** Whether some images were compressed with a lossy codec, whose artefacts change FID. */
  readonly lossy: boolean
  /** Names of further pictures, in formats that are not supported. */
  readonly foreign?: readonly string[]
  /** How the bytes of an image are encoded. */
  readonly form: StoredImage.Form
  /** The bytes of one image as they are stored. */
  readonly read: (i: number) => TE.TaskEither<Failure.Failure, Uint8Array>
  /** SHA-256 of these bytes. */
  readonly digest: (i: number) => TE.TaskEither<Failure.Failure, string>
  /** `[H, W, 3]`; with `alpha` `[H, W, 4]`, opaque where the file has no transparency. */
  readonly decode: (i: number, alpha?: boolean) => TE.TaskEither<Failure.Failure, Image.Rgb>
  readonly close: () => Promise<void>
}

const EXTENSIONS = /\.(png|jpe?g|jpe|jfif|webp|gif|tiff?|avif)$/i
/** Pictures that cannot be decoded: HEIC of phones (HEVC is patented), bitmaps, raw files of cameras. */
const FOREIGN = /\.(hei[cf]|bmp|jxl|jp2|psd|dng|cr[23]|nef|arw|orf|raf|rw2)$/i
const LOSSY = /\.(jpe?g|jpe|jfif|avif)$/i

/** `digest` and `decode` of a set, from its `read`. */
export const looking = ({
  path,
  names,
  form,
  read,
}: Pick<ImageSet, "path" | "names" | "form" | "read">): Pick<ImageSet, "digest" | "decode"> => ({
  digest: (i) =>
    pipe(
      read(i),
      TE.map((bytes) => StoredImage.digest(bytes, form)),
    ),
  decode: (i, alpha) =>
    pipe(
      read(i),
      TE.flatMap((bytes) => StoredImage.decode(form, bytes, alpha)),
      TE.mapLeft((failure) => ({ ...failure, file: path, path: names[i]! })),
    ),
})

/** Which pictures are skipped, and how to convert them: `skipped 2 files: a.heic, b.bmp (HEIC and BMP are not supported); …`. */
export const advice = ({ foreign = [] }: Pick<ImageSet, "foreign">): string | undefined => {
  if (foreign.length === 0) return undefined
  const named = `${foreign.slice(0, 3).join(", ")}${foreign.length > 3 ? ", …" : ""}`
  const kinds = [...new Set(foreign.map((name) => name.slice(name.lastIndexOf(".") + 1).toUpperCase()))]
  const listed = kinds.length === 1 ? `${kinds[0]} is` : `${kinds.slice(0, -1).join(", ")} and ${kinds.at(-1)} are`
  const count = foreign.length === 1 ? "1 file" : `${foreign.length} files`
  return `skipped ${count}: ${named} (${listed} not supported); convert to JPEG first: \`magick mogrify -format jpg *.heic\` (ImageMagick) or \`sips -s format jpeg *.heic --out jpegs\` (macOS)`
}

interface Labelling {
  readonly labels: Int32Array
  readonly classes: readonly string[]
}

const folderOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf("/")))

/** The sub-folders of the deepest common folder are the classes. There are none if that folder holds images too. */
const byFolder = (names: readonly string[]): Labelling => {
  const folders = names.map((name) => folderOf(name).split("/"))
  let shared = 0
  while (folders.every((f) => f[shared] !== undefined && f[shared] === folders[0]![shared])) shared++
  const classOf = folders.map((f) => f[shared])
  const named = classOf.every((c) => c !== undefined && c !== "")
  const classes = named
    ? [...new Set(classOf as string[])].sort(ImageSource.byteOrder)
    : [folders[0]?.[shared - 1] || "all"]
  return { classes, labels: Int32Array.from(classOf, (c) => (named ? classes.indexOf(c as string) : 0)) }
}

const Dataset = z.looseObject({
  labels: z.array(z.tuple([z.string(), z.number().int().min(0).max(1_000_000)])).nullish(),
})

/** NVlabs' `{"labels": [[path, n], …]}`; a class is named after the folder that holds all of its images, otherwise by its number. */
const byDataset = (names: readonly string[], json: Uint8Array): Labelling => {
  const fail = (message: string): never => Failure.raise("BadDatasetJson", message, { path: "dataset.json" })
  let raw: unknown
  try {
    raw = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(json))
  } catch (cause) {
    return fail(`not JSON: ${cause instanceof Error ? cause.message : cause}`)
  }
  const parsed = Dataset.safeParse(raw)
  if (!parsed.success) return fail(`expected {"labels": [[path, class], …]}: ${parsed.error.issues[0]?.message}`)
  if (!parsed.data.labels) return byFolder(names)
  const listed = new Map(parsed.data.labels)
  const labels = Int32Array.from(names, (name) => listed.get(name) ?? fail(`there is no label for ${name}`))
  const count = labels.reduce((most, label) => Math.max(most, label), 0) + 1
  const folders = Array.from({ length: count }, () => new Set<string>())
  names.forEach((name, i) => {
    folders[labels[i]!]!.add(folderOf(name))
  })
  const classes = folders.map((f, n) => (f.size === 1 && [...f][0] !== "" ? [...f][0]! : String(n)))
  return { labels, classes: new Set(classes).size === count ? classes : classes.map((_, n) => String(n)) }
}

const ofFiles = (path: string, source: ImageSource.Source): TE.TaskEither<Failure.Failure, ImageSet> => {
  const names = source.names.filter((name) => EXTENSIONS.test(name))
  const read = (i: number): TE.TaskEither<Failure.Failure, Uint8Array> => source.read(names[i]!)
  const dataset = source.names.find((name) => name === "dataset.json")
  const foreign = source.names.filter((name) => FOREIGN.test(name))
  if (names.length === 0)
    return TE.left(
      Failure.make(
        "NoImages",
        [
          `there is no PNG, JPEG, WebP, GIF, TIFF or AVIF image among ${source.names.length === 1 ? "1 file" : `${source.names.length} files`}`,
          ...(advice({ foreign }) === undefined ? [] : [advice({ foreign })]),
        ].join("; "),
      ),
    )
  return pipe(
    dataset === undefined ? TE.right<Failure.Failure, Uint8Array | undefined>(undefined) : source.read(dataset),
    TE.flatMapEither((json) =>
      E.tryCatch(() => (json === undefined ? byFolder(names) : byDataset(names, json)), Failure.fromThrown),
    ),
    TE.map((labelling) => ({
      ...labelling,
      path,
      names,
      lossy: names.some((name) => LOSSY.test(name)),
      foreign,
      form: StoredImage.FILE,
      read,
      ...looking({ path, names, form: StoredImage.FILE, read }),
      close: source.close,
    })),
  )
}

/** `images`: `[N, C, H, W]`, float32 in [-1, 1] or uint8; optional `labels` (or `y`): `[N]` integers. Images are read one by one. */
const ofTensors = (path: string): TE.TaskEither<Failure.Failure, ImageSet> =>
  pipe(
    Safetensors.readHeader(path),
    TE.flatMap(({ entries }) =>
      Failure.attempt(async () => {
        const images = entries.images
        if (images === undefined)
          return Failure.raise(
            "NoImages",
            `the file has no tensor images, only ${Object.keys(entries).join(", ") || "none"}`,
          )
        const [n = 0, c = 0, h = 0, w = 0] = images.shape
        const { dtype } = images
        if (images.shape.length !== 4 || n * h * w === 0 || !Channels.isCount(c))
          return Failure.raise("BadTensor", `expected [N, 1, 3 or 4, H, W], found [${images.shape.join(", ")}]`, {
            path: "images",
          })
        if (dtype !== "float32" && dtype !== "uint8")
          return Failure.raise("BadTensor", `expected float32 or uint8, found ${dtype}`, { path: "images" })
        const handle = await Disk.open(path)
        const range = async (begin: number, size: number): Promise<Uint8Array> => {
          const bytes = new Uint8Array(size)
          await handle.read(bytes, 0, size, begin)
          return bytes
        }
        const row = (c * h * w * (images.end - images.begin)) / (n * c * h * w)
        const read = (i: number): TE.TaskEither<Failure.Failure, Uint8Array> =>
          Failure.attempt(() => range(images.begin + i * row, row))
        const form: StoredImage.Form = { kind: "tensor", dtype, shape: [c, h, w] }
        const digits = String(n - 1).length
        const names = Array.from({ length: n }, (_, i) => `images/${String(i).padStart(digits, "0")}`)
        const y = entries.labels ?? entries.y
        const labels =
          y === undefined
            ? new Int32Array(n)
            : Int32Array.from(
                NdArray.toFloat64(NdArray.fromBytes(y.dtype, y.shape, await range(y.begin, y.end - y.begin))).data,
              )
        if (labels.length !== n || labels.some((label) => label < 0))
          return Failure.raise(
            "BadTensor",
            `expected ${n} labels, all 0 or larger; found ${labels.length}, the smallest ${labels.reduce((least, label) => Math.min(least, label), 0)}`,
            {
              path: "labels",
            },
          )
        const classes = labels.reduce((most, label) => Math.max(most, label), 0) + 1
        const set: ImageSet = {
          path,
          names,
          labels,
          classes: classes === 1 ? ["all"] : Array.from({ length: classes }, (_, k) => String(k)),
          lossy: false,
          form,
          read,
          ...looking({ path, names, form, read }),
          close: () => handle.close(),
        }
        return set
      }),
    ),
  )

/** Opens a folder, a zip, a safetensors file or a single picture. The caller closes the set. */
export const open = (path: string): TE.TaskEither<Failure.Failure, ImageSet> =>
  pipe(
    Failure.attempt(() => Disk.stat(path)),
    TE.flatMap((info) =>
      info.isFile() && path.endsWith(".safetensors")
        ? ofTensors(path)
        : pipe(
            info.isFile() && EXTENSIONS.test(path) ? TE.of(ImageSource.single(path)) : ImageSource.open(path),
            TE.flatMap((source) =>
              pipe(
                ofFiles(path, source),
                TE.orElse((failure) => async () => {
                  await source.close()
                  return E.left(failure)
                }),
              ),
            ),
          ),
    ),
    TE.mapLeft(Failure.inFile(path)),
  )

/** The images at the given indices, in that order, with the same classes. Shares the open file with `set`. */
export const pick = (set: ImageSet, places: readonly number[]): ImageSet => ({
  ...set,
  names: places.map((i) => set.names[i]!),
  labels: Int32Array.from(places, (i) => set.labels[i]!),
  read: (i) => set.read(places[i]!),
  digest: (i) => set.digest(places[i]!),
  decode: (i, alpha) => set.decode(places[i]!, alpha),
})

/** The same images without their colours, still `[H, W, 3]`. Their digests differ from those of the coloured ones. */
export const grey = (set: ImageSet): ImageSet => {
  const form: StoredImage.Form = { ...set.form, grey: true }
  return { ...set, form, ...looking({ ...set, form }) }
}

/** SHA-256 of the lines `<name> <digest>`; the digest of an image that cannot be read is `unreadable`. */
export const hashOf = (names: readonly string[], digests: readonly (string | undefined)[]): string => {
  const total = Sha256.make()
  for (const [i, name] of names.entries()) total.update(`${name} ${digests[i] ?? "unreadable"}\n`)
  return total.hex()
}

/** The hash of all names and stored bytes. A folder and a zip of the same files have equal hashes. */
export const hash = (set: ImageSet): TE.TaskEither<Failure.Failure, string> =>
  Failure.attempt(async () => {
    const digests: (string | undefined)[] = []
    for (let i = 0; i < set.names.length; i++) {
      const digest = await set.digest(i)()
      digests.push(E.isRight(digest) ? digest.right : undefined)
    }
    return hashOf(set.names, digests)
  })
