/**
 * The 256-px sources of Mescheder, Geiger, Nowozin 2018, models `resnet3` (LSUN) and `resnet4` (CelebA). They have GP-GAN's
 * residual block once at each resolution, 7 × 7 filters next to the image, and an embedding that is not normalised. `resnet4` has a
 * block at full resolution; `resnet3` has none there, and is twice as wide at the lowest resolution.
 *
 * The depth is fixed: an image of 64·s px starts as s × s features.
 */
import { Conv, Flat, Leaf, Linear, Ops, Shape } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import type { Images, Inputs, Network, Tensors } from "../Network.ts"
import * as GpGan from "./GpGan.ts"
import * as Flatten from "./layers/Flatten.ts"
import * as ResBlock from "./layers/ResBlock.ts"

const size = z.number().int().positive()
const sizes = {
  resolution: z.literal([64, 128, 256, 512]).default(256),
  /** Number of filters at full resolution. */
  nf: size.default(64),
  z_dim: size.default(256),
  /** Dimension of the label embedding. */
  embed: size.default(1),
  nlabels: size.default(1),
}

export const Resnet3 = z.strictObject({ architecture: z.literal("resnet3"), ...sizes })
export const Resnet4 = z.strictObject({ architecture: z.literal("resnet4"), ...sizes })
export type Config = z.output<typeof Resnet3> | z.output<typeof Resnet4>

type Widths = readonly (readonly [fin: number, fout: number])[]

/** Channels of each block in units of nf, in the order of the numbers in their names: the generator counts from z, the discriminator from the image. */
export const blocks: Readonly<
  Record<Config["architecture"], { readonly generator: Widths; readonly discriminator: Widths }>
> = {
  resnet3: {
    generator: [
      [32, 16],
      [16, 16],
      [16, 8],
      [8, 4],
      [4, 2],
      [2, 1],
    ],
    discriminator: [
      [1, 2],
      [2, 4],
      [4, 8],
      [8, 16],
      [16, 16],
      [16, 32],
    ],
  },
  resnet4: {
    generator: [
      [16, 16],
      [16, 16],
      [16, 8],
      [8, 4],
      [4, 2],
      [2, 1],
      [1, 1],
    ],
    discriminator: [
      [1, 1],
      [1, 2],
      [2, 4],
      [4, 8],
      [8, 16],
      [16, 16],
      [16, 16],
    ],
  },
}

type Blocks<A> = { readonly [block: `resnet_${number}_0`]: ResBlock.ResBlock<A> }
export type Discriminator<A> = Blocks<A> & { readonly fc: Linear.Linear<A>; readonly conv_img: Conv.Conv<A> }
export type Generator<A> = Discriminator<A> & { readonly embedding: { readonly weight: A } }

const KERNEL = 7

/** Height, width and channels of the features next to the linear layers. */
const seed = ({ architecture, resolution, nf }: Config): readonly [number, number, number] => [
  resolution / 64,
  resolution / 64,
  nf * blocks[architecture].generator[0]![0],
]

const count = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

const blockSpecs = (widths: Widths, nf: number): Blocks<Leaf.Leaf> =>
  Object.fromEntries(
    widths.map(([fin, fout], i) => [`resnet_${i}_0`, ResBlock.spec(fin * nf, fout * nf)]),
  ) as Blocks<Leaf.Leaf>

export const generatorSpec = (config: Config): Generator<Leaf.Leaf> => ({
  embedding: { weight: Leaf.normal([config.nlabels, config.embed]) },
  fc: Linear.spec({ in: config.z_dim + config.embed, out: count(seed(config)) }),
  ...blockSpecs(blocks[config.architecture].generator, config.nf),
  conv_img: Conv.spec({ in: config.nf, out: 3, kernel: KERNEL }),
})

export const discriminatorSpec = (config: Config): Discriminator<Leaf.Leaf> => ({
  conv_img: Conv.spec({ in: 3, out: config.nf, kernel: KERNEL }),
  ...blockSpecs(blocks[config.architecture].discriminator, config.nf),
  fc: Linear.spec({ in: count(seed(config)), out: config.nlabels }),
})

/** Row y of the table, or y itself if it holds floats. `[B, embed]` */
const embedding = (table: tf.Tensor, y: tf.Tensor | undefined, batch: number): tf.Tensor => {
  if (y !== undefined) return y.dtype === "float32" ? y : Ops.rows(y, table)
  Shape.assert(table, [1, "embed"], "embedding of a generator without labels")
  return tf.mul(table, tf.ones([batch, 1]))
}

export const generate = (config: Config, params: Tensors, { z, y }: Inputs): Images => {
  const p = Flat.unflatten(params) as unknown as Generator<tf.Tensor>
  Shape.assert(z, ["B", config.z_dim], "z")
  const rows = Linear.apply(p.fc, tf.concat([z, embedding(p.embedding.weight, y, z.shape[0]!)], 1))
  let h = Flatten.inverse(rows, seed(config))
  for (const i of blocks[config.architecture].generator.keys())
    h = ResBlock.apply(p[`resnet_${i}_0`]!, i > 0 ? Ops.upsample2(h) : h)
  if (config.architecture === "resnet3") h = Ops.upsample2(h)
  return Ops.tanh(Conv.apply(p.conv_img, Ops.leakyRelu(h, ResBlock.SLOPE), { pad: (KERNEL - 1) / 2 }))
}

/** The discriminator's features after its first n blocks. */
const featuresOf = (config: Config, p: Discriminator<tf.Tensor>, x: tf.Tensor, n: number): tf.Tensor4D => {
  Shape.assert(x, ["B", config.resolution, config.resolution, 3], "x")
  let h = Conv.apply(p.conv_img, x, { pad: (KERNEL - 1) / 2 })
  for (let j = 0; j < n; j++)
    h = ResBlock.apply(p[`resnet_${j}_0`]!, j > 0 || config.architecture === "resnet3" ? Ops.avgPool3(h) : h)
  return h
}

const depth = ({ architecture }: Config): number => blocks[architecture].discriminator.length

/** The discriminator's features after half of its blocks. */
export const discriminatorFeatures = (config: Config, params: Tensors, x: tf.Tensor): tf.Tensor4D =>
  featuresOf(config, Flat.unflatten(params) as unknown as Discriminator<tf.Tensor>, x, Math.ceil(depth(config) / 2))

/** One logit per class, `[B, nlabels]`. */
export const logits = (config: Config, params: Tensors, x: tf.Tensor): tf.Tensor2D => {
  const p = Flat.unflatten(params) as unknown as Discriminator<tf.Tensor>
  const h = featuresOf(config, p, x, depth(config))
  return Linear.apply(p.fc, Ops.leakyRelu(Flatten.apply(h), ResBlock.SLOPE))
}

/** The logit of each image's class. `[B]` */
export const discriminate = (config: Config, params: Tensors, x: tf.Tensor, y?: tf.Tensor): tf.Tensor1D =>
  GpGan.ofClass(config, logits(config, params, x), y)

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
