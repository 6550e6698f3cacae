/** One process at a time works in a folder; a lock whose process is gone, or that nobody refreshed for long, does not count. */
import { readFile, rm, stat, utimes, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as Files from "./Files.ts"

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const REFRESH = 10_000 // ms
/** A process id may belong to another program after a restart of the machine. */
const FORGOTTEN = 20 * REFRESH

const isForgotten = async (file: string): Promise<boolean> => {
  const touched = await stat(file).catch(() => undefined)
  return touched !== undefined && Date.now() - touched.mtimeMs > FORGOTTEN
}

const take = async (file: string): Promise<boolean> => {
  try {
    await writeFile(file, String(process.pid), { flag: "wx" })
    return true
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown
    const owner = Number(await readFile(file, "utf8").catch(() => "0"))
    // an empty file is being written just now
    if ((owner === 0 || isAlive(owner)) && !(await isForgotten(file))) return false
    await rm(file, { force: true })
    return take(file)
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
  while (!(await take(file))) {
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
