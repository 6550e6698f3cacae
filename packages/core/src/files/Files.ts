/** Files that are complete or absent: each is written under a temporary name, synced and renamed. */

import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { type FileHandle, mkdir, open, openFile, rename, rm, stat, syncFolder } from "#platform/Disk"
import * as Host from "#platform/Host"
import { dirname } from "#platform/Path"
import * as Sha256 from "#platform/Sha256"
import * as Failure from "../Failure.ts"

/** Fills `into` with the bytes from `position` on; returns how many there are before the end of the file. */
export const readInto = async (handle: FileHandle, into: Uint8Array, position: number): Promise<number> => {
  let done = 0
  while (done < into.length) {
    const { bytesRead } = await handle.read(into, done, Math.min(into.length - done, 1 << 30), position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return done
}

/**
 * The bytes of a regular file. A failure is the system's error (`System.ENOENT`, …), `NotAFile` or `TooLarge`, with the file's name.
 * @param limit most bytes; any size by default
 */
export const read = (
  file: string,
  limit = Number.POSITIVE_INFINITY,
): TE.TaskEither<Failure.Failure, Uint8Array<ArrayBuffer>> =>
  TE.tryCatch(
    async () => {
      const handle = await openFile(file)
      try {
        const { size } = await handle.stat()
        if (size > limit) Failure.raise("TooLarge", `the file has ${size} bytes; the limit is ${limit}`)
        const bytes = new Uint8Array(size)
        return bytes.subarray(0, await readInto(handle, bytes, 0))
      } finally {
        await handle.close()
      }
    },
    (thrown) => Failure.inFile(file)(Failure.fromThrown(thrown)),
  )

/** Largest file of settings or records that is read as text: 100 times the largest that a run writes. */
const MAX_TEXT = 1 << 28 // bytes

/** The content of a text file in UTF-8. Failures as `read`. */
export const readText = (file: string): TE.TaskEither<Failure.Failure, string> =>
  pipe(
    read(file, MAX_TEXT),
    TE.map((bytes) => new TextDecoder().decode(bytes)),
  )

/** The value of a JSON file. Failures as `read`; `BadJson` names the file. */
export const readJson = (file: string): TE.TaskEither<Failure.Failure, unknown> =>
  pipe(
    readText(file),
    TE.flatMapEither((text) => parseJson(text, { file })),
  )

/** The value of a JSON text. Failure: `BadJson` with the given place. */
export const parseJson = (
  text: string,
  place: Omit<Failure.Failure, "_tag" | "message"> = {},
): E.Either<Failure.Failure, unknown> =>
  E.tryCatch(
    () => JSON.parse(text) as unknown,
    (thrown) => Failure.make("BadJson", `expected JSON: ${thrown instanceof Error ? thrown.message : thrown}`, place),
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

/** Renames a file or a folder and syncs the folder of the new name, so that the new name survives a power cut. */
export const move = async (from: string, to: string): Promise<void> => {
  await rename(from, to)
  await syncFolder(dirname(to))
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
        await move(temporary, file)
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
      const handle = await openFile(file)
      try {
        const block = new Uint8Array(BLOCK)
        for (let at = 0; ; at += BLOCK) {
          const found = await readInto(handle, block, at)
          hash.update(block.subarray(0, found))
          if (found < BLOCK) return hash.hex()
        }
      } finally {
        await handle.close()
      }
    },
    (thrown) => Failure.inFile(file)(Failure.fromThrown(thrown)),
  )
