/** One process at a time works in a folder; a lock whose process is known to be gone, or that nobody refreshed for long, does not count. */
import { readFile, readlink, rm, stat, utimes, writeFile } from "node:fs/promises"
import { hostname } from "node:os"
import { join } from "node:path"
import * as Files from "./Files.ts"

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    // another user's process may not be signalled
    return (thrown as NodeJS.ErrnoException).code === "EPERM"
  }
}

/** Where a process id means the same: this host since it started (hosts may share a name) and, on Linux, this namespace of processes. */
const place = async (): Promise<string> => {
  const [boot, namespace] = await Promise.all([
    readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => ""),
    readlink("/proc/self/ns/pid").catch(() => ""),
  ])
  return [hostname(), boot.trim(), namespace].join(" ")
}

const REFRESH = 10_000 // ms
/** Three minutes: what is told of a process of another place, or of one whose id another program has now. */
const FORGOTTEN = 18 * REFRESH

const isForgotten = async (file: string): Promise<boolean> => {
  const touched = await stat(file).catch(() => undefined)
  return touched !== undefined && Date.now() - touched.mtimeMs > FORGOTTEN
}

/** A lock without a place, or an empty one that is being written just now, says nothing about its process. */
const isAbandoned = async (file: string, here: string): Promise<boolean> => {
  const [owner, place] = (await readFile(file, "utf8").catch(() => "")).split("\n")
  return (place === here && !isAlive(Number(owner))) || (await isForgotten(file))
}

const take = async (file: string, here: string): Promise<boolean> => {
  try {
    await writeFile(file, `${process.pid}\n${here}`, { flag: "wx" })
    return true
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown
    if (!(await isAbandoned(file, here))) return false
    await rm(file, { force: true })
    return take(file, here)
  }
}

const POLL = 1000 // ms

/**
 * Runs `body` when the folder is free.
 * @param enough asked while somebody else works there: true ends the waiting without a run of one's own
 */
export const within = async <A>(
  folder: string,
  body: () => Promise<A>,
  enough: () => Promise<A | undefined>,
): Promise<A> => {
  await Files.folder(folder)
  const file = join(folder, "lock")
  const here = await place()
  while (!(await take(file, here))) {
    const found = await enough()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, POLL))
  }
  const refresh = setInterval(() => {
    const now = new Date()
    utimes(file, now, now).catch(() => {})
  }, REFRESH)
  refresh.unref()
  try {
    return await body()
  } finally {
    clearInterval(refresh)
    await rm(file, { force: true })
  }
}
