/** Paths of the platform's file system: in Node the system's, in a browser with `/`. */
export { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from "node:path"
