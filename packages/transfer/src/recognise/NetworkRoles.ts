/** Who a key in front of a state dict is: the words that trainers have for the two networks and for a moving average. */

import type { Role } from "./Shapes.ts"

/** `ema` is the average of a network that the key does not name. */
export type Kind = "generator" | "generator_ema" | "discriminator" | "ema" | "other"

const roles: ReadonlyMap<string, Role> = new Map([
  ...["generator", "gen", "g", "netg", "gnet", "modelg", "gs"].map((word) => [word, "generator"] as const),
  ...["discriminator", "disc", "dis", "d", "netd", "dnet", "modeld", "critic"].map(
    (word) => [word, "discriminator"] as const,
  ),
])
const averages = new Set(["ema", "avg", "average", "averaged", "shadow", "smooth", "polyak", "gs"])
/** Say "average" only beside a network's own name: `generator_test`, `g_running`. */
const besides = new Set(["test", "target", "running"])
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
])

interface Read {
  readonly role?: Role
  readonly isAverage: boolean
}

/** What one key says; undefined where it has a word that nobody knows (`optimizer_G`). */
const read = (key: string): Read | undefined => {
  const words = key
    .split(/[_\-. ]+|(?<=[a-z])(?=[A-Z])/)
    .filter((word) => word !== "")
    .map((word) => word.toLowerCase())
  const found = new Set(words.flatMap((word) => roles.get(word) ?? []))
  const [role] = found
  const isKnown = (word: string): boolean =>
    roles.has(word) || averages.has(word) || fillers.has(word) || (role !== undefined && besides.has(word))
  return words.length === 0 || found.size > 1 || !words.every(isKnown)
    ? undefined
    : {
        ...(role !== undefined && { role }),
        isAverage: words.some((word) => averages.has(word) || besides.has(word)),
      }
}

/**
 * @param root keys joined with `/`: the last one that names a network counts (`models/netG_state_dict`), and one that says
 * "average" above or below it (`ema/generator`)
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
