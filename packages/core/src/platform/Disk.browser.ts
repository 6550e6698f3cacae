/// <reference lib="webworker" />
/// <reference lib="webworker.asynciterable" />
/**
 * Files and folders, in the browser's private file system of this origin (OPFS). The functions behave like those of Node's
 * `fs/promises` with the same names, as far as this project uses them. Writing works in a worker only.
 */
import { basename, dirname, join } from "pathe"

/** The system's error codes by the browser's names. */
const CODES: Readonly<Record<string, string>> = {
  NotFoundError: "ENOENT",
  TypeMismatchError: "ENOTDIR",
  QuotaExceededError: "ENOSPC",
  NoModificationAllowedError: "EBUSY",
  InvalidModificationError: "ENOTEMPTY",
}

const MEANINGS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or folder",
  ENOTDIR: "a file where a folder was expected, or a folder where a file was expected",
  ENOSPC: "the browser gives this page no more disk space; remove a run or free space on the disk",
  EBUSY: "the file is in use by another tab",
  ENOTEMPTY: "the folder is not empty",
  EBADF: "the file is not open for this",
  EEXIST: "the file exists already",
  ENOTSUP: "a browser's files have one name each",
}

const failure = (code: string, path: string): Error =>
  Object.assign(new Error(`${code}: ${MEANINGS[code] ?? code}, '${path}'`), { code, path })

const translated = (thrown: unknown, path: string): unknown => {
  const code = thrown instanceof Error ? CODES[thrown.name] : undefined
  return code === undefined ? thrown : failure(code, path)
}

const attempt = async <A>(path: string, f: () => Promise<A>): Promise<A> => {
  try {
    return await f()
  } catch (thrown) {
    throw translated(thrown, path)
  }
}

const partsOf = (path: string): readonly string[] =>
  join("/", path)
    .split("/")
    .filter((part: string) => part !== "")

const folderAt = async (path: string, create = false): Promise<FileSystemDirectoryHandle> => {
  let folder = await navigator.storage.getDirectory()
  for (const part of partsOf(path)) folder = await folder.getDirectoryHandle(part, { create })
  return folder
}

const fileAt = async (path: string, create = false): Promise<FileSystemFileHandle> =>
  (await folderAt(dirname(join("/", path)))).getFileHandle(basename(path), { create })

const contentAt = async (path: string): Promise<File> => (await fileAt(path)).getFile()

const exists = (path: string): Promise<boolean> =>
  fileAt(path).then(
    () => true,
    () => false,
  )

/** Opens a file for writing, passes it to `body` and closes it. */
const withAccess = async <A>(
  file: FileSystemFileHandle,
  body: (access: FileSystemSyncAccessHandle) => A | Promise<A>,
): Promise<A> => {
  const access = await file.createSyncAccessHandle()
  try {
    return await body(access)
  } finally {
    access.close()
  }
}

const bytesOf = (content: string | Uint8Array): Uint8Array =>
  typeof content === "string" ? new TextEncoder().encode(content) : content

const writeAll = (access: FileSystemSyncAccessHandle, content: string | Uint8Array, at: number): number => {
  const bytes = bytesOf(content)
  for (let done = 0; done < bytes.length; ) {
    const written = access.write(bytes.subarray(done), { at: at + done })
    if (written === 0) throw failure("ENOSPC", "")
    done += written
  }
  return at + bytes.length
}

export interface Stats {
  readonly size: number
  readonly mtimeMs: number
  readonly isFile: () => boolean
  readonly isDirectory: () => boolean
}

const statsOf = (size: number, mtimeMs: number, kind: "file" | "folder"): Stats => ({
  size,
  mtimeMs,
  isFile: () => kind === "file",
  isDirectory: () => kind === "folder",
})

export const stat = (path: string): Promise<Stats> =>
  attempt(path, async () => {
    if (partsOf(path).length === 0) return statsOf(0, 0, "folder")
    try {
      const { size, lastModified } = await contentAt(path)
      return statsOf(size, lastModified, "file")
    } catch (thrown) {
      if (!(thrown instanceof DOMException) || thrown.name !== "TypeMismatchError") throw thrown
      await folderAt(path)
      return statsOf(0, 0, "folder")
    }
  })

export function readFile(path: string): Promise<Uint8Array<ArrayBuffer>>
export function readFile(path: string, encoding: "utf8"): Promise<string>
export function readFile(path: string, encoding?: "utf8"): Promise<Uint8Array<ArrayBuffer> | string> {
  return attempt(path, async () => {
    const file = await contentAt(path)
    return encoding === "utf8" ? file.text() : new Uint8Array(await file.arrayBuffer())
  })
}

export interface FileHandle {
  /** For `readSync`; only of a file that is open for reading. */
  readonly fd: number
  readonly read: (
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ) => Promise<{ readonly bytesRead: number; readonly buffer: Uint8Array }>
  readonly writeFile: (content: string | Uint8Array) => Promise<void>
  readonly sync: () => Promise<void>
  readonly stat: () => Promise<Stats>
  readonly close: () => Promise<void>
}

/** Files that are open for reading, by their descriptors. */
const opened = new Map<number, File>()
let descriptors = 0

const reader = async (path: string): Promise<FileHandle> => {
  const file = await contentAt(path)
  const fd = ++descriptors
  opened.set(fd, file)
  const denied = async (): Promise<never> => {
    throw failure("EBADF", path)
  }
  return {
    fd,
    read: async (buffer, offset, length, position) => {
      const bytes = new Uint8Array(await file.slice(position, position + length).arrayBuffer())
      buffer.set(bytes, offset)
      return { bytesRead: bytes.length, buffer }
    },
    writeFile: denied,
    sync: denied,
    stat: async () => statsOf(file.size, file.lastModified, "file"),
    close: async () => {
      opened.delete(fd)
    },
  }
}

/** Reads a part of an open file without returning to the event loop, which a worker can. @returns bytes read */
export const readSync = (fd: number, buffer: Uint8Array, offset: number, length: number, position: number): number => {
  const file = opened.get(fd)
  if (file === undefined) throw failure("EBADF", String(fd))
  const bytes = new Uint8Array(new FileReaderSync().readAsArrayBuffer(file.slice(position, position + length)))
  buffer.set(bytes, offset)
  return bytes.length
}

export const fstatSync = (fd: number): { readonly size: number } => opened.get(fd) ?? { size: 0 }

export const closeSync = (fd: number): void => {
  opened.delete(fd)
}

const waiting = (path: string): never => {
  throw new Error(`a browser cannot look for ${path} without waiting for it`)
}
export const openSync = (path: string, _flags: "r"): number => waiting(path)
export const existsSync = (path: string): boolean => waiting(path)

const writer = async (path: string): Promise<FileHandle> => {
  const access = await (await fileAt(path, true)).createSyncAccessHandle()
  access.truncate(0)
  let at = 0
  return {
    fd: -1,
    read: async (buffer, offset, length, position) => ({
      bytesRead: access.read(buffer.subarray(offset, offset + length), { at: position }),
      buffer,
    }),
    writeFile: (content) =>
      attempt(path, async () => {
        at = writeAll(access, content, at)
      }),
    sync: async () => access.flush(),
    stat: async () => statsOf(access.getSize(), Date.now(), "file"),
    close: async () => access.close(),
  }
}

/** @param flags `r` (default) reads, `w` writes a new or emptied file */
export const open = (path: string, flags: "r" | "w" = "r"): Promise<FileHandle> =>
  attempt(path, () => (flags === "r" ? reader(path) : writer(path)))

/** All files of a browser are regular ones. */
export const openFile = (path: string): Promise<FileHandle> => open(path)
export const openFileSync = (path: string): number => openSync(path, "r")
export const otherThanFile = (found: Pick<Stats, "isFile">): string | undefined =>
  found.isFile() ? undefined : "a folder"

/** The browser keeps its folders itself. */
export const syncFolder = async (_path: string): Promise<void> => undefined

export const appendFile = (path: string, content: string | Uint8Array): Promise<void> =>
  attempt(path, async () =>
    withAccess(await fileAt(path, true), (access) => {
      writeAll(access, content, access.getSize())
      access.flush()
    }),
  )

export const truncate = (path: string, size: number): Promise<void> =>
  attempt(path, async () => withAccess(await fileAt(path), (access) => access.truncate(size)))

/** Creates one folder; its parent must exist. */
export const mkdir = (path: string): Promise<void> =>
  attempt(path, async () => {
    const parent = await folderAt(dirname(join("/", path)))
    const isThere = await parent.getDirectoryHandle(basename(path)).then(
      () => true,
      () => false,
    )
    if (isThere) throw failure("EEXIST", path)
    await parent.getDirectoryHandle(basename(path), { create: true })
  })

export interface Entry {
  readonly name: string
  readonly parentPath: string
  readonly isFile: () => boolean
  readonly isDirectory: () => boolean
  readonly isSymbolicLink: () => boolean
}

const entriesOf = async (path: string, recursive: boolean): Promise<readonly Entry[]> => {
  const found: Entry[] = []
  for await (const { name, kind } of (await folderAt(path)).values()) {
    found.push({
      name,
      parentPath: path,
      isFile: () => kind === "file",
      isDirectory: () => kind === "directory",
      isSymbolicLink: () => false,
    })
    if (recursive && kind === "directory") found.push(...(await entriesOf(join(path, name), true)))
  }
  return found
}

export function readdir(path: string): Promise<readonly string[]>
export function readdir(
  path: string,
  options: { readonly recursive?: boolean; readonly withFileTypes: true },
): Promise<readonly Entry[]>
export function readdir(
  path: string,
  options?: { readonly recursive?: boolean },
): Promise<readonly string[] | readonly Entry[]> {
  return attempt(path, async () => {
    const found = await entriesOf(path, options?.recursive ?? false)
    return options === undefined ? found.map(({ name }) => name) : found
  })
}

export const rm = (
  path: string,
  { recursive = false, force = false }: { readonly recursive?: boolean; readonly force?: boolean } = {},
): Promise<void> =>
  attempt(path, async () => {
    try {
      await (await folderAt(dirname(join("/", path)))).removeEntry(basename(path), { recursive })
    } catch (thrown) {
      if (!force || !(thrown instanceof DOMException) || thrown.name !== "NotFoundError") throw thrown
    }
  })

const copy = async (from: string, to: string): Promise<void> => {
  const handle = await writer(to)
  try {
    await handle.writeFile(await readFile(from))
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Not yet in TypeScript's library. */
interface Movable {
  readonly move?: (parent: FileSystemDirectoryHandle, name: string) => Promise<void>
}

/** This file system has no second names of a file. */
export const link = async (_from: string, to: string): Promise<void> => {
  throw failure("ENOTSUP", to)
}

/** A file replaces the one at `to` in one operation where the browser can move files. A folder is copied: browsers cannot move one. */
export const rename = (from: string, to: string): Promise<void> =>
  attempt(from, async () => {
    if (await exists(from)) {
      const file = (await fileAt(from)) as FileSystemFileHandle & Movable
      if (file.move !== undefined) return file.move(await folderAt(dirname(join("/", to))), basename(to))
      await copy(from, to)
      return rm(from)
    }
    const entries = await entriesOf(from, false)
    await folderAt(to, true)
    for (const entry of entries) await rename(join(from, entry.name), join(to, entry.name))
    await rm(from, { recursive: true })
  })
