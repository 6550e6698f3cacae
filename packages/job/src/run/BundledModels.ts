/** Models that are bundled with the package: `builtin:NAME` names one wherever a model folder is expected. */
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure } from "@adafm/core"

const PREFIX = "builtin:"
/** The folder of the bundled models: a model folder for each. */
export const folder = fileURLToPath(new URL("../../assets", import.meta.url))

export const names = (): readonly string[] =>
  existsSync(folder) ? readdirSync(folder).filter((name) => existsSync(join(folder, name, "model.json"))) : []

/** The source to start with for your own photographs: the widest bundled model. */
export const recommended = (): string => {
  const known = names()
  return PREFIX + (known.includes("cifar32") ? "cifar32" : (known[0] ?? "cifar32"))
}

/** The folder of `builtin:NAME`; any other path is returned unchanged. */
export const resolve = (path: string): string => {
  if (!path.startsWith(PREFIX)) return path
  const name = path.slice(PREFIX.length)
  const known = names()
  if (known.includes(name)) return join(folder, name)
  const found = known.length === 0 ? "none" : known.map((n) => PREFIX + n).join(", ")
  return Failure.raise("NoModel", `there is no bundled model ${path}; the bundled models are: ${found}`, {
    file: path,
  })
}
