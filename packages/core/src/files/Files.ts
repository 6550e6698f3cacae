/** Files that are complete or absent: each is written under a temporary name, synced and renamed. */

import * as TE from "fp-ts/lib/TaskEither.js"
import { mkdir, open, readFile, rename, rm, stat } from "#platform/Disk"
import * as Host from "#platform/Host"
import { dirname } from "#platform/Path"
import * as Sha256 from "#platform/Sha256"
import * as Failure from "../Failure.ts"

/** The bytes of a file. A failure is the system's error (`System.ENOENT`, …) with the file's name. */
export const read = (file: string): TE.TaskEither<Failure.Failure, Uint8Array> =>
  TE.tryCatch(
    () => readFile(file),
    (thrown) => Failure.inFile(file)(Failure.fromThrown(thrown)),
  )

/** Whether there is a file or folder of this name. */
export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )

/**
 * Creates a folder and its missing parents; rejects with the system's error. Node's recursive `mkdir` never returns in a folder
 * such as `/proc`, which exists but reports ENOENT for whatever is created in it.
 */
export const folder = async (path: string): Promise<void> => {
  const make = (): Promise<void> =>
    mkdir(path).catch(async (thrown) => {
      if (!(await isFolder(path))) throw thrown
    })
  try {
    await make()
  } catch (thrown) {
    if ((thrown as { readonly code?: string }).code !== "ENOENT" || dirname(path) === path) throw thrown
    await folder(dirname(path))
    await make()
  }
}

/** Creates the parent folder, writes `file.tmp-PID`, syncs it and renames it to `file`. After an error no temporary file is left. */
export const write = (
  file: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
): TE.TaskEither<Failure.Failure, void> =>
  TE.tryCatch(
    async () => {
      await folder(dirname(file))
      const temporary = `${file}.tmp-${Host.id}`
      try {
        const handle = await open(temporary, "w")
        try {
          const chunks = typeof content === "string" || content instanceof Uint8Array ? [content] : content
          for (const chunk of chunks) await handle.writeFile(chunk)
          await handle.sync()
        } finally {
          await handle.close()
        }
        await rename(temporary, file)
      } catch (thrown) {
        await rm(temporary, { force: true })
        throw thrown
      }
    },
    (thrown) => ({ ...Failure.fromThrown(thrown), file }),
  )

/** Bytes that are hashed at a time. */
const BLOCK = 1 << 20

/** SHA-256 of a file as 64 hex digits; the file is streamed. */
export const sha256 = (file: string): TE.TaskEither<Failure.Failure, string> =>
  TE.tryCatch(
    async () => {
      const hash = Sha256.make()
      const handle = await open(file)
      try {
        const block = new Uint8Array(BLOCK)
        for (let at = 0; ; ) {
          const { bytesRead } = await handle.read(block, 0, BLOCK, at)
          if (bytesRead === 0) return hash.hex()
          hash.update(block.subarray(0, bytesRead))
          at += bytesRead
        }
      } finally {
        await handle.close()
      }
    },
    (thrown) => Failure.inFile(file)(Failure.fromThrown(thrown)),
  )
