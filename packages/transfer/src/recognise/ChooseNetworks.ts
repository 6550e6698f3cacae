/**
 * Which of the networks in one or more checkpoints is the generator and which the discriminator: by the keys in front of their
 * tensors, or else by the architecture that the tensors fit. Two candidates for one role are an error, never a guess.
 */

import type { Checkpoint } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"
import * as PublishedGans from "./PublishedGans.ts"
import * as Recognise from "./Recognise.ts"
import type * as RoleWords from "./RoleWords.ts"
import { isIgnored } from "./Shapes.ts"

type Network = Recognise.Network

export interface Options {
  /** One file with both networks, or one for each. */
  readonly files?: readonly string[]
  readonly generator?: string
  readonly discriminator?: string
  /** The keys in front of a network's tensors, joined with `/`, where a file holds several candidates. */
  readonly generatorAt?: string
  readonly discriminatorAt?: string
  /** Take the moving average of the generator; the paper takes the generator itself. */
  readonly ema?: boolean
}

/** The networks of a model, and what else the files hold. */
export interface Chosen extends Recognise.Pair {
  /** Whether the generator is a moving average, by its keys. */
  readonly isAverage: boolean
  /** Keys of a moving average of the generator that was not chosen. */
  readonly average: string | null
  /** Paths of the checkpoints that neither network uses, with the file's name in front where there are several files. */
  readonly ignored: readonly string[]
}

/** The keys of a network, for messages. */
const label = ({ root }: Network): string => root || "the top level"
const labels = (all: readonly Network[]): string => {
  const shown = all.slice(0, 8).map(label).join(", ")
  return all.length > 8 ? `${shown} and ${all.length - 8} more` : shown
}

/** Whether it contains the weight of a layer: the state of an optimizer and a table of statistics do not. */
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
        `${labels(all)} could each be the ${role}: choose one, for example with ${flag(role)} ${all[0]!.root || "/"}`,
        { file: all[0]!.checkpoint.file },
      )
}

const placed = (role: Recognise.Role, all: readonly Network[], at: string): Network => {
  const root = at.replace(/^\/+|\/+$/g, "")
  const here = all.filter((network) => network.root === root)
  return (
    only(role, here) ??
    Failure.raise(
      "NoNetwork",
      `${flag(role)} ${at}: no tensors have these keys; there are networks at ${labels(all.filter(isNetwork))}`,
      {
        ...(all[0] !== undefined && { file: all[0].checkpoint.file }),
      },
    )
  )
}

interface Hints {
  readonly ema?: boolean
  readonly at?: string | undefined
}

/** The generator, if there is one. */
const findGenerator = (all: readonly Network[], { ema = false, at }: Hints): Network | undefined => {
  if (at !== undefined) return placed("generator", all, at)
  const ofKind = (kind: RoleWords.Kind): readonly Network[] => all.filter((network) => network.kind === kind)
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

/** The network of files that hold only one, whatever its keys are. */
const findAlone = (all: readonly Network[]): Network | undefined => {
  const networks = all.filter(isNetwork)
  return networks.length === 1 ? networks[0] : undefined
}

const none = (role: string, all: readonly Network[], hint: string): never => {
  const networks = all.filter(isNetwork)
  const shadow = all.some(({ root, parameters }) => `${root}/${Object.keys(parameters)[0]}`.includes("shadow_params"))
  const message = shadow
    ? `no ${role}: shadow_params (of torch_ema) lists averaged parameters without their names; copy them into the model (ema.copy_to()) and save its state_dict()`
    : networks.length === 0
      ? `no ${role}: there is no weight of a layer (a tensor with two or more axes whose name ends in "weight")`
      : `none of the networks at ${labels(networks)} is a ${role}: ${hint}`
  return Failure.raise("NoNetwork", message, { ...(all[0] !== undefined && { file: all[0].checkpoint.file }) })
}

const sayWhere = (role: Recognise.Role): string => `name its keys with ${flag(role)} KEYS`

/** One network of a file that was given as the generator's or the discriminator's. */
const named = (role: Recognise.Role, all: readonly Network[], { ema = false, at }: Hints): Network =>
  (role === "discriminator"
    ? findDiscriminator(all, { at })
    : findGenerator(all, { at, ema: ema && all.length > 1 })) ??
  findAlone(all) ??
  none(role, all, sayWhere(role))

const pair = (
  listed: readonly (readonly Network[])[],
  { files = [], ema = false, ...options }: Options,
): Recognise.Pair => {
  const given = [...files, options.generator, options.discriminator].filter((f) => f !== undefined)
  const of = (file: string): readonly Network[] => listed[given.lastIndexOf(file)]!
  const all = listed.flat()
  const [forG, forD] = [{ at: options.generatorAt }, { at: options.discriminatorAt }]
  // a single network that fits nothing is chosen, so that recognition names the nearest architecture
  const unknown = (): Network | undefined => {
    const network = ema ? undefined : findAlone(all)
    return network?.alone()._tag === "Unknown" ? network : undefined
  }
  const generator =
    options.generator !== undefined
      ? named("generator", of(options.generator), { ...forG, ema })
      : (findGenerator(all, { ...forG, ema }) ??
        unknown() ??
        none(
          ema ? "moving average of a generator" : "generator",
          all,
          ema ? "import the generator itself, without --ema" : sayWhere("generator"),
        ))
  const rest = all.filter(({ checkpoint, root }) => checkpoint !== generator.checkpoint || root !== generator.root)
  const discriminator =
    options.discriminator !== undefined
      ? named("discriminator", of(options.discriminator), forD)
      : findDiscriminator(rest, forD)
  if (discriminator !== undefined) return { generator, discriminator }
  // a network is never left out silently: a generator comes alone where the files hold no other, or where the user said --generator
  const isLeft = rest.some((n) => n.kind === "other" && isNetwork(n) && !fits("generator", n))
  return !isLeft || (options.generator !== undefined && files.length === 0)
    ? { generator }
    : none("discriminator", rest, `${sayWhere("discriminator")}, or import the generator alone with --generator FILE`)
}

/**
 * The networks that the options name, or else the keys, or else the shapes.
 * @param checkpoints of `files`, then of `generator`, then of `discriminator`
 */
export const choose = (checkpoints: readonly Checkpoint.Checkpoint[], options: Options): Chosen => {
  // a person who names the keys means a part that can be read
  if (options.generatorAt === undefined)
    for (const { file, tensors } of checkpoints) {
      const published = PublishedGans.find(Object.keys(tensors))
      if (published !== undefined) Failure.raise("UnknownArchitecture", PublishedGans.explain(published), { file })
    }
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
  const isOther = (n: Network): boolean =>
    (n.kind === "generator_ema" || (n.kind === "ema" && fits("generator", n))) &&
    n.root !== generator.root &&
    isNetwork(n)
  return {
    ...chosen,
    isAverage: generator.kind === "generator_ema" || generator.kind === "ema",
    average: listed.flat().find(isOther)?.root ?? null,
    ignored: checkpoints.flatMap(({ file, tensors }) =>
      Object.keys(tensors)
        .filter((path) => !used.has(`${file}\n${path}`))
        .map((path) => (checkpoints.length > 1 ? `${file}:${path}` : path)),
    ),
  }
}
