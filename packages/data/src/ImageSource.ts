/** The files in a folder or a zip, read one at a time. */
import { stat } from "node:fs/promises"
import { basename, join } from "node:path"
import { promisify } from "node:util"
import { crc32, inflateRaw } from "node:zlib"
import { ByteSource, ZipReader } from "@adafm/checkpoint"
import { Disk, Failure, Files } from "@adafm/core"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as FileNames from "./FileNames.ts"
import type { FileSource } from "./FileSource.ts"
import * as FolderFiles from "./FolderFiles.ts"
import * as Limits from "./Limits.ts"

export { byteOrder } from "./FileNames.ts"
export type { FileSource } from "./FileSource.ts"

/** Files on disk, by the names that the set gives them. */
const onDisk = (
  names: readonly string[],
  leftOut: FileSource["leftOut"],
  pathOf: (name: string) => string,
): FileSource => ({
  names: FileNames.sorted(names),
  leftOut,
  size: (name) => Failure.attempt(async () => (await stat(pathOf(name))).size),
  read: (name) =>
    pipe(
      Files.read(pathOf(name), Limits.BYTES),
      TE.mapLeft((failure) => ({ ...failure, path: name })),
    ),
  close: async () => {},
})

const folder = async (root: string): Promise<FileSource> => {
  const { names, leftOut } = await FolderFiles.list(root)
  return onDisk(names, leftOut, (name) => join(root, name))
}

/** A single file. */
export const single = (file: string): FileSource => onDisk([basename(file)], [], () => file)

const inflate = promisify(inflateRaw) as (bytes: Uint8Array, options: object) => Promise<Buffer>

/** A member's bytes, compared with its checksum. Reading and inflating run in other threads. */
const content = async (handle: Disk.FileHandle, member: ZipReader.Member): Promise<Uint8Array> => {
  const { name, size, packed, deflated, problem } = member
  const bad = (message: string): never => Failure.raise("BadZip", message, { path: name })
  if (problem !== undefined) bad(problem)
  if (size > Limits.BYTES || packed.size > Limits.BYTES)
    bad(`the entry has ${size} bytes (${packed.size} compressed); the limit is ${Limits.BYTES}`)
  const stored = new Uint8Array(packed.size)
  const found = await Files.readInto(handle, stored, packed.at)
  if (found !== stored.length) bad(`the archive ends after ${found} of ${stored.length} bytes of this entry`)
  const bytes = deflated
    ? await inflate(stored, { maxOutputLength: size + 1 }).catch((cause: Error) =>
        bad(`the entry cannot be inflated: ${cause.message}`),
      )
    : stored
  if (bytes.length !== size || crc32(bytes) >>> 0 !== (member.crc32 ?? 0))
    bad("size or CRC-32 does not match the directory: the archive is damaged")
  return bytes
}

const archive = async (file: string): Promise<FileSource> => {
  const handle = await Disk.openFile(file)
  try {
    const { size } = await handle.stat()
    const { members } = ZipReader.read(ByteSource.ofDescriptor(handle.fd, size), ZipReader.PICTURES)
    const find = (name: string): ZipReader.Member =>
      members.get(name) ?? Failure.raise("MissingEntry", "the archive has no such entry", { path: name })
    return {
      names: FileNames.sorted([...members.keys()]),
      leftOut: [],
      size: (name) => Failure.attempt(async () => find(name).size),
      read: (name) => Failure.attempt(async () => content(handle, find(name))),
      close: () => handle.close(),
    }
  } catch (thrown) {
    await handle.close()
    const failure = Failure.fromThrown(thrown)
    throw new Failure.Raised({
      ...failure,
      _tag: "BadZip",
      message: `expected a folder or a zip of images, and this file is not a readable zip (${failure.message})`,
    })
  }
}

/** Opens a folder, or a zip file with any name. */
export const open_ = (path: string): TE.TaskEither<Failure.Failure, FileSource> =>
  pipe(
    Failure.attempt(async () => ((await stat(path)).isDirectory() ? folder(path) : archive(path))),
    TE.mapLeft(Failure.inFile(path)),
    TE.map((source) => ({
      ...source,
      size: (name: string) => pipe(source.size(name), TE.mapLeft(Failure.inFile(path))),
      read: (name: string) => pipe(source.read(name), TE.mapLeft(Failure.inFile(path))),
    })),
  )
export { open_ as open }
