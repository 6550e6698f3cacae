/** Files that are whole or absent: written under a temporary name, synced, renamed. */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { mkdir, open, readFile, rename, rm } from "node:fs/promises"
import { dirname } from "node:path"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Failure from "./Failure.ts"

export const read = (file: string): TE.TaskEither<Failure.Failure, Uint8Array> =>
  TE.tryCatch(
    () => readFile(file),
    (thrown) => Failure.inFile(file)(Failure.fromThrown(thrown)),
  )

/** Creates the parent folder, writes `file.tmp-PID`, syncs it and renames it over `file`; on any error nothing is left behind. */
export const write = (
  file: string,
  content: string | Uint8Array | Iterable<Uint8Array>,
): TE.TaskEither<Failure.Failure, void> =>
  TE.tryCatch(
    async () => {
      await mkdir(dirname(file), { recursive: true })
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
    (thrown) => Failure.inFile(file)(Failure.fromThrown(thrown)),
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
