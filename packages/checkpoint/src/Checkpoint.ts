/**
 * A checkpoint of any known format, opened without being executed and without being read whole: names, shapes and places
 * at once, a tensor's bytes when somebody asks for them. The format is told by content, never by the file's name.
 */
import { open as openFile, readdir, stat as statFile } from "node:fs/promises"
import { dirname } from "node:path"
import { Failure, Flat, type NdArray } from "@adafm/core"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as ByteSource from "./ByteSource.ts"
import * as DType from "./DType.ts"
import * as Npz from "./formats/Npz.ts"
import * as OnnxWeights from "./formats/OnnxWeights.ts"
import * as SafetensorsFile from "./formats/SafetensorsFile.ts"
import * as Shards from "./formats/Shards.ts"
import * as Tfjs from "./formats/Tfjs.ts"
import * as JsonFile from "./JsonFile.ts"
import type * as JsonValue from "./JsonValue.ts"
import type * as ParsedFile from "./ParsedFile.ts"
import * as SiblingFiles from "./SiblingFiles.ts"
import * as TensorView from "./TensorView.ts"
import * as LegacyContainer from "./torch/LegacyContainer.ts"
import * as TensorsByPath from "./torch/TensorsByPath.ts"
import * as ZipContainer from "./torch/ZipContainer.ts"
import * as ZipReader from "./zip/ZipReader.ts"

export type Format = ParsedFile.Format

export interface Entry {
  readonly path: Flat.Path
  readonly dtype: DType.DType
  readonly shape: readonly number[]
  /** In elements of the file's storage; not row-major for transposed tensors, 0 for broadcast ones. */
  readonly strides: readonly number[]
  readonly offset: number
  /** Equal for tensors that share memory in the file. */
  readonly storage: string
}

export interface Checkpoint {
  readonly file: string
  readonly bytes: number
  readonly format: Format
  readonly tensors: Flat.Flat<Entry>
  readonly scalars: Flat.Flat<JsonValue.JsonValue>
  readonly metadata: Readonly<Record<string, string>>
  readonly problems: readonly string[]
  /** One tensor, contiguous, in its own dtype or, where arrays have none, a wider one. */
  readonly read: (path: Flat.Path) => NdArray.NdArray
  /** The same in row-major pieces of at most 1 MiB (whole where strides are not row-major). */
  readonly pieces: (path: Flat.Path) => Iterable<NdArray.NdArray>
  /** Checksums of everything in the file, also of what no tensor uses. */
  readonly verify: () => void
}

/** A refusal of a whole part of the file says where the part begins. */
const at = <A>(offset: number, f: () => A): A => {
  try {
    return f()
  } catch (thrown) {
    if (!(thrown instanceof Failure.Raised) || thrown.failure.offset !== undefined) throw thrown
    throw new Failure.Raised({ ...thrown.failure, offset })
  }
}

const torch = (
  format: Format,
  container: { readonly object: Parameters<typeof TensorsByPath.of>[0]; readonly at: number },
  verify: () => void,
  problems: readonly string[],
): ParsedFile.ParsedFile => {
  const { views, scalars } = at(container.at, () => TensorsByPath.of(container.object))
  if (Object.keys(views).length === 0 && "value" in scalars)
    Failure.raise("NotACheckpoint", "the file holds a single value and no tensors", { offset: container.at })
  return { format, views, scalars, metadata: {}, problems, verify }
}

const zip = (source: ByteSource.Source): ParsedFile.ParsedFile => {
  const directory = ZipReader.read(source)
  const root = ZipContainer.rootOf(directory)
  if (root !== undefined) {
    const container = ZipContainer.read(directory, root)
    return torch("torch-zip", container, () => directory.members.forEach(ZipReader.verify), [
      ...directory.problems,
      ...container.problems,
    ])
  }
  if (Npz.isNpz(directory)) return Npz.read(directory)
  return Failure.raise(
    "NotACheckpoint",
    "a zip file that is neither a PyTorch checkpoint (NAME/data.pkl) nor a NumPy .npz",
    { offset: 0 },
  )
}

const nothing = (): void => undefined

/** What a file that is no checkpoint seems to be; its first bytes read as Latin-1. */
const refusals: readonly (readonly [RegExp, string, string])[] = [
  [
    /^version https:\/\/git-lfs/,
    "GitLfsPointer",
    "a Git LFS pointer, not the file itself: fetch it with `git lfs pull`",
  ],
  [/^\s*<(!doctype|html|\?xml)/i, "NotACheckpoint", "a web page: the download answered with an error page"],
  [/^\x89HDF/, "NotACheckpoint", "a Keras HDF5 file; convert it with tensorflowjs_converter to model.json"],
  [/^\x93NUMPY/, "NotACheckpoint", "a bare .npy array; save named arrays with numpy.savez"],
  [
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the first two bytes of gzip
    /^(\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!)/,
    "NotACheckpoint",
    "a compressed file: unpack it first (gunzip, unzstd, 7z x, …)",
  ],
  [
    /^[\s\S]{257}ustar/,
    "NotACheckpoint",
    "a tar archive: unpack it first, or, if PyTorch 0.1 wrote it, save it again with torch.save",
  ],
  [/^(\x89PNG|\xff\xd8\xff|RIFF|GIF8)/, "NotACheckpoint", "an image, not a checkpoint"],
]

const detect = (source: ByteSource.Source, siblings: SiblingFiles.SiblingFiles): ParsedFile.ParsedFile => {
  if (source.size === 0) return Failure.raise("TruncatedFile", "the file is empty", { offset: 0 })
  const head = source.read(0, Math.min(512, source.size))
  // first: a header's length may spell the first bytes of any other format (80 02, "PK", 1f 8b), not its brace
  if (SafetensorsFile.looksLike(head, source.size)) return SafetensorsFile.read(source)
  const text = Buffer.from(head).toString("latin1")
  for (const [pattern, tag, message] of refusals)
    if (pattern.test(text)) return Failure.raise(tag, message, { offset: 0 })
  if (text.startsWith("PK")) return zip(source)
  if (head[0] === 0x80) return torch("torch-legacy", LegacyContainer.open(source), nothing, [])
  if (/^\s*\{/.test(text)) {
    const json = JsonFile.parse(source)
    if (Shards.isIndex(json)) return Shards.read(json, siblings, (shard) => detect(shard, SiblingFiles.none))
    if (Tfjs.isModel(json)) return Tfjs.read(json, siblings)
    return Failure.raise("NotACheckpoint", "JSON, but neither a TensorFlow.js model.json nor a safetensors index", {
      offset: 0,
    })
  }
  if (OnnxWeights.looksLike(head)) return OnnxWeights.read(source)
  return Failure.raise(
    "NotACheckpoint",
    "none of the known formats: PyTorch, safetensors, NumPy .npz, TensorFlow.js, ONNX",
    { offset: 0 },
  )
}

const make = (file: string, bytes: number, parsed: ParsedFile.ParsedFile): Checkpoint => {
  TensorView.checkRepeats(parsed.views)
  const view = (path: Flat.Path): TensorView.View => {
    const found = parsed.views[path] ?? Failure.raise("MissingTensor", "the checkpoint has no such tensor", { path })
    return DType.readAs(found.dtype) === undefined
      ? Failure.raise("UnsupportedDType", `${found.dtype} has no counterpart here`, { path })
      : found
  }
  const tensors = Object.entries(parsed.views).map(([path, v]): Entry => {
    const { dtype, shape, strides, offset } = v
    return { path, dtype, shape, strides, offset, storage: v.storage.key }
  })
  const { format, scalars, metadata, problems, verify } = parsed
  const entries: Record<string, Entry> = Object.create(null)
  for (const entry of tensors) entries[entry.path] = entry
  return {
    file,
    bytes,
    format,
    tensors: entries,
    scalars,
    metadata,
    problems,
    read: (path) => TensorView.read(view(path)),
    pieces: (path) => TensorView.pieces(view(path)),
    verify,
  }
}

/** Opens a checkpoint held in memory, with the files that lie beside it. */
export const ofBytes = (
  bytes: Uint8Array,
  file = "memory",
  beside: Readonly<Record<string, Uint8Array>> = {},
): Checkpoint => make(file, bytes.length, detect(ByteSource.ofBytes(bytes), SiblingFiles.inMemory(beside)))

/** What a checkpoint may be called, for a hint about a folder. */
const CALLED = /\.(pt|pth|ckpt|bin|th|tar|pkl|safetensors|npz|onnx|index\.json)$|^model\.json$/

const refuseFolder = async (folder: string): Promise<never> => {
  const names = (await readdir(folder)).filter((name) => CALLED.test(name)).sort()
  const hint = names.includes("generator.safetensors")
    ? "it seems to be a model folder already, which every verb takes as it is"
    : names.length === 0
      ? "nothing in it is called like one"
      : `name ${names.length === 1 ? "" : "one or more of "}its files: ${names.slice(0, 8).join(", ")}${names.length > 8 ? ", …" : ""}`
  return Failure.raise("NotACheckpoint", `a folder, where the file of a checkpoint is expected; ${hint}`)
}

/**
 * Opens a file, gives its checkpoint to `f`, closes it. `f` may raise; the failure comes back as a value with the file in it.
 */
export const use = <A>(
  file: string,
  f: (checkpoint: Checkpoint) => A | Promise<A>,
): TE.TaskEither<Failure.Failure, A> =>
  pipe(
    TE.tryCatch(async () => {
      const kind = await statFile(file)
      if (kind.isDirectory()) await refuseFolder(file)
      // opening a pipe would wait for somebody to write into it
      if (!kind.isFile()) Failure.raise("NotACheckpoint", "not a regular file, so it cannot be read by range")
      const handle = await openFile(file)
      const siblings = SiblingFiles.inFolder(dirname(file))
      try {
        const { size } = await handle.stat()
        const parsed = detect(ByteSource.ofDescriptor(handle.fd, size), siblings)
        return await f(make(file, size, parsed))
      } finally {
        siblings.close()
        await handle.close()
      }
    }, Failure.fromThrown),
    TE.mapLeft(Failure.inFile(file)),
  )

/** Names, shapes and scalars of a file; nothing can be read from it later. */
export const list = (file: string): TE.TaskEither<Failure.Failure, Omit<Checkpoint, "read" | "pieces" | "verify">> =>
  use(file, ({ read: _read, pieces: _pieces, verify: _verify, ...rest }) => rest)

/** Every tensor of a file, by path. */
export const readAll = (file: string): TE.TaskEither<Failure.Failure, Flat.Flat<NdArray.NdArray>> =>
  use(file, ({ tensors, read }) => Flat.map(tensors, (_, path) => read(path)))
