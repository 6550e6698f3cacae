/** The files in a folder of a browser's private file system, read one at a time. A page unpacks a zip before it opens it. */
import { Disk, Failure, Path } from "@adafm/core"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as FileNames from "./FileNames.ts"
import type { FileSource } from "./FileSource.ts"

export { byteOrder } from "./FileNames.ts"
export type { FileSource } from "./FileSource.ts"

const reading = (file: string, name: string): TE.TaskEither<Failure.Failure, Uint8Array> =>
  TE.tryCatch(
    () => Disk.readFile(file),
    (thrown) => ({ ...Failure.fromThrown(thrown), path: name }),
  )

const sizing = (file: string): TE.TaskEither<Failure.Failure, number> =>
  Failure.attempt(async () => (await Disk.stat(file)).size)

const folder = async (root: string): Promise<FileSource> => {
  const files = await Disk.readdir(root, { recursive: true, withFileTypes: true })
  const names = files
    .filter((file) => file.isFile())
    .map((file) => Path.relative(root, Path.join(file.parentPath, file.name)))
  return {
    names: FileNames.sorted(names),
    leftOut: [],
    size: (name) => sizing(Path.join(root, name)),
    read: (name) => reading(Path.join(root, name), name),
    close: async () => {},
  }
}

/** A single file. */
export const single = (file: string): FileSource => ({
  names: [Path.basename(file)],
  leftOut: [],
  size: () => sizing(file),
  read: () => reading(file, Path.basename(file)),
  close: async () => {},
})

/** Opens a folder. */
export const open_ = (path: string): TE.TaskEither<Failure.Failure, FileSource> =>
  pipe(
    Failure.attempt(async () =>
      (await Disk.stat(path)).isDirectory()
        ? folder(path)
        : Failure.raise("BadZip", "expected a folder of images; unpack an archive first"),
    ),
    TE.mapLeft(Failure.inFile(path)),
  )
export { open_ as open }
