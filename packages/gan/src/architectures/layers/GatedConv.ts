/**
 * Convolution without bias, optional noise, batch norm, and a gated linear unit: of 2C filters the second half gates the first,
 * `norm(v) · sigmoid(norm(g))`. The halves are convolved separately, which is the same function and slices filters instead of images.
 */
import { BatchNorm, Conv, Leaf, Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import * as Flatten from "./Flatten.ts"

export interface GatedConv<A> {
  readonly conv: { readonly weight: A }
  readonly norm: BatchNorm.BatchNorm<A>
  /** Strength of the noise, one number. */
  readonly noise?: { readonly weight: A }
}

/** Standard deviation of the initial weights of convolutions and of the scales of batch norms around 1, as the authors' `weights_init`. */
export const DEVIATION = 0.02

export const filter = (shape: readonly number[]): { readonly weight: Leaf.Leaf } => ({
  weight: Leaf.normal(shape, 0, DEVIATION),
})

export const norm = (channels: number): BatchNorm.BatchNorm<Leaf.Leaf> => ({
  ...BatchNorm.spec(channels),
  weight: Leaf.normal([channels], 1, DEVIATION),
})

export interface Result {
  /** `[B, H', W', C]` */
  readonly y: tf.Tensor4D
  /** The running statistics after this batch, `[2C]` each; absent where the stored ones normalise. */
  readonly running?: Pick<BatchNorm.BatchNorm<tf.Tensor>, "running_mean" | "running_var">
}

const halfNorm = (p: BatchNorm.BatchNorm<tf.Tensor>, k: 0 | 1): BatchNorm.BatchNorm<tf.Tensor> => ({
  weight: half(p.weight, k),
  bias: half(p.bias, k),
  running_mean: half(p.running_mean, k),
  running_var: half(p.running_var, k),
})

/** The k-th half of a tensor along its last axis. */
const half = (x: tf.Tensor, k: 0 | 1): tf.Tensor => {
  const size = [...x.shape.slice(0, -1), x.shape.at(-1)! / 2]
  return tf.slice(x, [...size.slice(0, -1).map(() => 0), k * size.at(-1)!], size)
}

type Normalised = { readonly y: tf.Tensor4D; readonly running?: Result["running"] }

const normalise = (p: BatchNorm.BatchNorm<tf.Tensor>, x: tf.Tensor, which: "stored" | "batch"): Normalised =>
  which === "stored"
    ? { y: BatchNorm.applyStored(p, x as tf.Tensor4D) }
    : BatchNorm.applyBatchFused(p, x as tf.Tensor4D)

/**
 * 3 × 3, the size stays. `[B, H, W, in] → [B, H, W, C]`
 * @param map noise `[B, H, W, 1]`
 */
export const apply = (p: GatedConv<tf.Tensor>, x: tf.Tensor, which: "stored" | "batch", map?: tf.Tensor): Result => {
  const branch = (k: 0 | 1): Normalised => {
    const plain = Conv.apply({ weight: half(p.conv.weight, k) }, x, { pad: 1 })
    const noisy = p.noise === undefined || map === undefined ? plain : tf.add(plain, tf.mul(p.noise.weight, map))
    return normalise(halfNorm(p.norm, k), noisy, which)
  }
  const [value, gate] = [branch(0), branch(1)]
  const joined = (name: "running_mean" | "running_var"): tf.Tensor =>
    tf.concat([value.running![name], gate.running![name]])
  return {
    y: tf.mul(value.y, Ops.sigmoid(gate.y)),
    ...(value.running && { running: { running_mean: joined("running_mean"), running_var: joined("running_var") } }),
  }
}

/** 4 × 4 px from vectors: the transposed convolution of one pixel is a product. weight `[in, 2C·4·4]`; `[B, in] → [B, 4, 4, C]` */
export const fromVectors = (p: GatedConv<tf.Tensor>, z: tf.Tensor, which: "stored" | "batch"): Result => {
  const rows = tf.matMul(z as tf.Tensor2D, p.conv.weight as tf.Tensor2D)
  const { y, running } = normalise(p.norm, Flatten.inverse(rows, [4, 4, rows.shape[1]! / 16]), which)
  return { y: tf.mul(half(y, 0), Ops.sigmoid(half(y, 1))) as tf.Tensor4D, ...(running && { running }) }
}
