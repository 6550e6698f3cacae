/** The files in a folder or a zip, read one at a time. */
import { type FileHandle, open, readdir, readFile, stat } from "node:fs/promises"
import { basename, join, relative, sep } from "node:path"
import { promisify } from "node:util"
import { crc32, inflateRaw } from "node:zlib"
import { Failure } from "@adafm/core"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import yauzl from "yauzl"
import * as FileNames from "./FileNames.ts"

export { byteOrder } from "./FileNames.ts"

export interface Source {
  /** Paths with `/`, in byte order, without hidden files and `__MACOSX`. */
  readonly names: readonly string[]
  readonly read: (name: string) => TE.TaskEither<Failure.Failure, Uint8Array>
  readonly close: () => Promise<void>
}

/** Largest entry that is inflated, in bytes: 100 times a large photograph. */
const MAX_ENTRY = 1_000_000_000
/** Most entries of an archive: its central directory is held in memory. */
const MAX_ENTRIES = 10_000_000

const folder = async (root: string): Promise<Source> => {
  const files = await readdir(root, { recursive: true, withFileTypes: true })
  const names = files
    // reading a pipe or a device might never end
    .filter((file) => file.isFile() || file.isSymbolicLink())
    .map((file) => relative(root, join(file.parentPath, file.name)).split(sep).join("/"))
  return {
    names: FileNames.sorted(names),
    read: (name) =>
      TE.tryCatch(
        () => readFile(join(root, name)),
        (thrown) => ({ ...Failure.fromThrown(thrown), path: name }),
      ),
    close: async () => {},
  }
}

/** A single file. */
export const single = (file: string): Source => ({
  names: [basename(file)],
  read: () => Failure.attempt(() => readFile(file)),
  close: async () => {},
})

/** Bytes read at a time: reading a central directory of 50,000 entries field by field takes 3 s. */
const BLOCK = 1 << 18

/** Reads an open file for yauzl, and keeps the last block in memory. */
class Blocks extends yauzl.RandomAccessReader {
  readonly #handle: FileHandle
  #start = 0
  #block: Buffer = Buffer.alloc(0)
  constructor(handle: FileHandle) {
    super()
    this.#handle = handle
  }
  override read(
    target: Buffer,
    offset: number,
    length: number,
    position: number,
    done: (error: Error | null) => void,
  ): void {
    const finish = (): void => {
      const from = position - this.#start
      if (this.#block.copy(target, offset, from, from + length) === length) done(null)
      else done(new Error("unexpected end of file"))
    }
    const size = Math.max(BLOCK, length)
    if (position >= this.#start && position + length <= this.#start + this.#block.length) queueMicrotask(finish)
    else
      this.#handle.read(Buffer.allocUnsafe(size), 0, size, position).then(
        ({ buffer, bytesRead }) => {
          this.#start = position
          this.#block = buffer.subarray(0, bytesRead)
          finish()
        },
        (error: Error) => done(error),
      )
  }
}

const fromReader = promisify<yauzl.RandomAccessReader, number, yauzl.Options, yauzl.ZipFile>(
  yauzl.fromRandomAccessReader,
)

const entries = (zip: yauzl.ZipFile): Promise<ReadonlyMap<string, yauzl.Entry>> =>
  new Promise((resolve, reject) => {
    const found = new Map<string, yauzl.Entry>()
    zip.on("entry", (entry: yauzl.Entry) => {
      found.set(entry.fileName, entry)
      if (found.size > MAX_ENTRIES) reject(new Error(`more than ${MAX_ENTRIES} entries`))
      else zip.readEntry()
    })
    zip.on("end", () => resolve(found))
    zip.on("error", reject)
    zip.readEntry()
  })

const inflate = promisify(inflateRaw) as (bytes: Uint8Array, options: object) => Promise<Buffer>

/** Length of a local file header before the name, in bytes. */
const LOCAL_HEADER = 30

const content = async (handle: FileHandle, entry: yauzl.Entry): Promise<Uint8Array> => {
  const bad = (message: string): never => Failure.raise("BadZip", message, { path: entry.fileName })
  if (entry.isEncrypted()) bad("the entry is encrypted")
  if (entry.uncompressedSize > MAX_ENTRY || entry.compressedSize > MAX_ENTRY)
    bad(`the entry has ${entry.uncompressedSize} bytes (${entry.compressedSize} compressed); the limit is ${MAX_ENTRY}`)
  const local = Buffer.alloc(LOCAL_HEADER)
  await handle.read(local, 0, LOCAL_HEADER, entry.relativeOffsetOfLocalHeader)
  if (local.readUInt32LE(0) !== 0x04034b50) bad("there is no local header at the offset that the directory gives")
  const begin = entry.relativeOffsetOfLocalHeader + LOCAL_HEADER + local.readUInt16LE(26) + local.readUInt16LE(28)
  const stored = Buffer.allocUnsafe(entry.compressedSize)
  const { bytesRead } = await handle.read(stored, 0, stored.length, begin)
  if (bytesRead !== stored.length) bad(`the archive ends after ${bytesRead} of ${stored.length} bytes of this entry`)
  const method = entry.compressionMethod
  if (method !== 0 && method !== 8)
    bad(`compression method ${method} is not supported, only stored (0) and deflated (8)`)
  const bytes =
    method === 0
      ? stored
      : await inflate(stored, { maxOutputLength: entry.uncompressedSize + 1 }).catch((cause: Error) =>
          bad(`the entry cannot be inflated: ${cause.message}`),
        )
  if (bytes.length !== entry.uncompressedSize || crc32(bytes) >>> 0 !== entry.crc32)
    bad("size or CRC-32 does not match the directory: the archive is damaged")
  return bytes
}

/**
 * The zip reader of `@adafm/checkpoint` is not used for image archives, for two reasons. It is synchronous, while here reading and
 * inflating must run in parallel with decoding and with the network. And it refuses more than 100,000 members: no checkpoint has so
 * many, but image sets often do.
 */
const archive = async (file: string): Promise<Source> => {
  const handle = await open(file)
  try {
    const { size } = await handle.stat()
    const zip = await fromReader(new Blocks(handle), size, { lazyEntries: true, autoClose: false })
    const found = await entries(zip)
    return {
      names: FileNames.sorted([...found.keys()]),
      read: (name) =>
        Failure.attempt(async () => {
          const entry = found.get(name)
          return entry === undefined
            ? Failure.raise("MissingEntry", "the archive has no such entry", { path: name })
            : content(handle, entry)
        }),
      close: () => handle.close(),
    }
  } catch (thrown) {
    await handle.close()
    throw thrown instanceof Failure.Raised
      ? thrown
      : new Failure.Raised(
          Failure.make(
            "BadZip",
            `expected a folder or a zip of images, and this file is not a readable zip (${thrown instanceof Error ? thrown.message : String(thrown)})`,
          ),
        )
  }
}

/** Opens a folder, or a zip file with any name. */
export const open_ = (path: string): TE.TaskEither<Failure.Failure, Source> =>
  pipe(
    Failure.attempt(async () => ((await stat(path)).isDirectory() ? folder(path) : archive(path))),
    TE.mapLeft(Failure.inFile(path)),
    TE.map((source) => ({
      ...source,
      read: (name: string) => pipe(source.read(name), TE.mapLeft(Failure.inFile(path))),
    })),
  )
export { open_ as open }
