/** Where weights that are not part of the project are looked for. */
import { existsSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"

/** The user's cache, or the folder that `ADAFM_CACHE` names. */
export const cache = (): string =>
  process.env.ADAFM_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "adafm")

/** The cache, then the shared data that may lie beside the working folder. */
export const folders = (): readonly string[] =>
  [cache(), join(process.cwd(), "..", "shared", "data", "inception")].filter((folder) => existsSync(folder))
