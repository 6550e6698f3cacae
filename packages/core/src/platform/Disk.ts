/** Files and folders, on Node's file system. The browser's `Disk` has the same names. */
export {
  appendFile,
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
} from "node:fs/promises"
