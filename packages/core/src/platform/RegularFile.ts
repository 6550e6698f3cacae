/** What is read as a file: a regular file, or a link to one. Reading pipes and devices might never end, or would wait for a writer. */
import { closeSync, constants, type Dirent, fstatSync, statSync, openSync as systemOpenSync } from "node:fs"
import { type FileHandle, stat, open as systemOpen } from "node:fs/promises"
import * as Failure from "../Failure.ts"

type Kind = Pick<Dirent, "isFile" | "isDirectory" | "isFIFO" | "isSocket">

/** What a path is, if it is not a regular file; undefined if it is. */
export const otherThanFile = (found: Kind): string | undefined => {
  if (found.isFile()) return undefined
  if (found.isDirectory()) return "a folder"
  if (found.isFIFO()) return "a pipe"
  return found.isSocket() ? "a socket" : "a device"
}

const check = (found: Kind, file: string): void => {
  const other = otherThanFile(found)
  if (other !== undefined)
    Failure.raise(other === "a folder" ? "System.EISDIR" : "NotAFile", `expected a file, but this is ${other}`, {
      file,
    })
}

/** The file may be replaced after it was looked at: with `O_NONBLOCK` (absent on Windows), opening a pipe returns at once. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/** Opens a regular file for reading. Rejects with `NotAFile`, `System.EISDIR` or another error of the system. The caller closes it. */
export const openFile = async (file: string): Promise<FileHandle> => {
  check(await stat(file), file)
  const handle = await systemOpen(file, READ)
  try {
    check(await handle.stat(), file)
    return handle
  } catch (thrown) {
    await handle.close()
    throw thrown
  }
}

/** The descriptor of a regular file, opened as `openFile` does. The caller closes it. */
export const openFileSync = (file: string): number => {
  check(statSync(file), file)
  const fd = systemOpenSync(file, READ)
  try {
    check(fstatSync(fd), file)
    return fd
  } catch (thrown) {
    closeSync(fd)
    throw thrown
  }
}
