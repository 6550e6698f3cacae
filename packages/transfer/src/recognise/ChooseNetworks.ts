/**
 * Which of the networks in one or more checkpoints is the generator and which the discriminator: by the keys in front of them,
 * else by what their tensors fit. Where two would do, nobody guesses.
 */

import type { Checkpoint } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"
import type * as NetworkRoles from "./NetworkRoles.ts"
import * as Recognise from "./Recognise.ts"
import { isIgnored } from "./Shapes.ts"

type Network = Recognise.Network

export interface Options {
  /** One file with both networks, or one for each. */
  readonly files?: readonly string[]
  readonly generator?: string
  readonly discriminator?: string
  /** The keys in front of a network's tensors, joined with `/`, where a file holds several that would do. */
  readonly generatorAt?: string
  readonly discriminatorAt?: string
  /** Take the moving average of the generator; the paper takes the generator itself. */
  readonly ema?: boolean
}

/** The networks of a model, and what else the files hold. */
export interface Chosen extends Recognise.Pair {
  /** Keys of a moving average of the generator that was not taken. */
  readonly average: string | null
  /** Paths of the checkpoints that were left out, with the file's name in front where there are several files. */
  readonly ignored: readonly string[]
}

/** The keys of a network for a person. */
const label = ({ root }: Network): string => root || "the top level"
const labels = (all: readonly Network[]): string => {
  const shown = all.slice(0, 8).map(label).join(", ")
  return all.length > 8 ? `${shown} and ${all.length - 8} more` : shown
}

/** Whether there are weights of a layer: an optimizer's state and a table of statistics have none. */
const isNetwork = ({ parameters }: Network): boolean =>
  Object.entries(parameters).some(([path, { shape }]) => path.endsWith("weight") && shape.length >= 2)

const fits = (role: Recognise.Role, network: Network): boolean => {
  if (!isNetwork(network)) return false
  const alone = network.alone()
  return alone._tag === "Half" && alone.role === role
}

const flag = (role: Recognise.Role): string => `--${role}-at`

const only = (role: Recognise.Role, candidates: readonly Network[]): Network | undefined => {
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

const placed = (role: Recognise.Role, all: readonly Network[], at: string): Network => {
  const root = at.replace(/^\/+|\/+$/g, "")
  const here = all.filter((network) => network.root === root)
  return (
    only(role, here) ??
    Failure.raise("NoNetwork", `no tensors behind ${at}; there are ${labels(all.filter(isNetwork))}`, {
      ...(all[0] !== undefined && { file: all[0].checkpoint.file }),
    })
  )
}

interface Hints {
  readonly ema?: boolean
  readonly at?: string | undefined
}

/** The generator, if there is one. */
const findGenerator = (all: readonly Network[], { ema = false, at }: Hints): Network | undefined => {
  if (at !== undefined) return placed("generator", all, at)
  const ofKind = (kind: NetworkRoles.Kind): readonly Network[] => all.filter((network) => network.kind === kind)
  const average = (): Network | undefined =>
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

/** The discriminator, if there is one. */
const findDiscriminator = (all: readonly Network[], { at }: Hints): Network | undefined => {
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

/** The only network there is, whatever its keys are called. */
const findAlone = (all: readonly Network[]): Network | undefined => {
  const networks = all.filter(isNetwork)
  return networks.length === 1 ? networks[0] : undefined
}

const none = (role: string, all: readonly Network[], hint = ""): never => {
  const networks = all.filter(isNetwork)
  const message =
    networks.length === 0
      ? `no ${role}: no tensor here is a layer's weight`
      : `no ${role} among ${labels(networks)}${hint}`
  return Failure.raise("NoNetwork", message, { ...(all[0] !== undefined && { file: all[0].checkpoint.file }) })
}

/** One network of a file that was given as the generator's or the discriminator's. */
const named = (role: Recognise.Role, all: readonly Network[], { ema = false, at }: Hints): Network =>
  (role === "discriminator"
    ? findDiscriminator(all, { at })
    : findGenerator(all, { at, ema: ema && all.length > 1 })) ??
  findAlone(all) ??
  none(role, all)

const pair = (
  listed: readonly (readonly Network[])[],
  { files = [], ema = false, ...options }: Options,
): Recognise.Pair => {
  const given = [...files, options.generator, options.discriminator].filter((f) => f !== undefined)
  const of = (file: string): readonly Network[] => listed[given.lastIndexOf(file)]!
  const all = listed.flat()
  const [forG, forD] = [{ at: options.generatorAt }, { at: options.discriminatorAt }]
  // the only network there is, when it fits nothing: recognition says what is nearest
  const unknown = (): Network | undefined => {
    const network = ema ? undefined : findAlone(all)
    return network?.alone()._tag === "Unknown" ? network : undefined
  }
  const generator =
    options.generator !== undefined
      ? named("generator", of(options.generator), { ...forG, ema })
      : (findGenerator(all, { ...forG, ema }) ??
        unknown() ??
        none(ema ? "moving average of a generator" : "generator", all))
  const rest = all.filter(({ checkpoint, root }) => checkpoint !== generator.checkpoint || root !== generator.root)
  const discriminator =
    options.discriminator !== undefined
      ? named("discriminator", of(options.discriminator), forD)
      : findDiscriminator(rest, forD)
  if (discriminator !== undefined) return { generator, discriminator }
  // nobody decides silently that a network does not matter: alone is a file that holds nothing else, or a file named as the generator's
  const isLeft = rest.some((n) => n.kind === "other" && isNetwork(n) && !fits("generator", n))
  return !isLeft || (options.generator !== undefined && files.length === 0)
    ? { generator }
    : none(
        "discriminator",
        rest,
        ", which fit none: say where it is with --discriminator-at, or import the generator alone with --generator FILE",
      )
}

/**
 * What the options and the names say, else what fits.
 * @param checkpoints those of `files`, of `generator`, of `discriminator`, in this order
 */
export const choose = (checkpoints: readonly Checkpoint.Checkpoint[], options: Options): Chosen => {
  const listed = checkpoints.map(Recognise.list)
  const chosen = pair(listed, options)
  const { generator, discriminator } = chosen
  const used = new Set(
    [generator, ...(discriminator === undefined ? [] : [discriminator])].flatMap(({ checkpoint, parameters }) =>
      Object.entries(parameters)
        .filter(([path]) => !isIgnored(path))
        .map(([, { from }]) => `${checkpoint.file}\n${from}`),
    ),
  )
  const isAverage = (n: Network): boolean => n.kind === "generator_ema" && n.root !== generator.root && isNetwork(n)
  return {
    ...chosen,
    average: listed.flat().find(isAverage)?.root ?? null,
    ignored: checkpoints.flatMap(({ file, tensors }) =>
      Object.keys(tensors)
        .filter((path) => !used.has(`${file}\n${path}`))
        .map((path) => (checkpoints.length > 1 ? `${file}:${path}` : path)),
    ),
  }
}
