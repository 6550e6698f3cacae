/** Models that are served with the page. A page puts the one that is chosen into `FOLDER` before it is opened. */
import { Path } from "@adafm/core"

const PREFIX = "builtin:"

/** The folder of the bundled models in the browser's private file system. */
export const FOLDER = "/builtin"

/** The folder of `builtin:NAME`; any other path is returned unchanged. */
export const resolve = (path: string): string =>
  path.startsWith(PREFIX) ? Path.join(FOLDER, path.slice(PREFIX.length)) : path
