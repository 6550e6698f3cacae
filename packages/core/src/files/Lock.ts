/**
 * A lock lets one process at a time work in a folder. The system holds it, on the file `lock` in that folder: it ends with its process,
 * however that ends, and neither the file's age nor a clock plays a part. A process that is only stopped keeps it. A file that a killed
 * process left locks nothing.
 */
import { closeSync, openSync } from "node:fs"
import { type FileHandle, open, readFile, rm, stat } from "node:fs/promises"
import { createRequire } from "node:module"
import { hostname } from "node:os"
import { join } from "node:path"
import * as Failure from "../Failure.ts"
import * as Files from "./Files.ts"

/** What is used of `fs-native-extensions`, which has no types. */
interface SystemLocks {
  /** Whether the lock was free. It belongs to the open file, so that two open files of one process exclude each other too. */
  readonly tryLock: (fd: number, options?: { readonly shared: boolean }) => boolean
}

/** The native library is loaded for the first lock only. */
const load = (): SystemLocks => {
  // the library would end the whole process there
  if ("deno" in process.versions)
    return Failure.raise("MissingPackage", "Deno cannot lock a folder: use Node or Bun where a run is written")
  try {
    return createRequire(import.meta.url)("fs-native-extensions") as SystemLocks
  } catch (thrown) {
    return Failure.raise("MissingPackage", `file locks are not available here: ${Failure.fromThrown(thrown).message}`)
  }
}

/** Errors of file systems without locks. */
const NO_LOCKS = new Set(["ENOSYS", "ENOTSUP", "EOPNOTSUPP", "ENOLCK"])

/** Whether the open file is still the one at this path: its last owner removed it, or its folder was renamed, after it was opened. */
const isThere = async (handle: FileHandle, file: string): Promise<boolean> => {
  const [own, found] = await Promise.all([handle.stat(), stat(file).catch(() => undefined)])
  return own.ino === found?.ino && own.dev === found.dev
}

/** The open file that holds the lock until it is closed; undefined if another one holds it. */
const take = async (file: string): Promise<FileHandle | undefined> => {
  const { tryLock } = load()
  // not emptied before the lock is held
  const handle = await open(file, "a")
  try {
    if (!tryLock(handle.fd)) {
      await handle.close()
      return undefined
    }
    if (await isThere(handle, file)) return handle
  } catch (thrown) {
    await handle.close()
    if (!NO_LOCKS.has((thrown as NodeJS.ErrnoException).code ?? "")) throw thrown
    Failure.raise("NoLocks", "the disk of this folder has no file locks: choose a folder on another disk", { file })
  }
  await handle.close()
  return take(file)
}

/** Who holds the lock of a folder, as far as its file tells: `process 123 on host`. */
export const owner = async (folder: string): Promise<string | undefined> => {
  const [pid, host] = (await readFile(join(folder, "lock"), "utf8").catch(() => "")).split("\n")
  return pid === undefined || !/^\d+$/.test(pid) || !host ? undefined : `process ${pid} on ${host}`
}

/** Whether a process works in the folder. It holds the lock itself for a moment, which `within` waits for. */
export const isHeld = async (folder: string, name = "lock"): Promise<boolean> => {
  const { tryLock } = load()
  let fd: number | undefined
  try {
    fd = openSync(join(folder, name), "r")
    return !tryLock(fd, { shared: true })
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return false
    throw thrown
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

const POLL = 1000 // ms
/** Tries again after `isHeld` of another process. */
const LOOKS = 4
const MOMENT = 20 // ms

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * Waits until the folder is free and runs `body`. Rejects with the system's error where the lock cannot be written.
 * @param enough called every second while another process works in the folder; if it returns a value, `within` returns that value
 * without running `body`
 * @param name of the lock's file, if there are several locks in the folder
 */
export const within = async <A>(
  folder: string,
  body: () => Promise<A>,
  enough: () => Promise<A | undefined>,
  name = "lock",
): Promise<A> => {
  await Files.folder(folder)
  const file = join(folder, name)
  let handle = await take(file)
  for (let looks = 0; handle === undefined && looks < LOOKS; looks++) {
    await pause(MOMENT)
    handle = await take(file)
  }
  while (handle === undefined) {
    const found = await enough()
    if (found !== undefined) return found
    await pause(POLL)
    handle = await take(file)
  }
  // who works here, for people; a full disk does not matter
  await handle
    .truncate()
    .then(() => handle.writeFile(`${process.pid}\n${hostname()}\n`))
    .catch(() => {})
  try {
    return await body()
  } finally {
    if (await isThere(handle, file)) await rm(file, { force: true }).catch(() => {})
    await handle.close()
  }
}
