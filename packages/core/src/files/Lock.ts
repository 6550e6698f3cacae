/**
 * A lock file lets one process at a time work in a folder. A lock is ignored if its process is known to have ended, or if it was
 * not refreshed for three minutes.
 */
import { readFile, readlink, rm, stat, utimes, writeFile } from "node:fs/promises"
import { hostname } from "node:os"
import { join } from "node:path"
import * as Files from "./Files.ts"

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch (thrown) {
    // EPERM: the process exists and belongs to another user
    return (thrown as NodeJS.ErrnoException).code === "EPERM"
  }
}

/** Where a process id is unique: this host since its last boot (hosts can share a name) and, on Linux, this PID namespace. */
const place = async (): Promise<string> => {
  const [boot, namespace] = await Promise.all([
    readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => ""),
    readlink("/proc/self/ns/pid").catch(() => ""),
  ])
  return [hostname(), boot.trim(), namespace].join(" ")
}

const REFRESH = 10_000 // ms
/** Three minutes without a refresh: the only sign that a process of another place has ended, or one whose id was reused. */
const FORGOTTEN = 18 * REFRESH // ms

const isForgotten = async (file: string): Promise<boolean> => {
  const touched = await stat(file).catch(() => undefined)
  return touched !== undefined && Date.now() - touched.mtimeMs > FORGOTTEN
}

/** A lock without a place, or an empty one that is just being written, does not identify its process: only its age counts. */
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
 * Waits until the folder is free and runs `body`. Rejects with the system's error where the lock cannot be written.
 * @param enough called every second while another process works in the folder; if it returns a value, `within` returns that value
 * without running `body`
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
