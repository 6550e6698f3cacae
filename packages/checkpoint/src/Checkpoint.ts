/**
 * A checkpoint of any known format, opened without executing it and without reading it whole: names, shapes and offsets
 * first, a tensor's bytes when the caller asks for them. The format is recognised by content, never by the file's name.
 */
import { Bytes, Disk, Failure, Flat, type NdArray, Path } from "@adafm/core"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as ByteSource from "./ByteSource.ts"
import * as DType from "./DType.ts"
import * as Keras from "./formats/Keras.ts"
import * as Npz from "./formats/Npz.ts"
import * as OnnxWeights from "./formats/OnnxWeights.ts"
import * as SafetensorsFile from "./formats/SafetensorsFile.ts"
import * as Shards from "./formats/Shards.ts"
import * as TensorFlowCheckpoint from "./formats/TensorFlowCheckpoint.ts"
import * as Tfjs from "./formats/Tfjs.ts"
import * as JsonFile from "./JsonFile.ts"
import type * as JsonValue from "./JsonValue.ts"
import type * as ParsedFile from "./ParsedFile.ts"
import * as SiblingFiles from "./SiblingFiles.ts"
import * as TensorView from "./TensorView.ts"
import type * as Topology from "./Topology.ts"
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
  /** The network, in formats that hold it. */
  readonly topology?: Topology.Topology
  /** Whether the file sorts its layers by name, so that their order is lost. */
  readonly isSorted: boolean
  readonly problems: readonly string[]
  /** One tensor, contiguous, in its own dtype, or in a wider one if `NdArray` lacks it. */
  readonly read: (path: Flat.Path) => NdArray.NdArray
  /** The same tensor in row-major pieces of at most 1 MiB; in one piece if its strides are not row-major. */
  readonly pieces: (path: Flat.Path) => Iterable<NdArray.NdArray>
  /** Checks the checksums of everything in the file, also of bytes that no tensor uses. */
  readonly verify: () => void
}

/** Gives a failure without an offset the offset where its part of the file begins. */
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
    Failure.raise("NotACheckpoint", "the file holds a single value and no tensor", { offset: container.at })
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
  if (Keras.isKeras(directory)) return Keras.readZip(directory, () => directory.members.forEach(ZipReader.verify))
  if (Npz.isNpz(directory)) return Npz.read(directory)
  return Failure.raise(
    "NotACheckpoint",
    "a zip file that is neither a PyTorch checkpoint (it has no NAME/data.pkl) nor a NumPy .npz (only .npy files) nor a .keras file (it has no config.json and model.weights.h5)",
    { offset: 0 },
  )
}

const nothing = (): void => undefined

/** Files that are no checkpoints, by their first bytes as Latin-1, with the tag and the message of the failure. */
const refusals: readonly (readonly [RegExp, string, string])[] = [
  [
    /^version https:\/\/git-lfs/,
    "GitLfsPointer",
    "a Git LFS pointer, not the file itself: fetch it with `git lfs pull`",
  ],
  [
    /^\s*<(!doctype|html|\?xml)/i,
    "NotACheckpoint",
    "a web page, not a checkpoint: the server sent an error page instead of the file",
  ],
  [/^\x93NUMPY/, "NotACheckpoint", "a single .npy array without a name: save named arrays with numpy.savez"],
  [
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the first two bytes of gzip
    /^(\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|\x28\xb5\x2f\xfd|Rar!)/,
    "NotACheckpoint",
    "a compressed file: decompress it first (gunzip, unzstd, 7z x, …)",
  ],
  [
    /^[\s\S]{257}ustar/,
    "NotACheckpoint",
    "a tar archive: unpack it first; if PyTorch 0.1 wrote it, save it again with torch.save",
  ],
  [/^(\x89PNG|\xff\xd8\xff|RIFF|GIF8)/, "NotACheckpoint", "an image, not a checkpoint"],
]

/** @param name the file's own, from which those of a TensorFlow checkpoint's data files follow */
const detect = (
  source: ByteSource.Source,
  siblings: SiblingFiles.SiblingFiles,
  name: string,
): ParsedFile.ParsedFile => {
  if (source.size === 0) return Failure.raise("TruncatedFile", "the file is empty", { offset: 0 })
  const head = source.read(0, Math.min(512, source.size))
  // checked first: the header length of safetensors may equal the first bytes of any other format (80 02, "PK", 1f 8b)
  if (SafetensorsFile.looksLike(head, source.size)) return SafetensorsFile.read(source)
  const text = Bytes.toLatin1(head)
  for (const [pattern, tag, message] of refusals)
    if (pattern.test(text)) return Failure.raise(tag, message, { offset: 0 })
  if (text.startsWith("PK")) return zip(source)
  if (text.startsWith("\x89HDF\r\n")) return Keras.readHdf5(source)
  if (head[0] === 0x80) return torch("torch-legacy", LegacyContainer.open(source), nothing, [])
  if (/^\s*\{/.test(text)) {
    const json = JsonFile.parse(source)
    if (Shards.isIndex(json)) return Shards.read(json, siblings, (shard) => detect(shard, SiblingFiles.none, ""))
    if (Tfjs.isModel(json)) return Tfjs.read(json, siblings)
    return Failure.raise("NotACheckpoint", "JSON, but neither a TensorFlow.js model.json nor an index of shards", {
      offset: 0,
    })
  }
  if (OnnxWeights.looksLike(head)) return OnnxWeights.read(source, siblings)
  if (TensorFlowCheckpoint.looksLike(source)) return TensorFlowCheckpoint.read(source, name, siblings)
  return Failure.raise(
    "NotACheckpoint",
    "not a checkpoint of a supported format: PyTorch, safetensors, NumPy .npz, ONNX, Keras, TensorFlow.js, the .index of a TensorFlow checkpoint",
    { offset: 0 },
  )
}

const missing = (path: Flat.Path, names: readonly Flat.Path[]): string =>
  `the checkpoint has no tensor ${path}; it has ${names.slice(0, 4).join(", ") || "none"}${names.length > 4 ? ", …" : ""}`

const make = (file: string, bytes: number, parsed: ParsedFile.ParsedFile): Checkpoint => {
  TensorView.checkRepeats(parsed.views)
  const view = (path: Flat.Path): TensorView.View => {
    const found =
      parsed.views[path] ?? Failure.raise("MissingTensor", missing(path, Object.keys(parsed.views)), { path })
    return DType.readAs(found.dtype) === undefined
      ? Failure.raise("UnsupportedDType", DType.unsupported(found.dtype), { path })
      : found
  }
  const tensors = Object.entries(parsed.views).map(([path, v]): Entry => {
    const { dtype, shape, strides, offset } = v
    return { path, dtype, shape, strides, offset, storage: v.storage.key }
  })
  const { format, scalars, metadata, topology, isSorted, problems, verify } = parsed
  const entries: Record<string, Entry> = Object.create(null)
  for (const entry of tensors) entries[entry.path] = entry
  return {
    file,
    bytes,
    format,
    tensors: entries,
    scalars,
    metadata,
    ...(topology !== undefined && { topology }),
    isSorted: isSorted ?? (format === "safetensors" || format === "onnx" || format === "tf-checkpoint"),
    problems,
    read: (path) => TensorView.read(view(path)),
    pieces: (path) => TensorView.pieces(view(path)),
    verify,
  }
}

/** Opens a checkpoint held in memory, with the other files of its folder by name. */
export const ofBytes = (
  bytes: Uint8Array,
  file = "memory",
  siblings: Readonly<Record<string, Uint8Array>> = {},
): Checkpoint => make(file, bytes.length, detect(ByteSource.ofBytes(bytes), SiblingFiles.inMemory(siblings), file))

/** Usual file names of checkpoints. */
const USUAL_NAME = /\.(pt|pth|ckpt|bin|th|tar|pkl|safetensors|npz|onnx|h5|hdf5|keras|index|index\.json)$|^model\.json$/

const refuseFolder = async (folder: string): Promise<never> => {
  const names = (await Disk.readdir(folder)).filter((name) => USUAL_NAME.test(name)).sort()
  const hint = names.includes("generator.safetensors")
    ? "It looks like a model folder, which needs no import: give it to any verb."
    : names.length === 0
      ? "No file in it has a checkpoint's name."
      : `Give ${names.length === 1 ? "its file" : "one or more of its files"}: ${names.slice(0, 8).join(", ")}${names.length > 8 ? ", …" : ""}`
  return Failure.raise("NotACheckpoint", `expected a checkpoint file, but this is a folder. ${hint}`)
}

/**
 * Opens a file, calls `f` with its checkpoint, closes it. A failure that `f` raises is returned as a value that names the file.
 */
export const use = <A>(
  file: string,
  f: (checkpoint: Checkpoint) => A | Promise<A>,
): TE.TaskEither<Failure.Failure, A> =>
  pipe(
    Failure.attempt(async () => {
      if ((await Disk.stat(file)).isDirectory()) await refuseFolder(file)
      const handle = await Disk.openFile(file)
      const siblings = SiblingFiles.inFolder(Path.dirname(file))
      try {
        const { size } = await handle.stat()
        const parsed = detect(ByteSource.ofDescriptor(handle.fd, size), siblings, Path.basename(file))
        return await f(make(file, size, parsed))
      } finally {
        siblings.close()
        await handle.close()
      }
    }),
    TE.mapLeft(Failure.inFile(file)),
  )

/** Names, shapes and scalars of a file, without its tensors' values. */
export const list = (file: string): TE.TaskEither<Failure.Failure, Omit<Checkpoint, "read" | "pieces" | "verify">> =>
  use(file, ({ read: _read, pieces: _pieces, verify: _verify, ...rest }) => rest)

/** Every tensor of a file, by path. The checksums of the file are compared first. */
export const readAll = (file: string): TE.TaskEither<Failure.Failure, Flat.Flat<NdArray.NdArray>> =>
  use(file, ({ tensors, read, verify }) => {
    verify()
    return Flat.map(tensors, (_, path) => read(path))
  })
