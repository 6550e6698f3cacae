/**
 * GP-GAN: the class-conditional residual GAN of Mescheder, Geiger, Nowozin, "Which training methods for GANs do actually
 * converge?" (ICML 2018), model `resnet2`. Two residual blocks a stage, no normalisation anywhere.
 *
 * The original is 128 px with nf 64. Other sizes: S = log2(resolution / 4) doublings, width c(k) = min(nf·2ᵏ, nf_max);
 * the generator's group i works at 4·2ⁱ px with c(S - i) channels, the discriminator's group j at resolution / 2ʲ px.
 */
import { Conv, Flat, Leaf, Linear, Ops, Shape } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"

import type { Images, Inputs, Network, Tensors } from "../Network.ts"
import * as Flatten from "./layers/Flatten.ts"
import * as ResBlock from "./layers/ResBlock.ts"

export const Resolution = z.literal([16, 32, 64, 128, 256])
const size = z.number().int().positive()

export const Config = z.strictObject({
  architecture: z.literal("gpgan"),
  resolution: Resolution.default(128),
  /** Number of filters at full resolution. */
  nf: size.default(64),
  /** Maximum number of filters of a layer; 16·nf by default. */
  nf_max: size.optional(),
  z_dim: size.default(256),
  /** Dimension of the label embedding. */
  embed: size.default(1),
  nlabels: size.default(1),
})
export type Config = z.output<typeof Config>

export interface Block<A> {
  readonly [group: `resnet_${number}_${0 | 1}`]: ResBlock.ResBlock<A>
}
export type Generator<A> = Block<A> & {
  readonly embedding: { readonly weight: A }
  readonly fc: Linear.Linear<A>
  readonly conv_img: Conv.Conv<A>
}
export type Discriminator<A> = Block<A> & { readonly fc: Linear.Linear<A>; readonly conv_img: Conv.Conv<A> }

/** Number of doublings from 4 px. */
export const stages = ({ resolution }: Pick<Config, "resolution">): number => Math.log2(resolution / 4)

/** c(k): channels after k halvings of the image. */
export const width = (
  { nf, nf_max = 16 * nf }: { readonly nf: number; readonly nf_max?: number | undefined },
  k: number,
): number => Math.min(nf * 2 ** k, nf_max)

/** Specs of the generator's groups `first … S`; group 0 does not change the number of channels. */
export const generatorBlocks = (
  config: Pick<Config, "resolution" | "nf" | "nf_max">,
  first: number,
): Block<Leaf.Leaf> => {
  const S = stages(config)
  return Object.fromEntries(
    Array.from({ length: S + 1 - first }, (_, k) => {
      const i = first + k
      const [fin, fout] = [width(config, i === 0 ? S : S - i + 1), width(config, S - i)]
      return [
        [`resnet_${i}_0`, ResBlock.spec(fin, fout)],
        [`resnet_${i}_1`, ResBlock.spec(fout, fout)],
      ]
    }).flat(),
  ) as Block<Leaf.Leaf>
}

/** Applies the groups `first … last`, each preceded by its doubling. `[B, H, W, C] → [B, H', W', C']` */
const applyGroups = (p: Block<tf.Tensor>, input: tf.Tensor4D, first: number, last: number): tf.Tensor4D => {
  let h = input
  for (let i = first; i <= last; i++) {
    if (i > 0) h = Ops.upsample2(h)
    h = ResBlock.apply(p[`resnet_${i}_1`]!, ResBlock.apply(p[`resnet_${i}_0`]!, h))
  }
  return h
}

/** From features to the image: the groups `first … S`, then `conv_img` and tanh. */
export const applyGeneratorBlocks = (
  p: Block<tf.Tensor> & { readonly conv_img: Conv.Conv<tf.Tensor> },
  input: tf.Tensor4D,
  first: number,
  S: number,
): Images => {
  const h = applyGroups(p, input, first, S)
  return Ops.tanh(Conv.apply(p.conv_img, Ops.leakyRelu(h, ResBlock.SLOPE), { pad: 1 }))
}

export const generatorSpec = (config: Config): Generator<Leaf.Leaf> => {
  const S = stages(config)
  return {
    embedding: { weight: Leaf.normal([config.nlabels, config.embed]) },
    fc: Linear.spec({ in: config.z_dim + config.embed, out: 16 * width(config, S) }),
    ...generatorBlocks(config, 0),
    conv_img: Conv.spec({ in: config.nf, out: 3, kernel: 3 }),
  }
}

type DiscriminatorConfig = Pick<Config, "resolution" | "nf" | "nf_max" | "nlabels">

export const discriminatorSpec = (config: DiscriminatorConfig): Discriminator<Leaf.Leaf> => {
  const S = stages(config)
  return {
    conv_img: Conv.spec({ in: 3, out: config.nf, kernel: 3 }),
    ...(Object.fromEntries(
      Array.from({ length: S + 1 }, (_, j) => [
        [`resnet_${j}_0`, ResBlock.spec(width(config, j), width(config, j))],
        [`resnet_${j}_1`, ResBlock.spec(width(config, j), width(config, j + 1))],
      ]).flat(),
    ) as Block<Leaf.Leaf>),
    fc: Linear.spec({ in: 16 * width(config, S + 1), out: config.nlabels }),
  }
}

/** Row y of the table (or y itself if it holds floats), divided by its norm. `[B, embed]` */
const embedding = (table: tf.Tensor, y: tf.Tensor | undefined, batch: number): tf.Tensor => {
  if (y !== undefined && y.dtype === "float32") return Ops.unitNorm(y)
  if (y !== undefined) return Ops.unitNorm(Ops.rows(y, table))
  Shape.assert(table, [1, "embed"], "embedding of a generator without labels")
  return tf.mul(Ops.unitNorm(table), tf.ones([batch, 1]))
}

const unflatten = (params: Tensors): Generator<tf.Tensor> => Flat.unflatten(params) as unknown as Generator<tf.Tensor>

/** The input of the first residual block. `[B, 4, 4, c(S)]` */
const seeds = (config: Config, p: Generator<tf.Tensor>, { z, y }: Inputs): tf.Tensor4D => {
  Shape.assert(z, ["B", config.z_dim], "z")
  const label = embedding(p.embedding.weight, y, z.shape[0]!)
  const rows = Linear.apply(p.fc, tf.concat([z, label], 1))
  return Flatten.inverse(rows, [4, 4, width(config, stages(config))])
}

/** The generator's features after group `last`, before the next doubling. `[B, 4·2ˡᵃˢᵗ, 4·2ˡᵃˢᵗ, c(S - last)]` */
export const features = (config: Config, params: Tensors, inputs: Inputs, last: number): tf.Tensor4D => {
  const p = unflatten(params)
  return applyGroups(p, seeds(config, p, inputs), 0, last)
}

export const generate = (config: Config, params: Tensors, inputs: Inputs): Images => {
  const p = unflatten(params)
  return applyGeneratorBlocks(p, seeds(config, p, inputs), 0, stages(config))
}

/** The discriminator's features after `conv_img` and after each group up to `last`. `[B, resolution / 2ʲ, …, c(j + 1)]` */
const featuresOf = (
  config: DiscriminatorConfig,
  p: Discriminator<tf.Tensor>,
  x: tf.Tensor,
  last: number,
): readonly tf.Tensor4D[] => {
  Shape.assert(x, ["B", config.resolution, config.resolution, 3], "x")
  let h = Conv.apply(p.conv_img, x, { pad: 1 })
  const seen = [h]
  for (let j = 0; j <= last; j++) {
    if (j > 0) h = Ops.avgPool3(h)
    h = ResBlock.apply(p[`resnet_${j}_1`]!, ResBlock.apply(p[`resnet_${j}_0`]!, h))
    seen.push(h)
  }
  return seen
}

/** The discriminator's features after `conv_img` and after each group, from the image on. */
export const levels = (config: DiscriminatorConfig, params: Tensors, x: tf.Tensor): readonly tf.Tensor4D[] =>
  featuresOf(config, Flat.unflatten(params) as unknown as Discriminator<tf.Tensor>, x, stages(config))

/** The discriminator's features of 16 × 16 px. `[B, 16, 16, c]` */
export const discriminatorFeatures = (config: DiscriminatorConfig, params: Tensors, x: tf.Tensor): tf.Tensor4D =>
  featuresOf(config, Flat.unflatten(params) as unknown as Discriminator<tf.Tensor>, x, stages(config) - 2).at(-1)!

/** One logit per class, `[B, nlabels]`. */
export const logits = (config: DiscriminatorConfig, params: Tensors, x: tf.Tensor): tf.Tensor2D => {
  const p = Flat.unflatten(params) as unknown as Discriminator<tf.Tensor>
  const h = featuresOf(config, p, x, stages(config)).at(-1)!
  return Linear.apply(p.fc, Ops.leakyRelu(Flatten.apply(h), ResBlock.SLOPE))
}

/** From logits `[B, nlabels]`, the logit of each image's class `[B]`. */
export const ofClass = (config: Pick<Config, "nlabels">, all: tf.Tensor2D, y: tf.Tensor | undefined): tf.Tensor1D => {
  if (y !== undefined && config.nlabels > 1) return Ops.pick(all, y)
  Shape.assert(all, ["B", 1], "logits without labels")
  return tf.reshape(all, [-1]) as tf.Tensor1D
}

/** The logit of each image's class. `[B]` */
export const discriminate = (config: DiscriminatorConfig, params: Tensors, x: tf.Tensor, y?: tf.Tensor): tf.Tensor1D =>
  ofClass(config, logits(config, params, x), y)

export const of = (config: Config): Network & { readonly config: Config } => ({
  config,
  image: [config.resolution, config.resolution, 3],
  latent: { dim: config.z_dim, distribution: "normal" },
  labels: config.nlabels,
  noise: [],
  generator: Leaf.flatten(generatorSpec(config)),
  discriminator: Leaf.flatten(discriminatorSpec(config)),
  generate: (params, inputs) => generate(config, params, inputs),
  generateTraining: (params, inputs) => ({ images: generate(config, params, inputs), statistics: {} }),
  discriminatorFeatures: (params, x) => discriminatorFeatures(config, params, x),
  discriminate: (params, x, y) => discriminate(config, params, x, y),
})
