/**
 * Normalisations of one sample by its own statistics: instance, layer and group norm, with PyTorch's names and defaults. They mix
 * no samples of a batch, so a gradient penalty may stand on them.
 */
import { Leaf, Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"

/** Scale and shift after the normalisation. */
export interface Affine<A> {
  readonly weight?: A
  readonly bias?: A
}

export const spec = (shape: readonly number[], { weight = true, bias = true } = {}): Affine<Leaf.Leaf> => ({
  ...(weight && { weight: Leaf.constant(shape, 1) }),
  ...(bias && { bias: Leaf.constant(shape, 0) }),
})

/** `weight ⊙ x + bias`; parameters `[C]`, or `[C, H, W]` for an image of that shape. `[B, …, C] → [B, …, C]` */
export const affine = ({ weight, bias }: Affine<tf.Tensor>, x: tf.Tensor): tf.Tensor => {
  const ready = (p: tf.Tensor): tf.Tensor => (p.rank === 3 ? tf.transpose(p, [1, 2, 0]) : p)
  const scaled = weight === undefined ? x : tf.mul(x, ready(weight))
  return bias === undefined ? scaled : tf.add(scaled, ready(bias))
}

/** Every channel of every image. `[B, H, W, C] → [B, H, W, C]` */
export const instance = (p: Affine<tf.Tensor>, x: tf.Tensor, epsilon: number): tf.Tensor =>
  affine(p, Ops.standardize(x, [1, 2], epsilon))

/**
 * All numbers of a sample, or all channels of a pixel.
 * @param over what shares its mean and variance
 */
export const layer = (p: Affine<tf.Tensor>, x: tf.Tensor, epsilon: number, over: "sample" | "channels"): tf.Tensor => {
  const axes = over === "sample" ? x.shape.slice(1).map((_, k) => k + 1) : [x.rank - 1]
  return affine(p, Ops.standardize(x, axes, epsilon))
}

/** Groups of neighbouring channels of every image. `[B, H, W, C] → [B, H, W, C]` */
export const group = (p: Affine<tf.Tensor>, x: tf.Tensor, groups: number, epsilon: number): tf.Tensor => {
  const [batch, height, width, channels] = x.shape as [number, number, number, number]
  const split = tf.reshape(x, [batch, height * width, groups, channels / groups])
  return affine(p, tf.reshape(Ops.standardize(split, [1, 3], epsilon), x.shape))
}
