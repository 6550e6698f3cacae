/** Where weights that are not part of the project are looked for. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Download } from "@adafm/checkpoint"
import type { Extractor } from "@adafm/metrics"

/** The user's cache, or the folder that `ADAFM_CACHE` names. */
export const cache = (): string => Download.cacheFolder()

/** The cache, then the shared data next to the working folder. */
export const all = (): readonly string[] =>
  [cache(), join(process.cwd(), "..", "shared", "data", "inception")].filter((folder) => existsSync(folder))

/** Where an extractor finds its weights, and where its graph is kept. */
export const search = (): Omit<Extractor.Options, "name"> => ({ folders: all(), cache: cache() })
