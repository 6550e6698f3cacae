/** Which network the keys in front of a state dict name: the usual words for generator, discriminator and moving average. */

import type { Role } from "./Shapes.ts"

/** `ema` is the moving average of a network that the keys do not name. */
export type Kind = "generator" | "generator_ema" | "discriminator" | "ema" | "other"

const roles: ReadonlyMap<string, Role> = new Map([
  ...["generator", "gen", "g", "netg", "gnet", "modelg", "gs"].map((word) => [word, "generator"] as const),
  ...["discriminator", "disc", "dis", "d", "netd", "dnet", "modeld", "critic"].map(
    (word) => [word, "discriminator"] as const,
  ),
])
const averages = new Set(["ema", "avg", "average", "averaged", "shadow", "smooth", "polyak", "gs"])
/** Mean "average" only together with the name of a network: `generator_test`, `g_running`. */
const averagesOfNamed = new Set(["test", "target", "running"])
const fillers = new Set([
  "state",
  "dict",
  "statedict",
  "model",
  "models",
  "module",
  "net",
  "nets",
  "network",
  "networks",
  "params",
  "parameters",
  "weights",
  "checkpoint",
  "online",
])

interface Read {
  readonly role?: Role
  readonly isAverage: boolean
}

/** What one key says; undefined where it contains an unknown word (`optimizer_G`). */
const read = (key: string): Read | undefined => {
  const words = key
    .split(/[_\-. ]+|(?<=[a-z])(?=[A-Z])/)
    .filter((word) => word !== "")
    .map((word) => word.toLowerCase())
  const found = new Set(words.flatMap((word) => roles.get(word) ?? []))
  const [role] = found
  const isKnown = (word: string): boolean =>
    roles.has(word) || averages.has(word) || fillers.has(word) || (role !== undefined && averagesOfNamed.has(word))
  return words.length === 0 || found.size > 1 || !words.every(isKnown)
    ? undefined
    : {
        ...(role !== undefined && { role }),
        isAverage: words.some((word) => averages.has(word) || averagesOfNamed.has(word)),
      }
}

/**
 * @param root keys joined with `/`. The last key that names a network decides (`models/netG_state_dict`); a key above or below
 * that says "average" makes it the moving average (`ema/generator`).
 */
export const of = (root: string): Kind => {
  let isAverage = false
  let role: Role | undefined
  for (const key of root.split("/").reverse()) {
    const said = read(key)
    if (said === undefined && role === undefined) break
    role ??= said?.role
    isAverage ||= said?.isAverage ?? false
  }
  if (role === undefined) return isAverage ? "ema" : "other"
  if (role === "generator") return isAverage ? "generator_ema" : "generator"
  return isAverage ? "ema" : "discriminator"
}
