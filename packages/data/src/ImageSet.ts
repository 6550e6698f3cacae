/**
 * One interface for many pictures: a folder (sub-folders can be classes), a zip (stored or deflated, with NVlabs' `dataset.json` if
 * there is one), a safetensors file with `images`, or a single picture. An image is decoded only on request.
 */
import { ByteSource } from "@adafm/checkpoint"
import { Disk, Failure, Files, NdArray, Safetensors, Sha256 } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { z } from "zod"
import * as ImageSource from "#ImageSource"
import * as Channels from "./Channels.ts"
import type * as FileNames from "./FileNames.ts"
import type * as Image from "./Image.ts"
import * as Limits from "./Limits.ts"
import * as PictureBudget from "./PictureBudget.ts"
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
  /** What looks like a picture or a folder of them but cannot be read, such as a link to a device. */
  readonly leftOut?: readonly FileNames.LeftOut[]
  /** How the bytes of an image are encoded. */
  readonly form: StoredImage.Form
  /** Bytes of one image as it is stored; 0 if that is not known before it is read. */
  readonly size: (i: number) => TE.TaskEither<Failure.Failure, number>
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

/** One image as `PictureBudget` admits it. */
export const picture = (
  { form, size, read }: Pick<ImageSet, "form" | "size" | "read">,
  i: number,
): PictureBudget.Picture => ({
  form,
  // an image whose size is unknown because it is missing fails when it is read
  size: () =>
    pipe(
      size(i),
      TE.getOrElse(() => async () => 0),
    )(),
  read: () => Failure.orThrow(read(i)),
})

/** `digest` and `decode` of a set, from its `read`. */
export const looking = (
  set: Pick<ImageSet, "path" | "names" | "form" | "size" | "read">,
): Pick<ImageSet, "digest" | "decode"> => ({
  digest: (i) =>
    pipe(
      set.read(i),
      TE.map((bytes) => StoredImage.digest(bytes, set.form)),
    ),
  decode: (i, alpha) =>
    pipe(
      Failure.attempt(async () => {
        const { bytes, release } = await PictureBudget.admit(picture(set, i))
        return Failure.orThrow(StoredImage.decode(set.form, bytes, alpha)).finally(release)
      }),
      TE.mapLeft((failure) => ({ ...failure, file: set.path, path: set.names[i]! })),
    ),
})

const files = (n: number): string => (n === 1 ? "1 file" : `${n} files`)

const shown = (names: readonly string[]): string => `${names.slice(0, 3).join(", ")}${names.length > 3 ? ", …" : ""}`

/** How to convert pictures in other formats. */
const conversion = (foreign: readonly string[]): string => {
  const kinds = [...new Set(foreign.map((name) => name.slice(name.lastIndexOf(".") + 1).toUpperCase()))]
  const listed = kinds.length === 1 ? `${kinds[0]} is` : `${kinds.slice(0, -1).join(", ")} and ${kinds.at(-1)} are`
  return `skipped ${files(foreign.length)}: ${shown(foreign)} (${listed} not supported); convert to JPEG first: \`magick mogrify -format jpg *.heic\` (ImageMagick) or \`sips -s format jpeg *.heic --out jpegs\` (macOS)`
}

/** Which pictures are skipped, why, and how to convert them: `skipped 2 files: a.heic, b.bmp (HEIC and BMP are not supported); …`. */
export const advice = ({ foreign = [], leftOut = [] }: Pick<ImageSet, "foreign" | "leftOut">): string | undefined => {
  const parts = [
    ...(leftOut.length === 0
      ? []
      : [
          `left out ${shown(leftOut.map(({ name, reason }) => `${name} (${reason})`))}${leftOut.length > 3 ? ` ${leftOut.length} in all` : ""}`,
        ]),
    ...(foreign.length === 0 ? [] : [conversion(foreign)]),
  ]
  return parts.length === 0 ? undefined : parts.join("; ")
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
  const numbers = new Map(classes.map((name, number) => [name, number]))
  return { classes, labels: Int32Array.from(classOf, (c) => (named ? numbers.get(c as string)! : 0)) }
}

/** Labels counted from 0 without gaps, and the numbers that they had: a class without images is none. */
const dense = (given: ArrayLike<number>): { readonly labels: Int32Array; readonly numbers: readonly number[] } => {
  const numbers = [...new Set(Array.from(given))].sort((a, b) => a - b)
  const places = new Map(numbers.map((number, place) => [number, place]))
  return { labels: Int32Array.from(given, (number) => places.get(number)!), numbers }
}

/** The `dataset.json` of a set: at its root, or in the folder that holds all images, as when a folder was zipped. */
const datasetOf = (all: readonly string[], images: readonly string[]): string | undefined =>
  all.find((name) => {
    const folder = folderOf(name)
    const isIts = name === (folder === "" ? "dataset.json" : `${folder}/dataset.json`)
    return isIts && (folder === "" || images.every((image) => image.startsWith(`${folder}/`)))
  })

const Dataset = z.looseObject({
  labels: z.array(z.tuple([z.string(), z.number().int().min(0).max(Limits.LABEL)])).nullish(),
})

/** NVlabs' `{"labels": [[path, n], …]}`; a class is named after the folder that holds all of its images, otherwise by its number. */
const byDataset = (names: readonly string[], file: string, json: Uint8Array): Labelling => {
  const fail = (message: string): never => Failure.raise("BadDatasetJson", message, { path: file })
  const folder = folderOf(file)
  const own = (name: string): string => (folder === "" ? name : name.slice(folder.length + 1))
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
  const { labels, numbers } = dense(
    names.map((name) => listed.get(own(name)) ?? fail(`there is no label for ${own(name)}`)),
  )
  const folders = numbers.map(() => new Set<string>())
  names.forEach((name, i) => {
    folders[labels[i]!]!.add(folderOf(own(name)))
  })
  const classes = folders.map((f, n) => (f.size === 1 && [...f][0] !== "" ? [...f][0]! : String(numbers[n])))
  return { labels, classes: new Set(classes).size === numbers.length ? classes : numbers.map(String) }
}

const ofFiles = (path: string, source: ImageSource.FileSource): TE.TaskEither<Failure.Failure, ImageSet> => {
  const names = source.names.filter((name) => EXTENSIONS.test(name))
  const size = (i: number): TE.TaskEither<Failure.Failure, number> => source.size(names[i]!)
  const read = (i: number): TE.TaskEither<Failure.Failure, Uint8Array> => source.read(names[i]!)
  const dataset = datasetOf(source.names, names)
  const foreign = source.names.filter((name) => FOREIGN.test(name))
  const leftOut = source.leftOut.filter(({ name, reason }) => EXTENSIONS.test(name) || reason.includes("folder"))
  const advised = advice({ foreign, leftOut })
  if (names.length === 0)
    return TE.left(
      Failure.make(
        "NoImages",
        [
          `there is no PNG, JPEG, WebP, GIF, TIFF or AVIF image among ${files(source.names.length)}`,
          ...(advised === undefined ? [] : [advised]),
        ].join("; "),
      ),
    )
  return pipe(
    dataset === undefined ? TE.right<Failure.Failure, Uint8Array | undefined>(undefined) : source.read(dataset),
    TE.flatMapEither((json) =>
      E.tryCatch(() => (json === undefined ? byFolder(names) : byDataset(names, dataset!, json)), Failure.fromThrown),
    ),
    TE.map((labelling) => ({
      ...labelling,
      path,
      names,
      lossy: names.some((name) => LOSSY.test(name)),
      foreign,
      leftOut,
      form: StoredImage.FILE,
      size,
      read,
      ...looking({ path, names, form: StoredImage.FILE, size, read }),
      close: source.close,
    })),
  )
}

/** The labels of the images, checked before they are narrowed to 32 bits; all 0 without a tensor. */
const labelsOf = (y: NdArray.NdArray | undefined, count: number): Int32Array => {
  if (y === undefined) return new Int32Array(count)
  const labels = NdArray.toFloat64(y).data
  const odd = labels.find((label) => !Number.isInteger(label) || label < 0 || label > Limits.LABEL)
  return labels.length === count && odd === undefined
    ? Int32Array.from(labels)
    : Failure.raise(
        "BadTensor",
        `expected ${count} whole numbers from 0 to ${Limits.LABEL}, found ${odd === undefined ? `${labels.length} of them` : odd}`,
        { path: "labels" },
      )
}

/** Bytes of a file that are compared with its digests at a time. */
const PIECE = 1 << 20

/**
 * `images`: `[N, C, H, W]`, float32 in [-1, 1] or uint8; optional `labels` (or `y`): `[N]` integers. The file is compared with its
 * digests once; images are read one by one.
 */
const ofTensors = (path: string): TE.TaskEither<Failure.Failure, ImageSet> =>
  Failure.attempt(async () => {
    const header = await Failure.orThrow(Safetensors.readHeader(path))
    const { images, labels: own, y = own } = header.entries
    if (images === undefined)
      return Failure.raise(
        "NoImages",
        `the file has no tensor images, only ${Object.keys(header.entries).join(", ") || "none"}`,
      )
    const [n = 0, c = 0, h = 0, w = 0] = images.shape
    const { dtype } = images
    if (images.shape.length !== 4 || n * h * w === 0 || !Channels.isCount(c))
      return Failure.raise("BadTensor", `expected [N, 1, 3 or 4, H, W], found [${images.shape.join(", ")}]`, {
        path: "images",
      })
    if (dtype !== "float32" && dtype !== "uint8")
      return Failure.raise("BadTensor", `expected float32 or uint8, found ${dtype}`, { path: "images" })
    if (n > Limits.IMAGES || h * w > Limits.PIXELS)
      return Failure.raise(
        "BadTensor",
        `${n} images of ${h} × ${w} pixels; the limits are ${Limits.IMAGES} images and ${Limits.PIXELS} pixels`,
        { path: "images" },
      )
    const handle = await Disk.openFile(path)
    try {
      const range = async (begin: number, end: number): Promise<Uint8Array> => {
        const bytes = new Uint8Array(end - begin)
        return (await Files.readInto(handle, bytes, begin)) === bytes.length
          ? bytes
          : Failure.raise("TruncatedFile", "the file became shorter while it was read", { offset: begin })
      }
      const source = ByteSource.ofDescriptor(handle.fd, (await handle.stat()).size)
      Safetensors.verify(header, ({ begin, end }) => ByteSource.pieces(source, begin, end - begin, PIECE))
      const row = (images.end - images.begin) / n
      const digits = String(n - 1).length
      const stored = {
        path,
        names: Array.from({ length: n }, (_, i) => `images/${String(i).padStart(digits, "0")}`),
        form: { kind: "tensor", dtype, shape: [c, h, w] },
        size: () => TE.right(row),
        read: (i) => Failure.attempt(() => range(images.begin + i * row, images.begin + (i + 1) * row)),
      } satisfies Pick<ImageSet, "path" | "names" | "form" | "size" | "read">
      const labels = labelsOf(y && NdArray.fromBytes(y.dtype, y.shape, await range(y.begin, y.end)), n)
      const counted = dense(labels)
      return {
        ...stored,
        ...looking(stored),
        labels: counted.labels,
        classes: counted.numbers.length === 1 ? ["all"] : counted.numbers.map(String),
        lossy: false,
        close: () => handle.close(),
      }
    } catch (thrown) {
      await handle.close()
      throw thrown
    }
  })

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
  size: (i) => set.size(places[i]!),
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
export const hash = (
  set: ImageSet,
  onProgress?: (done: number, total: number) => void,
): TE.TaskEither<Failure.Failure, string> =>
  Failure.attempt(async () => {
    const digests: (string | undefined)[] = []
    for (let i = 0; i < set.names.length; i++) {
      const digest = await set.digest(i)()
      digests.push(E.isRight(digest) ? digest.right : undefined)
      onProgress?.(i + 1, set.names.length)
    }
    return hashOf(set.names, digests)
  })
