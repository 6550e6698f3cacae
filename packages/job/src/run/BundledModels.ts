/** Models that come with the package: `builtin:NAME` stands for a model folder wherever a model is asked for. */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure } from "@adafm/core"

const PREFIX = "builtin:"
const assets = fileURLToPath(new URL("../../assets", import.meta.url))

export const names = (): readonly string[] =>
  existsSync(assets) ? readdirSync(assets).filter((name) => existsSync(join(assets, name, "model.json"))) : []

/** The one to begin with for one's own photographs: the widest that comes along. */
export const recommended = (): string => {
  const known = names()
  return PREFIX + (known.includes("cifar32") ? "cifar32" : (known[0] ?? "cifar32"))
}

/** The folder that a name stands for; any other path stands for itself. */
export const resolve = (path: string): string => {
  if (!path.startsWith(PREFIX)) return path
  const name = path.slice(PREFIX.length)
  const known = names()
  if (known.includes(name)) return join(assets, name)
  const there = known.length === 0 ? "there is none" : `there is ${known.map((n) => PREFIX + n).join(", ")}`
  return Failure.raise("NoModel", `no model called ${name} comes with adafm; ${there}`, { file: path })
}
