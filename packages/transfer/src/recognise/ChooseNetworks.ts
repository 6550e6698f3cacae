/**
 * Which of the networks in one or more checkpoints is the generator and which the discriminator: by the keys in front of them,
 * else by what their tensors fit. Where two would do, nobody guesses.
 */

import type { Checkpoint } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"
import * as ParameterNames from "./ParameterNames.ts"
import * as Recognise from "./Recognise.ts"

export interface Found extends ParameterNames.Network {
  readonly checkpoint: Checkpoint.Checkpoint
}

export interface Options {
  /** The generator's moving average in place of the generator. */
  readonly ema?: boolean
  /** The keys in front of a network, joined with `/`, as somebody says them. */
  readonly at?: string
}

export const found = (checkpoint: Checkpoint.Checkpoint): readonly Found[] =>
  ParameterNames.networks(checkpoint).map((network) => ({ ...network, checkpoint }))

/** The keys of a network for a person. */
const label = ({ root }: Found): string => root || "the top level"
const labels = (all: readonly Found[]): string => {
  const shown = all.slice(0, 8).map(label).join(", ")
  return all.length > 8 ? `${shown} and ${all.length - 8} more` : shown
}

/** Whether there are weights of a layer: an optimizer's state and a table of statistics have none. */
const isNetwork = ({ parameters }: Found): boolean =>
  Object.entries(parameters).some(([path, { shape }]) => path.endsWith("weight") && shape.length >= 2)

const fits = (role: Recognise.Role, network: Found): boolean => {
  if (!isNetwork(network)) return false
  const answer = Recognise.single(ParameterNames.shapes(network))
  return answer._tag === "Half" && answer.role === role
}

const flag = (role: Recognise.Role): string => `--${role}-at`

const only = (role: Recognise.Role, candidates: readonly Found[]): Found | undefined => {
  const networks = candidates.filter(isNetwork)
  const all = networks.length > 0 ? networks : candidates
  return all.length < 2
    ? all[0]
    : Failure.raise(
        "AmbiguousNetwork",
        `${labels(all)} could each be the ${role}: say which with ${flag(role)} ${all[0]!.root || "/"}`,
        { file: all[0]!.checkpoint.file },
      )
}

const placed = (role: Recognise.Role, all: readonly Found[], at: string): Found => {
  const root = at.replace(/^\/+|\/+$/g, "")
  const here = all.filter((network) => network.root === root)
  return (
    only(role, here) ??
    Failure.raise("NoNetwork", `no tensors behind ${at}; there are ${labels(all.filter(isNetwork))}`, {
      ...(all[0] !== undefined && { file: all[0].checkpoint.file }),
    })
  )
}

/** The generator, if there is one. */
export const generator = (all: readonly Found[], { ema = false, at }: Options = {}): Found | undefined => {
  if (at !== undefined) return placed("generator", all, at)
  const ofKind = (kind: ParameterNames.Network["kind"]): readonly Found[] =>
    all.filter((network) => network.kind === kind)
  const average = (): Found | undefined =>
    only("generator", ofKind("generator_ema")) ??
    only(
      "generator",
      ofKind("ema").filter((n) => fits("generator", n)),
    )
  if (ema) return average()
  return (
    only("generator", ofKind("generator")) ??
    only(
      "generator",
      ofKind("other").filter((n) => fits("generator", n)),
    ) ??
    average()
  )
}

/** Keys of a moving average beside the generator that was chosen. */
export const average = (all: readonly Found[], chosen: Found): string | null =>
  all.find((n) => n.kind === "generator_ema" && n.root !== chosen.root && isNetwork(n))?.root ?? null

/** The discriminator, if there is one. */
export const discriminator = (all: readonly Found[], { at }: Pick<Options, "at"> = {}): Found | undefined => {
  if (at !== undefined) return placed("discriminator", all, at)
  return (
    only(
      "discriminator",
      all.filter(({ kind }) => kind === "discriminator"),
    ) ??
    only(
      "discriminator",
      all.filter((n) => n.kind === "other" && fits("discriminator", n)),
    )
  )
}

/** Networks that are no generator and no average: whoever finds no discriminator may find it among them. */
export const others = (all: readonly Found[]): readonly Found[] =>
  all.filter(
    (network) => ["discriminator", "other"].includes(network.kind) && isNetwork(network) && !fits("generator", network),
  )

/** A file of which somebody says what it holds: its only network is that, whatever its keys are called. */
export const alone = (all: readonly Found[]): Found | undefined => {
  const networks = all.filter(isNetwork)
  return networks.length === 1 ? networks[0] : undefined
}

/** The only network there is, when it fits nothing: recognition says what is nearest. */
export const unknown = (all: readonly Found[]): Found | undefined => {
  const network = alone(all)
  return network !== undefined && Recognise.single(ParameterNames.shapes(network))._tag === "Unknown"
    ? network
    : undefined
}

/** The failure to find one. */
export const none = (role: string, all: readonly Found[], hint = ""): Failure.Failure => {
  const networks = all.filter(isNetwork)
  const message =
    networks.length === 0
      ? `no ${role}: no tensor here is a layer's weight`
      : `no ${role} among ${labels(networks)}${hint}`
  return Failure.make("NoNetwork", message, { ...(all[0] !== undefined && { file: all[0].checkpoint.file }) })
}
