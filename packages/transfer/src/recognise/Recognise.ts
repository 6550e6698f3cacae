/**
 * Which architecture a checkpoint holds, with its configuration, from names and shapes alone; or the nearest architecture and the
 * tensors that do not fit it. This module and `ChooseNetworks` return everything that import and inspection need, as data.
 */
import type { Checkpoint } from "@adafm/checkpoint"
import { Failure, Flat } from "@adafm/core"
import { Gan, type Step } from "@adafm/gan"
import * as Dcgan from "./architectures/Dcgan.ts"
import * as FastGan from "./architectures/FastGan.ts"
import * as GpGanFamily from "./architectures/GpGanFamily.ts"
import * as DeclaredConfig from "./DeclaredConfig.ts"
import * as EffectiveWeights from "./EffectiveWeights.ts"
import * as Fit from "./Fit.ts"
import * as FlattenOrder from "./FlattenOrder.ts"
import * as KerasDefaults from "./KerasDefaults.ts"
import * as LayerOrder from "./LayerOrder.ts"
import type * as Parameter_ from "./Parameter.ts"
import * as ParameterNames from "./ParameterNames.ts"
import * as PublishedGans from "./PublishedGans.ts"
import type * as RoleWords from "./RoleWords.ts"
import type * as Shapes from "./Shapes.ts"

export type Misfit = Fit.Misfit
export type Role = Shapes.Role
export type Networks = Shapes.Networks
export type Recognised = Fit.Fit

/** Recognises one or both networks. */
export const networks = (both: Networks, claim?: DeclaredConfig.Claim): Recognised => {
  const found = GpGanFamily.recognise(both, claim) ?? FastGan.recognise(both)
  if (found !== undefined) return found
  const role = both.generator === undefined ? "discriminator" : "generator"
  return published(Object.keys({ ...both.generator, ...both.discriminator }), role) ?? Dcgan.recognise(both)
}

/** A network that is known and cannot be trained here, by its paths. */
const published = (paths: readonly string[], network: Role): Fit.Unknown | undefined => {
  const found = PublishedGans.find(paths)
  return found && { _tag: "Unknown", misfits: [{ network, path: paths[0]!, reason: PublishedGans.explain(found) }] }
}

/** Recognises a network of unknown role: both roles are tried. */
export const single = (shapes: Shapes.Shapes): Recognised => {
  const tried = [networks({ generator: shapes }), networks({ discriminator: shapes })]
  return tried.find(({ _tag }) => _tag !== "Unknown") ?? tried[0]!
}

/** The nearest architecture and the tensors that do not fit it, for messages. */
export const explain = Fit.explain

const shapesOf = ({
  generator,
  discriminator,
}: Partial<Record<Role, ParameterNames.Network | undefined>>): Networks => ({
  ...(generator !== undefined && { generator: ParameterNames.shapes(generator) }),
  ...(discriminator !== undefined && { discriminator: ParameterNames.shapes(discriminator) }),
})

/** The architecture of a checkpoint with one or both networks; the first network of a role counts. */
export const checkpoint = (contents: Pick<Checkpoint.Checkpoint, "format" | "tensors" | "isSorted">): Recognised => {
  // the keys in front of networks tell too
  const known = published(Object.keys(contents.tensors), "generator")
  if (known !== undefined) return known
  const never = (): never => Failure.raise("MissingTensor", "the values are not needed to recognise a network")
  const all = ParameterNames.networks(contents).map((network) => ({
    ...network,
    parameters: EffectiveWeights.of({ ...network, checkpoint: { read: never } }),
  }))
  const first = (kind: RoleWords.Kind): ParameterNames.Network | undefined => all.find((n) => n.kind === kind)
  const [generator, discriminator] = [first("generator") ?? first("generator_ema"), first("discriminator")]
  if (generator !== undefined || discriminator !== undefined) return networks(shapesOf({ generator, discriminator }))
  const largest = all.toSorted((a, b) => Object.keys(b.parameters).length - Object.keys(a.parameters).length)[0]
  return largest === undefined ? { _tag: "Unknown", misfits: [] } : single(ParameterNames.shapes(largest))
}

/** A network of a checkpoint. Its names have been read, its shapes have not yet been recognised. */
export interface Network extends ParameterNames.Network {
  readonly checkpoint: Checkpoint.Checkpoint
  /** Recognises the network by itself; the first call computes, later calls return the same result. */
  readonly alone: () => Recognised
}

const once = <A>(make: () => A): (() => A) => {
  let made: { readonly value: A } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** The networks of one model; a generator may come alone. */
export interface Pair {
  readonly generator: Network
  readonly discriminator?: Network
}

/** The networks of a checkpoint. */
export const list = (checkpoint: Checkpoint.Checkpoint): readonly Network[] =>
  ParameterNames.networks(checkpoint).map((stored) => {
    const network = { ...stored, parameters: EffectiveWeights.of({ ...stored, checkpoint }) }
    return { ...network, checkpoint, alone: once(() => single(ParameterNames.shapes(network))) }
  })

export type Parameter = Parameter_.Parameter

/** Where the parameters of one network of a model come from. */
export interface Source {
  readonly checkpoint: Checkpoint.Checkpoint
  /** Keys in front of the parameters' names, joined with `/`; empty for a bare state dict. */
  readonly root: string
  /** By the names of the architecture and of the modulation. */
  readonly parameters: Flat.Flat<Parameter>
  /** To fold into the filters. */
  readonly modulation?: Step.Modulation
}

export interface Model {
  readonly gan: Gan.Gan
  /** The published implementation that uses these names; strides and slopes are its own. */
  readonly layout: string | null
  readonly generator: Source
  /** Absent where the generator comes alone. */
  readonly discriminator?: Source
  /** What the files do not show. */
  readonly assumptions: readonly string[]
}

/** The parameters that TensorFlow stores in another order; the other formats have PyTorch's. */
const ordersOf = (
  config: Gan.Config,
  role: Role,
  { format, file }: Checkpoint.Checkpoint,
): Flat.Flat<FlattenOrder.Order> => {
  if (!KerasDefaults.isKeras({ format })) return Flat.empty()
  if (config.architecture === "dcgan")
    return FlattenOrder.orders(config[role], role === "discriminator" ? config.image : undefined)
  return Failure.raise(
    "UnsupportedLayout",
    `a ${config.architecture} saved by TensorFlow is not supported: of its models only plain stacks (dcgan) are converted from the order (H, W, C)`,
    { file },
  )
}

const source = (gan: Gan.Gan, role: Role, network: Network, modulation?: Step.Modulation): Source => {
  const orders = ordersOf(gan.config, role, network.checkpoint)
  const found = gan.config.architecture === "fastgan" ? FastGan.adapted(network.parameters) : network.parameters
  return {
    checkpoint: network.checkpoint,
    root: network.root,
    parameters: Flat.map(Flat.merge(gan[role], modulation?.leaves ?? {}), (_, path): Parameter => {
      const [parameter, flattened] = [found[path]!, orders[path]]
      return flattened === undefined ? parameter : { ...parameter, flattened }
    }),
    ...(modulation !== undefined && { modulation }),
  }
}

/**
 * Recognises the networks of one model together.
 * @param arch the architecture that the user expects; any other is an error
 */
export const model = ({ generator, discriminator }: Pair, arch?: string): Model => {
  const { file, metadata } = generator.checkpoint
  const sorted = [generator, discriminator].find((n) => n !== undefined && KerasDefaults.isNamedByKind(n.checkpoint))
  if (sorted !== undefined) return KerasDefaults.refuseOrder(sorted.checkpoint)
  const recognised = networks(shapesOf({ generator, discriminator }), DeclaredConfig.read(metadata))
  if (recognised._tag === "Unknown") {
    const isKeras = KerasDefaults.isKeras(generator.checkpoint)
    const hint = isKeras ? `; the file holds weights without their network: ${KerasDefaults.NEEDED}` : ""
    return Failure.raise("UnknownArchitecture", `${explain(recognised)}${hint}`, { file })
  }
  const { config, layout = null, modulation, assumptions = [] } = recognised
  if (config === undefined) return Failure.raise("UnknownArchitecture", "the generator is missing", { file })
  if (arch !== undefined && arch !== config.architecture)
    return Failure.raise("UnknownArchitecture", `--arch ${arch}: these are the tensors of ${config.architecture}`, {
      file,
    })
  const both = discriminator === undefined ? [generator] : [generator, discriminator]
  if (config.architecture === "dcgan")
    for (const { checkpoint, parameters } of both)
      if (checkpoint.isSorted) LayerOrder.check(ParameterNames.shapes({ parameters }), checkpoint)
  const isKeras = both.some(({ checkpoint }) => KerasDefaults.isKeras(checkpoint))
  const gan = Gan.of(isKeras && config.architecture === "dcgan" ? KerasDefaults.defaults(config, file) : config)
  return {
    gan,
    layout,
    assumptions,
    generator: source(gan, "generator", generator, modulation),
    ...(discriminator !== undefined && { discriminator: source(gan, "discriminator", discriminator) }),
  }
}
