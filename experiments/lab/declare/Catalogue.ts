/** The experiments: every folder of `experiments/` with a `config.ts`. */
import { execFile } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Failure } from "@adafm/core"
import * as Experiment from "./Experiment.ts"

export const here = fileURLToPath(new URL("../..", import.meta.url))
/** Holds the bank of finished cells and the splits of targets, which all experiments share. */
export const lab = join(here, "lab")

/** The commit of the code; `null` outside a git checkout. */
export const commit = async (): Promise<string | null> => {
  try {
    return (await promisify(execFile)("git", ["rev-parse", "HEAD"], { cwd: here })).stdout.trim()
  } catch {
    return null
  }
}

const fileOf = (name: string): string => join(here, name, "config.ts")

export const names = (): readonly string[] =>
  readdirSync(here)
    .filter((name) => existsSync(fileOf(name)))
    .sort()

/** The folder of an experiment. An unknown or missing name is refused with the list of known ones. */
export const folderOf = (name: string | undefined): string => {
  if (name !== undefined && /^[a-z0-9-]+$/.test(name) && existsSync(fileOf(name))) return join(here, name)
  const problem = name === undefined ? "name an experiment" : `no experiment is called ${name}`
  return Failure.raise("BadArguments", `${problem}; the experiments are ${names().join(", ")}`)
}

export const load = async (name: string | undefined): Promise<Experiment.Experiment> => {
  const { experiment } = (await import(join(folderOf(name), "config.ts"))) as { readonly experiment: unknown }
  return Experiment.Experiment.parse(experiment)
}
