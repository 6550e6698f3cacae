/** What the machine tells a program about itself. */
import { statfs } from "node:fs/promises"
import { availableParallelism, freemem, totalmem } from "node:os"

/** Part of the names of temporary files: no two programs that run at the same time have the same. */
export const id = String(process.pid)

/** Processors that this program may use. */
export const processors = (): number => availableParallelism()

/** Bytes of memory that a program may take; undefined where the system does not say. */
export const freeMemory = (): number | undefined => (process.platform === "linux" ? freemem() : totalmem())

/** Bytes that a program may still write to the disk of a folder; undefined where the system does not say. */
export const freeDisk = (folder: string): Promise<number | undefined> =>
  statfs(folder).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => undefined,
  )

/** Lets waiting events run first. */
export const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** For error messages and provenance, e.g. `node 22.12.0`. */
export const runtime: Readonly<Record<string, string>> = { node: process.versions.node }
