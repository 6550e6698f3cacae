/**
 * GP-GAN with a small head for few training images (Zhao, Cong, Carin, ICML 2020): h style blocks from 4 px to 4·2ʰ px replace
 * the groups 0 … h, which hold the high-level filters. The remaining groups are GP-GAN's, with the same names; they are copied from
 * a source and modulated. The original has 128 px and h = 2.
 */
import { Conv, Failure, Flat, Leaf, Linear, Ops, Shape } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import type { Images, Inputs, Network, Tensors } from "../Network.ts"
import * as GpGan from "./GpGan.ts"
import * as Flatten from "./layers/Flatten.ts"
import * as StyleBlock from "./layers/StyleBlock.ts"

const size = z.number().int().positive()

/** The authors' scale of the features that the copied groups expect, and their factor for the gradient that flows back into the head. */
export const AUTHORS = { head_scale: 1000, head_gradient: 0.01 } as const

/** Kinds of the head's last normalisation. */
export const NORMS = ["authors", "measured"] as const
export type Norm = (typeof NORMS)[number]

export const Config = z.strictObject({
  architecture: z.literal("gpgan-small-head"),
  resolution: GpGan.Resolution.default(128),
  nf: size.default(64),
  nf_max: size.optional(),
  z_dim: size.default(256),
  /** Width of the mapping network and dimension of its output w. */
  style_dim: size.default(256),
  /** h: number of style blocks; each doubles the resolution. */
  head_blocks: size.default(2),
  /** With more than one class, the label's embedding is concatenated with z. The authors' head is unconditional. */
  nlabels: size.default(1),
  embed: size.default(1),
  /**
   * The standard deviation of the features that the copied groups expect, and the initial scale of the head's last layer. 1000
   * fits the authors' ImageNet source.
   */
  head_scale: z.number().positive().default(AUTHORS.head_scale),
  /** The factor of the gradient that flows back into the head, in place of that scale. */
  head_gradient: z.number().positive().default(AUTHORS.head_gradient),
  /**
   * What the head's last layer normalises each channel with: `authors`, the mean and deviation over the pixels of each sample, as in
   * the paper, so that no sample can be lighter or redder than another; `measured`, two constants of the channel, which
   * `norm.mean` and `norm.deviation` hold. Left out: `authors`.
   */
  head_norm: z.enum(NORMS).optional(),
})
export type Config = z.output<typeof Config>

const MAPPING_LAYERS = 8
/** Added to variances. */
export const EPSILON = 1e-5

type Head<A> = {
  readonly small_embedding: { readonly weight: A }
  readonly small_fc: Linear.Linear<A>
  /** The mapping network; its linear layers have odd indices. */
  readonly small_style: { readonly [index: string]: { readonly linear: Linear.Linear<A> } }
  readonly small_H: {
    readonly weight: A
    readonly beta: A
    readonly norm: { readonly weight: A; readonly bias: A; readonly mean?: A; readonly deviation?: A }
  }
} & { readonly [block: `small_net_${number}`]: StyleBlock.StyleBlock<A> }

export type Generator<A> = Head<A> & GpGan.Block<A> & { readonly conv_img: Conv.Conv<A> }

export const normOf = ({ head_norm = "authors" }: Pick<Config, "head_norm">): Norm => head_norm

const isConditional = ({ nlabels }: Config): boolean => nlabels > 1

/** Channels of the head, equal to the input channels of the first copied group. */
const headWidth = (config: Config): number => GpGan.width(config, GpGan.stages(config) - config.head_blocks)

const blocks = ({ head_blocks }: Config): readonly `small_net_${number}`[] =>
  Array.from({ length: head_blocks }, (_, k) => `small_net_${k + 2}` as const)

const headSpec = (config: Config): Head<Leaf.Leaf> => {
  const [width, side] = [headWidth(config), 4 * 2 ** config.head_blocks]
  const given = config.z_dim + (isConditional(config) ? config.embed : 0)
  return {
    small_embedding: { weight: Leaf.normal([config.nlabels, config.embed]) },
    small_fc: Linear.spec({ in: given, out: 16 * width }),
    ...Object.fromEntries(blocks(config).map((name) => [name, StyleBlock.spec(width, config.style_dim)])),
    small_H: {
      weight: Leaf.normal([1, width, 1, 1], config.head_scale, config.head_scale / AUTHORS.head_scale),
      beta: Leaf.normal([1, width, 1, 1], 0, config.head_scale / AUTHORS.head_scale),
      norm: {
        weight: Leaf.constant([side, side], 1),
        bias: Leaf.constant([side, side], 0),
        ...(normOf(config) === "measured" && {
          mean: Leaf.statistic([width], 0),
          deviation: Leaf.statistic([width], 1),
        }),
      },
    },
    small_style: Object.fromEntries(
      Array.from({ length: MAPPING_LAYERS }, (_, k) => [
        2 * k + 1,
        { linear: StyleBlock.styleLinear(k === 0 ? given : config.style_dim, config.style_dim) },
      ]),
    ),
  }
}

export const generatorSpec = (config: Config): Generator<Leaf.Leaf> => ({
  ...headSpec(config),
  ...GpGan.generatorBlocks(config, config.head_blocks + 1),
  conv_img: Conv.spec({ in: config.nf, out: 3, kernel: 3 }),
})

const unflatten = (params: Tensors): Generator<tf.Tensor> => Flat.unflatten(params) as unknown as Generator<tf.Tensor>

/** z, concatenated with the label's normalised embedding if the model is conditional. */
const joined = (config: Config, z: tf.Tensor, label: tf.Tensor | undefined): tf.Tensor =>
  isConditional(config) ? tf.concat([z, label!], 1) : z

const embedded = (config: Config, p: Generator<tf.Tensor>, y: tf.Tensor | undefined): tf.Tensor | undefined => {
  if (!isConditional(config)) return undefined
  if (y === undefined) throw new Error("a conditional generator needs labels y")
  return Ops.unitNorm(y.dtype === "float32" ? y : Ops.rows(y, p.small_embedding.weight))
}

const mapped = (config: Config, p: Generator<tf.Tensor>, z: tf.Tensor, label: tf.Tensor | undefined): tf.Tensor => {
  let w = joined(config, Ops.pixelNorm(z), label)
  for (let k = 0; k < MAPPING_LAYERS; k++)
    w = Ops.leakyRelu(Linear.apply(p.small_style[2 * k + 1]!.linear, w), StyleBlock.SLOPE)
  return w
}

/** The style w of z. `[B, z_dim] → [B, style_dim]` */
export const mapping = (config: Config, params: Tensors, { z, y }: Pick<Inputs, "z" | "y">): tf.Tensor => {
  const p = unflatten(params)
  return mapped(config, p, z, embedded(config, p, y))
}

/** Zero mean and unit deviation of each channel: in every sample, or over all of them by the layer's constants. */
const normalized = (
  config: Config,
  { mean, deviation }: Head<tf.Tensor>["small_H"]["norm"],
  x: tf.Tensor4D,
): tf.Tensor4D =>
  normOf(config) === "authors" ? Ops.standardize(x, [1, 2], EPSILON) : tf.div(tf.sub(x, mean!), deviation!)

/**
 * The head's last layer: normalises each channel, scales each pixel and then each channel to what the copied groups expect. The
 * gradient that flows back is multiplied by `head_gradient` instead of the channel's scale, unless the exact one is asked for.
 */
const rescale = (
  config: Config,
  p: Head<tf.Tensor>["small_H"],
  x: tf.Tensor4D,
  gradient: Inputs["gradient"],
): tf.Tensor4D => {
  const { head_gradient } = config
  const [, height, width, channels] = x.shape
  const map = (t: tf.Tensor): tf.Tensor => tf.reshape(t, [1, height, width, 1])
  const perChannel = (t: tf.Tensor): tf.Tensor => tf.reshape(t, [1, 1, 1, channels])
  const normal = tf.add(tf.mul(normalized(config, p.norm, x), map(p.norm.weight)), map(p.norm.bias))
  const scale = tf.add(perChannel(p.weight), head_gradient)
  const scaled =
    gradient === "exact" ? tf.mul(normal, scale) : Ops.scaleWithGradient(normal, scale, () => tf.scalar(head_gradient))
  return tf.add(scaled, perChannel(p.beta))
}

/** What the head's last layer normalises. `[B, 4·2ʰ, 4·2ʰ, c(S - h)]` @param styles as in `features` */
export const unscaled = (
  config: Config,
  params: Tensors,
  { z, y, noise = [], mix, truncation, gradient }: Inputs,
  styles?: readonly tf.Tensor[],
): tf.Tensor4D => {
  const p = unflatten(params)
  Shape.assert(z, ["B", config.z_dim], "z")
  const label = embedded(config, p, y)
  const style = (of: tf.Tensor): tf.Tensor => {
    const own = mapped(config, p, of, label)
    if (truncation === undefined) return own
    const { mean, psi } = truncation
    return tf.add(mean, tf.mul(psi, tf.sub(own, mean)))
  }
  const w = style(z)
  const other = mix && style(mix.z)
  let h = Flatten.inverse(Linear.apply(p.small_fc, joined(config, z, label)), [4, 4, headWidth(config)])
  for (const [k, name] of blocks(config).entries()) {
    const style = styles?.[k] ?? (mix && k >= mix.from ? other! : w)
    h = StyleBlock.apply(p[name]!, h, style, [noise[2 * k]!, noise[2 * k + 1]!], gradient)
  }
  return h
}

/**
 * The input of the first copied group. `[B, 4·2ʰ, 4·2ʰ, c(S - h)]`
 * @param styles one w for each style block; by default the w of z, or of `mix.z` from block `mix.from` on
 */
export const features = (config: Config, params: Tensors, inputs: Inputs, styles?: readonly tf.Tensor[]): tf.Tensor4D =>
  rescale(config, unflatten(params).small_H, unscaled(config, params, inputs, styles), inputs.gradient)

/** @param styles as in `features` */
export const generate = (config: Config, params: Tensors, inputs: Inputs, styles?: readonly tf.Tensor[]): Images =>
  GpGan.applyGeneratorBlocks(
    unflatten(params),
    features(config, params, inputs, styles),
    config.head_blocks + 1,
    GpGan.stages(config),
  )

export const of = (config: Config): Network & { readonly config: Config } => {
  if (config.head_blocks > GpGan.stages(config))
    Failure.raise(
      "BadConfig",
      `head_blocks is ${config.head_blocks}, but a network of ${config.resolution} px has room for ${GpGan.stages(config)} at most`,
      { path: "head_blocks" },
    )
  return {
    config,
    image: [config.resolution, config.resolution, 3],
    latent: { dim: config.z_dim, distribution: "normal" },
    labels: config.nlabels,
    noise: blocks(config).flatMap((_, k) => {
      const side = 4 * 2 ** (k + 1)
      return [[side, side] as const, [side, side] as const]
    }),
    generator: Leaf.flatten(generatorSpec(config)),
    discriminator: Leaf.flatten(GpGan.discriminatorSpec(config)),
    generate: (params, inputs) => generate(config, params, inputs),
    generateTraining: (params, inputs) => ({ images: generate(config, params, inputs), statistics: {} }),
    discriminatorFeatures: (params, x) => GpGan.discriminatorFeatures(config, params, x),
    discriminate: (params, x, y) => GpGan.discriminate(config, params, x, y),
  }
}
