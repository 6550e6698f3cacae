/** What every architecture offers: parameter specs and two functions on tensors in compute layout. */
import type { Flat, Leaf } from "@adafm/core"
import type * as tf from "@tensorflow/tfjs-core"

export type Tensors = Flat.Flat<tf.Tensor>

/** One batch of inputs of a generator. */
export interface Inputs {
  /** `[B, latent.dim]` */
  readonly z: tf.Tensor
  /** int32 labels `[B]`, or float `[B, embed]` in place of the embedding's rows; absent in an unconditional model */
  readonly y?: tf.Tensor
  /** noise maps `[B, H, W, 1]`, one for each entry of `noise` */
  readonly noise?: readonly tf.Tensor[]
  /** Style mixing, where there are styles: the blocks from `from` on take the style of these latents `[B, latent.dim]`. */
  readonly mix?: { readonly z: tf.Tensor; readonly from: number }
}

export interface Latent {
  readonly dim: number
  /** `normal`: N(0, 1); `uniform`: U(-1, 1). */
  readonly distribution: "normal" | "uniform"
}

/** An image `[B, H, W, C]` in [-1, 1]. */
export type Images = tf.Tensor4D

export interface Network {
  /** Height, width, channels of an image. */
  readonly image: readonly [height: number, width: number, channels: number]
  readonly latent: Latent
  /** Number of classes; 1 in an unconditional model, whose inputs have no `y`. */
  readonly labels: number
  /** Height and width of each noise map that the generator reads. */
  readonly noise: readonly (readonly [height: number, width: number])[]
  /** Parameters and statistics with their shapes in files. */
  readonly generator: Flat.Flat<Leaf.Leaf>
  readonly discriminator: Flat.Flat<Leaf.Leaf>
  /** Images as they are sampled: batch norm, if any, uses `norm` statistics, stored ones by default. */
  readonly generate: (params: Tensors, inputs: Inputs, norm?: "stored" | "batch") => Images
  /** Images as they are made in training, and the statistics that this batch moves. */
  readonly generateTraining: (
    params: Tensors,
    inputs: Inputs,
  ) => { readonly images: Images; readonly statistics: Tensors }
  /** The discriminator's features half-way; in GP-GAN those of 16 px. */
  readonly discriminatorFeatures: (params: Tensors, x: tf.Tensor, norm?: "stored" | "batch") => tf.Tensor
  /** Logits `[B]`, large for real images. */
  readonly discriminate: (params: Tensors, x: tf.Tensor, y?: tf.Tensor, norm?: "stored" | "batch") => tf.Tensor1D
}
