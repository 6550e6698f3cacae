/** Files that are whole or absent: written under a temporary name, synced, renamed. */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises"
import { dirname } from "node:path"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Failure from "../Failure.ts"

export const read = (file: string): TE.TaskEither<Failure.Failure, Uint8Array> =>
  TE.tryCatch(
    () => readFile(file),
    (thrown) => Failure.inFile(file)(Failure.fromThrown(thrown)),
  )

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )

/**
 * A folder and those above it, unless they are there. Node's own recursive `mkdir` tries for ever where a folder that exists says
 * that it does not when something is made in it, as `/proc` does.
 */
export const folder = async (path: string): Promise<void> => {
  const make = (): Promise<void> =>
    mkdir(path).catch(async (thrown) => {
      if (!(await isFolder(path))) throw thrown
    })
  try {
    await make()
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "ENOENT" || dirname(path) === path) throw thrown
    await folder(dirname(path))
    await make()
  }
}

/** Creates the parent folder, writes `file.tmp-PID`, syncs it and renames it over `file`; on any error nothing is left behind. */
export const write = (
  file: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
): TE.TaskEither<Failure.Failure, void> =>
  TE.tryCatch(
    async () => {
      await folder(dirname(file))
      const temporary = `${file}.tmp-${process.pid}`
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

/** SHA-256 of a file as 64 hex digits, streamed. */
export const sha256 = (file: string): TE.TaskEither<Failure.Failure, string> =>
  TE.tryCatch(
    async () => {
      const hash = createHash("sha256")
      for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array)
      return hash.digest("hex")
    },
    (thrown) => Failure.inFile(file)(Failure.fromThrown(thrown)),
  )
