/** The experiments: the folders here that hold a `config.ts`. */
import { execFile } from "node:child_process"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Failure } from "@adafm/core"
import * as Experiment from "./Experiment.ts"

export const here = fileURLToPath(new URL("../..", import.meta.url))
/** Holds the bank of finished cells and the splits of targets, which experiments share. */
export const lab = join(here, "lab")

/** What the code is at; nothing where it lies in no checkout. */
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

export const load = async (name: string): Promise<Experiment.Experiment> => {
  const file = fileOf(name)
  if (!/^[a-z0-9-]+$/.test(name) || !existsSync(file))
    return Failure.raise("BadArguments", `no experiment is called ${name}; there are ${names().join(", ")}`)
  const { experiment } = (await import(file)) as { readonly experiment: unknown }
  return Experiment.Experiment.parse(experiment)
}
