/** Named byte strings in a folder or a zip, read one at a time. */
import { type FileHandle, open, readdir, readFile, stat } from "node:fs/promises"
import { join, relative, sep } from "node:path"
import { promisify } from "node:util"
import { crc32, inflateRaw } from "node:zlib"
import { Failure } from "@adafm/core"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import yauzl from "yauzl"

export interface Source {
  /** Paths with `/`, in byte order; hidden files and `__MACOSX` are left out. */
  readonly names: readonly string[]
  readonly read: (name: string) => TE.TaskEither<Failure.Failure, Uint8Array>
  readonly close: () => Promise<void>
}

/** Bytes of the largest entry that is inflated: 100 times a large photograph. */
const MAX_ENTRY = 1_000_000_000
/** Entries of the largest archive that is listed: the central directory is held in memory. */
const MAX_ENTRIES = 10_000_000

/** Order of the UTF-8 bytes, the order of Python's `sorted` and of `LC_ALL=C`. */
export const byteOrder = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

const visible = (name: string): boolean =>
  !name.endsWith("/") && !name.split("/").some((part) => part.startsWith(".") || part === "__MACOSX")

const sorted = (names: readonly string[]): readonly string[] => [...names].filter(visible).sort(byteOrder)

const folder = async (root: string): Promise<Source> => {
  const files = await readdir(root, { recursive: true, withFileTypes: true })
  const names = files
    .filter((file) => !file.isDirectory())
    .map((file) => relative(root, join(file.parentPath, file.name)).split(sep).join("/"))
  return {
    names: sorted(names),
    read: (name) =>
      TE.tryCatch(
        () => readFile(join(root, name)),
        (thrown) => ({ ...Failure.fromThrown(thrown), path: name }),
      ),
    close: async () => {},
  }
}

const fromFd = promisify<number, yauzl.Options, yauzl.ZipFile>(yauzl.fromFd)

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

const content = async (handle: FileHandle, zip: yauzl.ZipFile, entry: yauzl.Entry): Promise<Uint8Array> => {
  const bad = (message: string): never => Failure.raise("BadZip", message, { path: entry.fileName })
  if (entry.isEncrypted()) bad("the entry is encrypted")
  if (entry.uncompressedSize > MAX_ENTRY || entry.compressedSize > MAX_ENTRY) bad(`larger than ${MAX_ENTRY} bytes`)
  const local = await new Promise<{ fileDataStart: number }>((resolve, reject) =>
    zip.readLocalFileHeader(entry, { minimal: true }, (error, header) => (error ? reject(error) : resolve(header!))),
  )
  const stored = Buffer.allocUnsafe(entry.compressedSize)
  const { bytesRead } = await handle.read(stored, 0, stored.length, local.fileDataStart)
  if (bytesRead !== stored.length) bad(`the archive ends after ${bytesRead} of ${stored.length} bytes of this entry`)
  const method = entry.compressionMethod
  if (method !== 0 && method !== 8) bad(`compression method ${method}; only stored (0) and deflated (8) are read`)
  const bytes =
    method === 0
      ? stored
      : await inflate(stored, { maxOutputLength: entry.uncompressedSize + 1 }).catch((cause: Error) =>
          bad(`cannot be inflated: ${cause.message}`),
        )
  if (bytes.length !== entry.uncompressedSize || crc32(bytes) >>> 0 !== entry.crc32) bad("size or CRC-32 do not match")
  return bytes
}

const archive = async (file: string): Promise<Source> => {
  const handle = await open(file)
  try {
    const zip = await fromFd(handle.fd, { lazyEntries: true, autoClose: false, decodeStrings: true })
    const found = await entries(zip)
    return {
      names: sorted([...found.keys()]),
      read: (name) =>
        TE.tryCatch(async () => {
          const entry = found.get(name)
          return entry === undefined
            ? Failure.raise("MissingEntry", "no such entry in the archive", { path: name })
            : content(handle, zip, entry)
        }, Failure.fromThrown),
      close: () => handle.close(),
    }
  } catch (thrown) {
    await handle.close()
    throw thrown instanceof Failure.Raised
      ? thrown
      : new Failure.Raised(Failure.make("BadZip", thrown instanceof Error ? thrown.message : String(thrown)))
  }
}

/** A folder, or a file that is a zip whatever its name. */
export const open_ = (path: string): TE.TaskEither<Failure.Failure, Source> =>
  pipe(
    TE.tryCatch(async () => ((await stat(path)).isDirectory() ? folder(path) : archive(path)), Failure.fromThrown),
    TE.mapLeft(Failure.inFile(path)),
    TE.map((source) => ({
      ...source,
      read: (name: string) => pipe(source.read(name), TE.mapLeft(Failure.inFile(path))),
    })),
  )
export { open_ as open }
