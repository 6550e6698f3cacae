/** Where weights that are not part of the project are looked for, and how they are read. */
import { existsSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { Checkpoint } from "@adafm/checkpoint"
import { type Failure, Flat, type NdArray } from "@adafm/core"
import type { Extractor } from "@adafm/metrics"
import type * as TE from "fp-ts/lib/TaskEither.js"

/** The user's cache, or the folder that `ADAFM_CACHE` names. */
export const cache = (): string =>
  process.env.ADAFM_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "adafm")

/** The cache, then the shared data that may lie beside the working folder. */
export const folders = (): readonly string[] =>
  [cache(), join(process.cwd(), "..", "shared", "data", "inception")].filter((folder) => existsSync(folder))

/** Weights may be a PyTorch file. */
const readTensors = (file: string): TE.TaskEither<Failure.Failure, Flat.Flat<NdArray.NdArray>> =>
  Checkpoint.use(file, ({ tensors, read }) => Flat.map(tensors, (_, path) => read(path)))

/** Where and how an extractor finds its weights, and where its graph is kept. */
export const search = (): Omit<Extractor.Options, "name"> => ({ folders: folders(), readTensors, cache: cache() })
