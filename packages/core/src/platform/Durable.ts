/** Writes that survive a power cut. */
import { open } from "node:fs/promises"

/** Errors with which systems refuse to sync a folder: Windows cannot open one, some file systems do not support it. */
const NO_FOLDER_SYNC = new Set(["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP", "EBADF"])

/** Makes the names in a folder survive, as `fsync` of a file does for its content. */
export const syncFolder = async (path: string): Promise<void> => {
  try {
    const handle = await open(path, "r")
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (thrown) {
    if (!NO_FOLDER_SYNC.has((thrown as NodeJS.ErrnoException).code ?? "")) throw thrown
  }
}

/** Appends to a file, which is created if it is missing, and syncs it. Rejects with the system's error, which names the file. */
export const appendFile = async (file: string, content: string | Uint8Array): Promise<void> => {
  const handle = await open(file, "a")
  try {
    await handle.writeFile(content)
    await handle.sync()
  } catch (thrown) {
    // errors of an open file, such as a full disk, do not name it
    throw thrown instanceof Error ? Object.assign(thrown, { path: file }) : thrown
  } finally {
    await handle.close()
  }
}
