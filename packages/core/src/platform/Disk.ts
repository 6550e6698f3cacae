/** Files and folders, on Node's file system. The browser's `Disk` has the same names. */
export { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs"
export {
  type FileHandle,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
} from "node:fs/promises"
export { appendFile, syncFolder } from "./Durable.ts"
export { openFile, openFileSync, otherThanFile } from "./RegularFile.ts"
