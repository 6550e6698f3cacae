/**
 * FastGAN, made for about a hundred images (Liu, Zhu, Song, Elgammal, "Towards Faster and Stabilized GAN Training for High-fidelity
 * Few-shot Image Synthesis", ICLR 2021): gated up-blocks with batch norm and noise, skip-layer excitation, and a discriminator that
 * learns to reconstruct the photographs from its features. It trains with the hinge loss and without a gradient penalty.
 *
 * Names and shapes are those of the authors' `models.py`. Their discriminator numbers features by 512 / pixels; both networks' widths
 * are multiples of ngf and ndf. Four things differ: sizes below 256 px leave out the upper blocks; the second, small discriminator sees
 * the image reduced to half (at most 128 px) instead of a second output of the generator; the decoders end at half the image's
 * size (at most 128 px); no layer has spectral normalisation (an import divides by the norm).
 */
import { type BatchNorm, Conv, Flat, Leaf, Ops, Shape } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import type { Images, Inputs, Network, Tensors } from "../Network.ts"
import * as FastDiscriminator from "./FastDiscriminator.ts"
import * as GatedConv from "./layers/GatedConv.ts"
import * as SkipExcitation from "./layers/SkipExcitation.ts"

const size = z.number().int().positive()

export const Config = z.strictObject({
  architecture: z.literal("fastgan"),
  resolution: z.literal([32, 64, 128, 256, 512, 1024]).default(64),
  /** Unit of the generator's widths: 16·ngf channels at 4 px, 2·ngf at 64 px. The authors' is 64. */
  ngf: size.default(16),
  /** Unit of the discriminator's widths: 8·ndf channels at 8 px, ndf at 64 px. The authors' is 64. */
  ndf: size.default(16),
  /** Unit of the decoders' widths: 4 times as many channels at 16 px. The authors' is 32. */
  decoder: size.default(8),
  z_dim: size.default(256),
  /** Whether the blocks with two convolutions add noise, as the authors' do. */
  noise: z.boolean().default(true),
  /** What ends the generator. The authors' networks of 256 and 512 px end without tanh. */
  output: z.enum(["tanh", "linear"]).default("tanh"),
})
export type Config = z.output<typeof Config>

/** Channels at each number of pixels, in units of ngf. */
const MULTIPLES: Readonly<Record<number, number>> = {
  4: 16,
  8: 8,
  16: 4,
  32: 2,
  64: 2,
  128: 1,
  256: 0.5,
  512: 0.25,
  1024: 0.125,
}

export const width = ({ ngf }: Pick<Config, "ngf">, pixels: number): number =>
  Math.max(1, Math.floor(MULTIPLES[pixels]! * ngf))

/** The sizes of the up-blocks, from the smallest: 8, 16, … px. */
export const sizes = ({ resolution }: Pick<Config, "resolution">): readonly number[] =>
  Array.from({ length: Math.log2(resolution / 4) }, (_, k) => 8 * 2 ** k)

/** Every second block, from 8 px on, has two convolutions and noise. */
export const isDouble = (pixels: number): boolean => Math.log2(pixels) % 2 === 1

/** Features of `pixels` px are scaled by those of this size; undefined if there are none so small. */
export const excitedBy = (pixels: number): number | undefined =>
  pixels >= 64 && pixels <= 512 ? pixels / 16 : undefined

interface Single<A> {
  readonly 1: { readonly weight: A }
  readonly 2: BatchNorm.BatchNorm<A>
}
interface Double<A> {
  readonly 1: { readonly weight: A }
  readonly 2?: { readonly weight: A }
  readonly 3: BatchNorm.BatchNorm<A>
  readonly 5: { readonly weight: A }
  readonly 6?: { readonly weight: A }
  readonly 7: BatchNorm.BatchNorm<A>
}
export type Generator<A> = {
  readonly init: { readonly init: { readonly 0: { readonly weight: A }; readonly 1: BatchNorm.BatchNorm<A> } }
  readonly to_big: { readonly weight: A }
} & { readonly [block: `feat_${number}`]: Single<A> | Double<A> } & {
  readonly [block: `se_${number}`]: SkipExcitation.SkipExcitation<A>
}

const block = (config: Config, pixels: number): Single<Leaf.Leaf> | Double<Leaf.Leaf> => {
  const [fin, fout] = [width(config, pixels / 2), width(config, pixels)]
  const strength = { weight: Leaf.constant([1], 0) }
  const first = GatedConv.filter([2 * fout, fin, 3, 3])
  return isDouble(pixels)
    ? {
        1: first,
        ...(config.noise && { 2: strength }),
        3: GatedConv.norm(2 * fout),
        5: GatedConv.filter([2 * fout, fout, 3, 3]),
        ...(config.noise && { 6: strength }),
        7: GatedConv.norm(2 * fout),
      }
    : { 1: first, 2: GatedConv.norm(2 * fout) }
}

export const generatorSpec = (config: Config): Generator<Leaf.Leaf> => {
  const wide = 2 * width(config, 4)
  const all = sizes(config)
  return {
    init: { init: { 0: GatedConv.filter([config.z_dim, 16 * wide]), 1: GatedConv.norm(wide) } },
    ...Object.fromEntries(all.map((pixels) => [`feat_${pixels}`, block(config, pixels)])),
    ...Object.fromEntries(
      all.flatMap((pixels) => {
        const from = excitedBy(pixels)
        return from === undefined
          ? []
          : [[`se_${pixels}`, SkipExcitation.spec(width(config, from), width(config, pixels))]]
      }),
    ),
    to_big: GatedConv.filter([3, width(config, config.resolution), 3, 3]),
  }
}

interface Output {
  readonly images: Images
  readonly statistics: Tensors
}

/** @param which the statistics that batch norm uses; those of the batch move the stored ones */
const run = (config: Config, params: Tensors, { z, noise = [] }: Inputs, which: "stored" | "batch"): Output => {
  const p = Flat.unflatten(params) as unknown as Generator<tf.Tensor>
  Shape.assert(z, ["B", config.z_dim], "z")
  const statistics: Record<string, tf.Tensor> = {}
  const keep = (path: string, { y, running }: GatedConv.Result): tf.Tensor4D => {
    for (const [name, value] of Object.entries(running ?? {})) statistics[`${path}.${name}`] = value
    return y
  }
  const maps = [...noise]
  const up = (pixels: number, x: tf.Tensor4D): tf.Tensor4D => {
    const [name, large] = [`feat_${pixels}` as const, Ops.upsample2(x)]
    const b = p[name] as Single<tf.Tensor> | Double<tf.Tensor>
    if (!("7" in b)) return keep(`${name}.2`, GatedConv.apply({ conv: b[1], norm: b[2] }, large, which))
    const [first, second] = [
      { conv: b[1], norm: b[3], ...(b[2] && { noise: b[2] }) },
      { conv: b[5], norm: b[7], ...(b[6] && { noise: b[6] }) },
    ]
    const h = keep(`${name}.3`, GatedConv.apply(first, large, which, maps.shift()))
    return keep(`${name}.7`, GatedConv.apply(second, h, which, maps.shift()))
  }
  const start = GatedConv.fromVectors({ conv: p.init.init[0], norm: p.init.init[1] }, z, which)
  const features: Record<number, tf.Tensor4D> = { 4: keep("init.init.1", start) }
  for (const pixels of sizes(config)) {
    const y = up(pixels, features[pixels / 2]!)
    const from = excitedBy(pixels)
    features[pixels] =
      from === undefined ? y : (SkipExcitation.apply(p[`se_${pixels}`]!, features[from]!, y) as tf.Tensor4D)
  }
  const last = Conv.apply(p.to_big, features[config.resolution]!, { pad: 1 })
  return { images: (config.output === "tanh" ? Ops.tanh(last) : last) as Images, statistics }
}

export const of = (config: Config): Network & { readonly config: Config } => ({
  config,
  image: [config.resolution, config.resolution, 3],
  latent: { dim: config.z_dim, distribution: "normal" },
  labels: 1,
  noise: sizes(config).flatMap((pixels) => {
    const map = [pixels, pixels] as const
    return config.noise && isDouble(pixels) ? [map, map] : []
  }),
  generator: Leaf.flatten(generatorSpec(config)),
  discriminator: Leaf.flatten(FastDiscriminator.spec(config)),
  generate: (params, inputs, norm = "stored") => run(config, params, inputs, norm).images,
  generateTraining: (params, inputs) => run(config, params, inputs, "batch"),
  discriminatorFeatures: (params, x, norm = "batch") => FastDiscriminator.features(config, params, x, norm).middle,
  discriminate: (params, x, _y, norm = "batch") =>
    tf.mean(FastDiscriminator.logits(config, params, x, norm), 1) as tf.Tensor1D,
  patches: {
    count: FastDiscriminator.PATCHES,
    judge: (params, images, part) => FastDiscriminator.judge(config, params, images, part),
  },
})
