/**
 * DCGAN (Radford, Metz, Chintala 2015) and every other GAN of two plain stacks of layers. The architecture is data, so it can be
 * written down for any checkpoint.
 */
import { Shape } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import type { Images, Network } from "../Network.ts"
import * as Stack from "./layers/Stack.ts"

const size = z.number().int().positive()
const Norm = z.enum(["stored", "batch"])

export const Config = z.strictObject({
  architecture: z.literal("dcgan"),
  /** Channels, height, width. */
  image: z.tuple([size, size, size]).default([3, 64, 64]),
  latent: z.strictObject({ dim: size, distribution: z.enum(["normal", "uniform"]).default("normal") }),
  /** From z `[B, dim]` to an image; the first convolution needs a `view` before it. */
  generator: z.array(Stack.Layer).min(1),
  /** From images to one logit each, without a sigmoid at the end. */
  discriminator: z.array(Stack.Layer).min(1),
  /** Layers that read a label get the average class in its place: every class with the same weight. */
  averageClass: z.exactOptional(z.literal(true)),
  /**
   * Which statistics batch norm uses during training: the batch's or the stored ones (sampling uses the stored ones). The
   * gradient penalty is defined for single images, so the discriminator must not mix them: `stored`.
   */
  norm: z.strictObject({ generator: Norm.default("batch"), discriminator: Norm.default("stored") }).default({
    generator: "batch",
    discriminator: "stored",
  }),
})
export type Config = z.output<typeof Config>

/** Labels int32 `[B]` or weights of the classes `[B, n]` as weights of the classes; the mean of all classes without a label. */
const weightsOf = (y: tf.Tensor | undefined, n: number, batch: number): tf.Tensor | undefined => {
  if (n === 1) return undefined
  if (y === undefined) return tf.fill([batch, n], 1 / n)
  return y.dtype === "float32" ? y : tf.oneHot(y as tf.Tensor1D, n, 1, 0, "float32")
}

export const of = (config: Config): Network & { readonly config: Config } => {
  const [channels, height, width] = config.image
  const classes = Math.max(Stack.labels(config.generator), Stack.labels(config.discriminator))
  const inputs = (x: tf.Tensor, y: tf.Tensor | undefined, norm: "stored" | "batch"): Stack.Inputs => {
    const weights = weightsOf(config.averageClass === true ? undefined : y, classes, x.shape[0]!)
    return { norm, ...(weights !== undefined && { classes: weights }) }
  }
  const toImages = (y: tf.Tensor): Images => {
    Shape.assert(y, ["B", height, width, channels], "output of the generator")
    return y as Images
  }
  const makeImages: Network["generate"] = (params, { z, y }, norm = "stored") =>
    toImages(Stack.apply(config.generator, params, z, inputs(z, y, norm)).y)
  return {
    config,
    image: [height, width, channels],
    latent: config.latent,
    labels: config.averageClass === true ? 1 : classes,
    noise: [],
    generator: Stack.spec(config.generator),
    discriminator: Stack.spec(config.discriminator),
    generate: makeImages,
    generateTraining: (params, { z, y }) => {
      const made = Stack.apply(config.generator, params, z, inputs(z, y, config.norm.generator))
      return { images: toImages(made.y), statistics: made.statistics }
    },
    discriminatorFeatures: (params, x, norm = config.norm.discriminator) =>
      Stack.apply(
        config.discriminator.slice(0, Math.ceil(config.discriminator.length / 2)),
        params,
        x,
        inputs(x, undefined, norm),
      ).y,
    discriminate: (params, x, y, norm = config.norm.discriminator) =>
      tf.reshape(Stack.apply(config.discriminator, params, x, inputs(x, y, norm)).y, [x.shape[0]!]) as tf.Tensor1D,
  }
}

export interface Sizes {
  /** 16, 32, 64, … */
  readonly resolution: number
  readonly nf: number
  readonly z_dim: number
  readonly channels?: number
}

/**
 * The configuration of PyTorch's DCGAN tutorial for any power of two. Layers are `main.0`, `main.1`, …, as its `nn.Sequential`
 * names them; all convolutions are 4 × 4 without bias.
 */
export const standard = ({ resolution, nf, z_dim, channels = 3 }: Sizes): z.input<typeof Config> => {
  const S = Math.log2(resolution / 4)
  const width = (k: number): number => nf * 2 ** k
  const named = (layers: readonly object[]): z.input<typeof Stack.Layer>[] => {
    let index = 0
    return layers.map((layer) => {
      const { kind } = layer as Stack.Layer
      if (kind === "view" || kind === "flatten") return layer as Stack.Layer
      const path = `main.${index++}`
      return (["conv", "convTranspose", "batchNorm"].includes(kind) ? { ...layer, path } : layer) as Stack.Layer
    })
  }
  const four = { kernel: 4, bias: false }
  const up = (k: number): object[] => [
    k === S - 1
      ? { kind: "convTranspose", in: z_dim, out: width(k), ...four }
      : { kind: "convTranspose", in: width(k + 1), out: width(k), stride: 2, pad: 1, ...four },
    { kind: "batchNorm", channels: width(k) },
    { kind: "relu" },
  ]
  const down = (k: number): object[] => [
    { kind: "conv", in: width(k - 1), out: width(k), stride: 2, pad: 1, ...four },
    { kind: "batchNorm", channels: width(k) },
    { kind: "leakyRelu", slope: 0.2 },
  ]
  const widths = Array.from({ length: S }, (_, k) => k)
  return {
    architecture: "dcgan",
    image: [channels, resolution, resolution],
    latent: { dim: z_dim },
    generator: named([
      { kind: "view", shape: [z_dim, 1, 1] },
      ...widths.toReversed().flatMap(up),
      { kind: "convTranspose", in: nf, out: channels, stride: 2, pad: 1, ...four },
      { kind: "tanh" },
    ]),
    discriminator: named([
      { kind: "conv", in: channels, out: nf, stride: 2, pad: 1, ...four },
      { kind: "leakyRelu", slope: 0.2 },
      ...widths.slice(1).flatMap(down),
      { kind: "conv", in: width(S - 1), out: 1, ...four },
    ]),
  }
}

/** Widths of the hidden layers of the perceptron for other image sizes. */
const PERCEPTRON = [512, 256] as const

/**
 * A new discriminator for a generator without one: the tutorial's for square images of 16, 32, 64, … px, otherwise a perceptron.
 * @param image channels, height, width
 */
export const discriminatorFor = (image: Config["image"]): z.input<typeof Config>["discriminator"] => {
  const [channels, height, width] = image
  if (height === width && height >= 16 && Number.isInteger(Math.log2(height)))
    return standard({ resolution: height, nf: 64, z_dim: 1, channels }).discriminator
  const widths = [channels * height * width, ...PERCEPTRON]
  return [
    { kind: "flatten" },
    ...PERCEPTRON.flatMap((out, i): z.input<typeof Stack.Layer>[] => [
      { kind: "linear", path: `main.${2 * i}`, in: widths[i]!, out },
      { kind: "leakyRelu" },
    ]),
    { kind: "linear", path: `main.${2 * PERCEPTRON.length}`, in: widths.at(-1)!, out: 1 },
  ]
}

/** Whether any layer is a batch norm. */
export const hasBatchNorm = ({ generator, discriminator }: Config): boolean =>
  [...Stack.walk(generator), ...Stack.walk(discriminator)].some(({ kind }) => kind === "batchNorm")
