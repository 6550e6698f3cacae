/** Modulation of a network: which filters are modulated, the names of the added parameters, and the parameters that result. */
import { Failure, Flat, Layout, type Leaf, type NdArray } from "@adafm/core"
import { Gan, type Network, Stack, type Step } from "@adafm/gan"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import * as FilterModulations from "./FilterModulations.ts"
import * as InputConditioned from "./InputConditioned.ts"

const kinds = {
  adafm: FilterModulations.adafm,
  scale: FilterModulations.scale,
  shift: FilterModulations.shift,
  "filter-selection": FilterModulations.filterSelection,
  "feature-statistics": FilterModulations.featureStatistics,
  "rank-one": FilterModulations.rankOne,
  kml: FilterModulations.kernelModulation,
  mfilm: FilterModulations.mfilm,
  "fine-tuning": FilterModulations.fineTuning,
  "input-conditioned": InputConditioned.of("own"),
  "input-conditioned-another": InputConditioned.of("another"),
  "input-conditioned-constant": InputConditioned.of("constant"),
} as const satisfies Readonly<Record<string, FilterModulations.Kind>>

/** The kinds without a number in their configuration. */
export const names = Object.keys(kinds) as readonly (keyof typeof kinds)[]

export const Config = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.enum(names) }),
  z.strictObject({ kind: z.literal("low-rank"), rank: z.number().int().positive().default(4) }),
])
export type Config = z.output<typeof Config>

const kindOf = (config: Config): FilterModulations.Kind =>
  config.kind === "low-rank" ? FilterModulations.lowRank(config.rank) : kinds[config.kind]

const layerOf = (weight: Flat.Path): Flat.Path => weight.replace(/\.weight$/, "")

/** The names in the authors' code, `gama` included. */
const authors = { gamma: "style_gama", beta: "style_beta" } as const

/**
 * The path of a filter's modulation parameter: for AdaFM in GP-GAN's blocks the name in the authors' code
 * (`resnet_3_0.small_adafm_0.style_gama`), otherwise `<layer>.<kind>.<name>`.
 */
export const pathOf = (weight: Flat.Path, kind: Config["kind"], name: string): Flat.Path => {
  const block = /^(resnet_\d+_\d+)\.conv_([01])\.weight$/.exec(weight)
  return block !== null && kind === "adafm" && (name === "gamma" || name === "beta")
    ? `${block[1]}.small_adafm_${block[2]}.${authors[name]}`
    : `${layerOf(weight)}.${kind}.${name}`
}

/** Paths of a network's transposed filters, `[in, out, kh, kw]`. */
export const transposed = ({ config }: Pick<Gan.Gan, "config">, net: Step.Net): ReadonlySet<Flat.Path> => {
  const plain = Gan.plain(config)
  if (plain.architecture !== "dcgan") return new Set()
  return new Set(
    [...Stack.walk(plain[net])].flatMap((layer) => (layer.kind === "convTranspose" ? [`${layer.path}.weight`] : [])),
  )
}

type Params = Flat.Flat<NdArray.NdArray<"float32">>

export interface Modulation extends Step.Modulation {
  /** Whether it resolves to the ordinary network's parameters and no others. */
  readonly folds: boolean
  /** Whether a sample's output depends on the other samples of the batch. */
  readonly batchwise: boolean
  /** Initial values that are computed from the filters, in the file's layout; the other parameters start as their leaves specify. */
  readonly start: (network: Params) => Params
}

/**
 * Modulates the given filters. Throws `BadModulation` where a path is not a filter, or its layer lacks the bias that the kind
 * changes.
 * @param leaves the network's spec
 * @param weights paths of filters `[a, b, kh, kw]` in it
 * @param isTransposed which of these are `[in, out, kh, kw]`
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
      return Failure.raise(
        "BadModulation",
        `${weight} is not a filter: expected shape [a, b, kh, kw], found ${leaf === undefined ? "no such parameter" : `[${leaf.shape.join(", ")}]`}`,
        { path: weight },
      )
    const bias = `${layerOf(weight)}.bias`
    if (kind.resolveBias !== undefined && leaves[bias] === undefined)
      Failure.raise("BadModulation", `${config.kind} changes the bias of ${weight}'s layer, which has no bias`, {
        path: weight,
      })
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

/** Paths of the modulation's parameters; all are trained. */
export const paths = (modulation: Step.Modulation): readonly Flat.Path[] => Object.keys(modulation.leaves)

/**
 * The parameters that a modulated network resolves to, in the file's layout; computed on the TensorFlow.js `cpu` backend.
 * Parameters that are not modulated are returned unchanged. If the modulation folds, the result is the ordinary network's
 * parameters; otherwise it also holds scales of layers, which the network applies.
 */
export const fold = (modulation: Step.Modulation, params: Params): Params => {
  const before = tf.getBackend()
  tf.enableProdMode() // otherwise the backend logs advice to install tfjs-node
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

/** The network with its modulation: it takes the modulated parameters and resolves them before use. */
export const wrap = (gan: Gan.Gan, modulation: Partial<Record<Step.Net, Step.Modulation>>): Gan.Gan => {
  const resolve = (net: Step.Net, params: Network.Tensors): Network.Tensors =>
    modulation[net]?.resolve(params) ?? params
  return {
    ...gan,
    generator: Flat.merge(gan.generator, modulation.generator?.leaves ?? {}),
    discriminator: Flat.merge(gan.discriminator, modulation.discriminator?.leaves ?? {}),
    generate: (params, inputs, norm) => gan.generate(resolve("generator", params), inputs, norm),
    generateTraining: (params, inputs) => gan.generateTraining(resolve("generator", params), inputs),
    discriminatorFeatures: (params, x, norm) => gan.discriminatorFeatures(resolve("discriminator", params), x, norm),
    discriminate: (params, x, y, norm) => gan.discriminate(resolve("discriminator", params), x, y, norm),
  }
}
