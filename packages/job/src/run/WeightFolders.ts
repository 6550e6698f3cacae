/** Where weights that are not part of the project are looked for. */
import { existsSync } from "node:fs"
import { delimiter } from "node:path"
import { Download } from "@adafm/checkpoint"
import type { Extractor } from "@adafm/metrics"

/** The user's cache, or the folder that `ADAFM_CACHE` names. */
export const cache = (): string => Download.cacheFolder()

/** The cache, then the folders that `ADAFM_WEIGHTS` names (several are separated as in `PATH`). */
export const all = (): readonly string[] =>
  [cache(), ...(process.env.ADAFM_WEIGHTS ?? "").split(delimiter)].filter(
    (folder) => folder !== "" && existsSync(folder),
  )

/** Where an extractor finds its weights, and where its graph is kept. */
export const search = (): Omit<Extractor.Options, "name"> => ({ folders: all(), cache: cache() })
