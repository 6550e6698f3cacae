/** The interface of every architecture: parameter specs, and generator and discriminator as functions of tensors in compute layout. */
import type { Flat, Leaf } from "@adafm/core"
import type * as tf from "@tensorflow/tfjs-core"

export type Tensors = Flat.Flat<tf.Tensor>

/** A batch of generator inputs. */
export interface Inputs {
  /** `[B, latent.dim]` */
  readonly z: tf.Tensor
  /** int32 labels `[B]`, or float embeddings `[B, embed]`; absent in an unconditional model */
  readonly y?: tf.Tensor
  /** noise maps `[B, H, W, 1]`, one for each entry of `noise` */
  readonly noise?: readonly tf.Tensor[]
  /** Style mixing, for style-based generators: from block `from` on, the style of these latents `[B, latent.dim]` is used. */
  readonly mix?: { readonly z: tf.Tensor; readonly from: number }
  /** Truncation, for style-based generators: every style is moved towards `mean` `[B, style_dim]`, to the share `psi` of its distance. */
  readonly truncation?: { readonly mean: tf.Tensor; readonly psi: number }
  /** What flows back to the inputs: in training a small head passes back less than its gradient, on purpose; `exact` is all of it. */
  readonly gradient?: "exact"
}

export interface Latent {
  readonly dim: number
  /** `normal`: N(0, 1); `uniform`: U(-1, 1). */
  readonly distribution: "normal" | "uniform"
}

/** Images `[B, H, W, C]` in [-1, 1]. */
export type Images = tf.Tensor4D

export interface Network {
  /** Height, width, channels of an image. */
  readonly image: readonly [height: number, width: number, channels: number]
  readonly latent: Latent
  /** Number of classes; 1 in an unconditional model, whose inputs have no `y`. */
  readonly labels: number
  /** Height and width of each noise map that the generator reads. */
  readonly noise: readonly (readonly [height: number, width: number])[]
  /** Specs of parameters and batch-norm statistics, with shapes in the file's layout. */
  readonly generator: Flat.Flat<Leaf.Leaf>
  readonly discriminator: Flat.Flat<Leaf.Leaf>
  /** Images for sampling. Batch norm, if any, uses the statistics `norm`, by default the stored ones. */
  readonly generate: (params: Tensors, inputs: Inputs, norm?: "stored" | "batch") => Images
  /** Images for training, and the running statistics after this batch. */
  readonly generateTraining: (
    params: Tensors,
    inputs: Inputs,
  ) => { readonly images: Images; readonly statistics: Tensors }
  /** The discriminator's feature maps halfway through; in GP-GAN those of 16 × 16 px. `[B, H, W, C]` */
  readonly discriminatorFeatures: (params: Tensors, x: tf.Tensor, norm?: "stored" | "batch") => tf.Tensor
  /** Logits `[B]`, large for real images. */
  readonly discriminate: (params: Tensors, x: tf.Tensor, y?: tf.Tensor, norm?: "stored" | "batch") => tf.Tensor1D
  /** Only of a discriminator that judges patches. */
  readonly patches?: Patches
}

export interface Judgement {
  /** `[B, P]` each, large for real images; `discriminate` returns their mean over the patches. */
  readonly real: tf.Tensor2D
  readonly fake: tf.Tensor2D
  /** How far the real images are from what the discriminator reconstructs of them. */
  readonly reconstruction?: tf.Scalar
}

export interface Patches {
  /** P: logits of one image. */
  readonly count: number
  /**
   * The training pass, in which batch norm uses the statistics of the real and the fake images together.
   * @param part the quadrant of the image that is reconstructed too, `[4]`: 1 at one place and 0 elsewhere; no reconstruction without it
   */
  readonly judge: (params: Tensors, images: Readonly<Record<"real" | "fake", tf.Tensor>>, part?: tf.Tensor) => Judgement
}
