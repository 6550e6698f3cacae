/** Modulation of a whole network: which filters, under which names, and what it all resolves to. */
import { Failure, Flat, Layout, type Leaf, type NdArray } from "@adafm/core"
import { Gan, type Network, type Step } from "@adafm/gan"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import * as Responsive from "./Responsive.ts"
import * as Rivals from "./Rivals.ts"

const kinds = {
  adafm: Rivals.adafm,
  scale: Rivals.scale,
  shift: Rivals.shift,
  "filter-selection": Rivals.filterSelection,
  "feature-statistics": Rivals.featureStatistics,
  "rank-one": Rivals.rankOne,
  kml: Rivals.kernelModulation,
  mfilm: Rivals.mfilm,
  "fine-tuning": Rivals.fineTuning,
  "input-conditioned": Responsive.of("own"),
  "input-conditioned-another": Responsive.of("another"),
  "input-conditioned-constant": Responsive.of("constant"),
} as const satisfies Readonly<Record<string, Rivals.Kind>>

/** The kinds that need no number. */
export const names = Object.keys(kinds) as readonly (keyof typeof kinds)[]

export const Config = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.enum(names) }),
  z.strictObject({ kind: z.literal("low-rank"), rank: z.number().int().positive().default(4) }),
])
export type Config = z.output<typeof Config>

const kindOf = (config: Config): Rivals.Kind =>
  config.kind === "low-rank" ? Rivals.lowRank(config.rank) : kinds[config.kind]

const layerOf = (weight: Flat.Path): Flat.Path => weight.replace(/\.weight$/, "")

/** The authors' names for their own blocks. */
const authors = { gamma: "style_gama", beta: "style_beta" } as const

/**
 * The path of one of a filter's modulation parameters: the authors' names for AdaFM in GP-GAN's blocks
 * (`resnet_3_0.small_adafm_0.style_gama`), `<layer>.<kind>.<name>` elsewhere.
 */
export const pathOf = (weight: Flat.Path, kind: Config["kind"], name: string): Flat.Path => {
  const block = /^(resnet_\d+_\d+)\.conv_([01])\.weight$/.exec(weight)
  return block !== null && kind === "adafm" && (name === "gamma" || name === "beta")
    ? `${block[1]}.small_adafm_${block[2]}.${authors[name]}`
    : `${layerOf(weight)}.${kind}.${name}`
}

/** The transposed filters of a network, whose first axis counts inputs. */
export const transposed = ({ config }: Pick<Gan.Gan, "config">, net: Step.Net): ReadonlySet<Flat.Path> => {
  const plain = Gan.plain(config)
  if (plain.architecture !== "dcgan") return new Set()
  return new Set(plain[net].flatMap((layer) => (layer.kind === "convTranspose" ? [`${layer.path}.weight`] : [])))
}

type Params = Flat.Flat<NdArray.NdArray<"float32">>

export interface Modulation extends Step.Modulation {
  /** Whether what it resolves to are parameters of the ordinary network. */
  readonly folds: boolean
  /** Whether what a sample becomes depends on the others of its batch. */
  readonly batchwise: boolean
  /** The modulation's parameters that begin with values of the filters, from the filters; all others begin as their leaves say. */
  readonly start: (network: Params) => Params
}

/**
 * Modulates the given filters.
 * @param leaves the network's own spec
 * @param weights paths of filters `[a, b, kh, kw]` in it
 */
export const make = (
  config: Config,
  leaves: Flat.Flat<Leaf.Leaf>,
  weights: readonly Flat.Path[],
  isTransposed: ReadonlySet<Flat.Path> = new Set(),
): Modulation => {
  const kind = kindOf(config)
  const sites = weights.map((weight) => {
    const leaf = leaves[weight]
    if (leaf?.shape.length !== 4)
      return Failure.raise("BadModulation", `${weight} is no filter of this network`, { path: weight })
    const bias = `${layerOf(weight)}.bias`
    if (kind.resolveBias !== undefined && leaves[bias] === undefined)
      Failure.raise("BadModulation", `${config.kind} shifts the bias of ${weight}, which has none`, { path: weight })
    const extra = kind.spec({ shape: leaf.shape, transposed: isTransposed.has(weight) })
    return { weight, bias, extra: Flat.map(extra, (leaf, name) => ({ leaf, path: pathOf(weight, config.kind, name) })) }
  })
  const extras = new Set(sites.flatMap(({ extra }) => Object.values(extra).map(({ path }) => path)))
  return {
    leaves: Flat.fromEntries(
      sites.flatMap(({ extra }) => Object.values(extra).map(({ path, leaf }) => [path, leaf] as const)),
    ),
    folds: kind.resolveLayer === undefined,
    batchwise: kind.batchwise === true,
    start: (network) =>
      Flat.fromEntries(
        sites.flatMap(({ weight, extra }) =>
          Object.entries(kind.start?.(network[weight]!) ?? {}).map(
            ([name, array]) => [extra[name]!.path, array] as const,
          ),
        ),
      ),
    resolve: (params) =>
      Flat.merge(
        Flat.filter(params, (path) => !extras.has(path)),
        Flat.fromEntries(
          sites.flatMap(({ weight, bias, extra }) => {
            const own = Flat.map(extra, ({ path }) => params[path]!)
            return [
              [weight, kind.resolve(params[weight]!, own)] as const,
              ...(kind.resolveBias ? [[bias, kind.resolveBias(params[bias]!, own)] as const] : []),
              ...Object.entries(kind.resolveLayer?.(own) ?? {}).map(
                ([name, tensor]) => [`${layerOf(weight)}.${name}`, tensor] as const,
              ),
            ]
          }),
        ),
      ),
  }
}

/** The parameters that training moves: all of the modulation's own. */
export const paths = (modulation: Step.Modulation): readonly Flat.Path[] => Object.keys(modulation.leaves)

/**
 * The parameters of a modulated network after its modulation, in the file's layout: the same `resolve`, on the TensorFlow.js
 * `cpu` backend. Filters that are not modulated are handed through. Where the modulation folds these are the ordinary network's;
 * otherwise scales of its layers come beside them, which that network applies too.
 */
export const fold = (modulation: Step.Modulation, params: Params): Params => {
  const before = tf.getBackend()
  tf.enableProdMode() // or the backend advises to install another
  tf.setBackend("cpu")
  try {
    let folded: Params = {}
    tf.tidy(() => {
      const tensors = Flat.map(params, (array) => {
        const { data, shape } = Layout.toCompute(array)
        return tf.tensor(data, [...shape], "float32")
      })
      const resolved = modulation.resolve(tensors)
      folded = Flat.map(resolved, (tensor, path) =>
        tensor === tensors[path]
          ? params[path]!
          : Layout.toFile({ dtype: "float32", shape: tensor.shape, data: tensor.dataSync() as Float32Array }),
      )
    })
    return folded
  } finally {
    if (before !== undefined && before !== "") tf.setBackend(before)
  }
}

/** The network with its parameters resolved on the way in: samples and judges as it was trained. */
export const wrap = (gan: Gan.Gan, modulation: Partial<Record<Step.Net, Step.Modulation>>): Gan.Gan => {
  const resolve = (net: Step.Net, params: Network.Tensors): Network.Tensors =>
    modulation[net]?.resolve(params) ?? params
  return {
    ...gan,
    generator: Flat.merge(gan.generator, modulation.generator?.leaves ?? {}),
    discriminator: Flat.merge(gan.discriminator, modulation.discriminator?.leaves ?? {}),
    generate: (params, inputs, norm) => gan.generate(resolve("generator", params), inputs, norm),
    generateTraining: (params, inputs) => gan.generateTraining(resolve("generator", params), inputs),
    discriminate: (params, x, y, norm) => gan.discriminate(resolve("discriminator", params), x, y, norm),
  }
}
