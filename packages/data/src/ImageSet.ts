/**
 * Many pictures behind one interface: a folder (class sub-folders allowed), a zip (stored or deflated, optional
 * `dataset.json` of NVlabs), a safetensors file with `images`, a single picture. Nothing is decoded before it is asked for.
 */
import { createHash } from "node:crypto"
import { open as openFile, stat } from "node:fs/promises"
import { Failure, NdArray, Safetensors } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { z } from "zod"
import type * as Image from "./Image.ts"
import * as ImageSource from "./ImageSource.ts"
import * as StoredImage from "./StoredImage.ts"

export interface ImageSet {
  /** Where it came from. */
  readonly path: string
  /** In byte order. */
  readonly names: readonly string[]
  /** Class of every image, an index into `classes`. */
  readonly labels: Int32Array
  /** Names of the classes; one, `all`, when the set has none. */
  readonly classes: readonly string[]
  /** True when the pixels went through a lossy codec, whose traces move FID. */
  readonly lossy: boolean
  /** Pictures beside these in formats that are not decoded here, by name. */
  readonly foreign?: readonly string[]
  /** What the bytes of an image are. */
  readonly form: StoredImage.Form
  /** The bytes of one image as they are stored. */
  readonly read: (i: number) => TE.TaskEither<Failure.Failure, Uint8Array>
  /** SHA-256 of them. */
  readonly digest: (i: number) => TE.TaskEither<Failure.Failure, string>
  readonly decode: (i: number) => TE.TaskEither<Failure.Failure, Image.Rgb>
  readonly close: () => Promise<void>
}

const EXTENSIONS = /\.(png|jpe?g|jpe|jfif|webp|gif|tiff?|avif)$/i
/** Pictures that no decoder is here for: phones' HEIC (HEVC is patented), bitmaps, raw files of cameras. */
const FOREIGN = /\.(hei[cf]|bmp|jxl|jp2|psd|dng|cr[23]|nef|arw|orf|raf|rw2)$/i
const LOSSY = /\.(jpe?g|jpe|jfif|avif)$/i

/** How images are looked at, from how they are read. */
export const looking = ({
  path,
  names,
  form,
  read,
}: Pick<ImageSet, "path" | "names" | "form" | "read">): Pick<ImageSet, "digest" | "decode"> => ({
  digest: (i) => pipe(read(i), TE.map(StoredImage.digest)),
  decode: (i) =>
    pipe(
      read(i),
      TE.flatMap((bytes) => StoredImage.decode(form, bytes)),
      TE.mapLeft((failure) => ({ ...failure, file: path, path: names[i]! })),
    ),
})

/** What to do about pictures that cannot be read: `2 pictures are left out (a.heic, b.heic): …`. */
export const advice = ({ foreign = [] }: Pick<ImageSet, "foreign">): string | undefined => {
  if (foreign.length === 0) return undefined
  const named = `${foreign.slice(0, 3).join(", ")}${foreign.length > 3 ? ", …" : ""}`
  const kinds = [...new Set(foreign.map((name) => name.slice(name.lastIndexOf(".") + 1).toUpperCase()))].join(", ")
  const count = foreign.length === 1 ? "1 picture is" : `${foreign.length} pictures are`
  return `${count} left out, ${kinds} is not read here (${named}): make JPEGs of them, \`magick mogrify -format jpg *.heic\` (ImageMagick) or \`sips -s format jpeg *.heic --out jpegs\` (macOS)`
}

interface Labelling {
  readonly labels: Int32Array
  readonly classes: readonly string[]
}

const folderOf = (name: string): string => name.slice(0, Math.max(0, name.lastIndexOf("/")))

/** The folders directly below the longest common one are the classes; images beside them mean that there are none. */
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

/** NVlabs' `{"labels": [[path, n], …]}`; a class is named by the folder that all its images are in, else by its number. */
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
  const labels = Int32Array.from(names, (name) => listed.get(name) ?? fail(`no label for ${name}`))
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
          `no PNG, JPEG, WebP, GIF, TIFF or AVIF image among ${source.names.length} files`,
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

/** `images`: `[N, C, H, W]`, float32 in [-1, 1] or uint8; optional `labels` (or `y`): `[N]` integers. Rows are read one by one. */
const ofTensors = (path: string): TE.TaskEither<Failure.Failure, ImageSet> =>
  pipe(
    Safetensors.readHeader(path),
    TE.flatMap(({ entries }) =>
      Failure.attempt(async () => {
        const images = entries.images
        if (images === undefined) return Failure.raise("NoImages", "the file has no tensor `images`")
        const [n = 0, c = 0, h = 0, w = 0] = images.shape
        const { dtype } = images
        if (images.shape.length !== 4 || n * h * w === 0 || (c !== 1 && c !== 3))
          return Failure.raise("BadTensor", `expected [N, 1 or 3, H, W], found [${images.shape.join(", ")}]`, {
            path: "images",
          })
        if (dtype !== "float32" && dtype !== "uint8")
          return Failure.raise("BadTensor", `expected float32 or uint8, found ${dtype}`, { path: "images" })
        const handle = await openFile(path)
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
          return Failure.raise("BadTensor", `expected ${n} labels from 0 on, found ${labels.length}`, {
            path: "labels",
          })
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

/** Opens a folder, a zip, a safetensors file or a single picture. Close it when done. */
export const open = (path: string): TE.TaskEither<Failure.Failure, ImageSet> =>
  pipe(
    Failure.attempt(() => stat(path)),
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

/** The images at the given places, in that order, with their old classes. Shares the open file with `set`. */
export const pick = (set: ImageSet, places: readonly number[]): ImageSet => ({
  ...set,
  names: places.map((i) => set.names[i]!),
  labels: Int32Array.from(places, (i) => set.labels[i]!),
  read: (i) => set.read(places[i]!),
  digest: (i) => set.digest(places[i]!),
  decode: (i) => set.decode(places[i]!),
})

/** SHA-256 over the lines `<name> <digest>`; an image that cannot be read has none. */
export const hashOf = (names: readonly string[], digests: readonly (string | undefined)[]): string => {
  const total = createHash("sha256")
  for (const [i, name] of names.entries()) total.update(`${name} ${digests[i] ?? "unreadable"}\n`)
  return total.digest("hex")
}

/** The hash of all names and stored bytes: equal for a folder and a zip of the same files. */
export const hash = (set: ImageSet): TE.TaskEither<Failure.Failure, string> =>
  Failure.attempt(async () => {
    const digests: (string | undefined)[] = []
    for (let i = 0; i < set.names.length; i++) {
      const digest = await set.digest(i)()
      digests.push(E.isRight(digest) ? digest.right : undefined)
    }
    return hashOf(set.names, digests)
  })
