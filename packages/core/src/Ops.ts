/**
 * The closed set of operations that networks are built from. All are twice differentiable, which the R1 penalty needs, and use
 * few TensorFlow.js kernels, which the compiled engine needs. TensorFlow.js has no second derivative of leaky ReLU, pooling and
 * nearest-neighbour resizing; here these operations come in pairs, each the gradient of the other. Importing this module
 * registers the gradients of `optimise/KernelGradients`.
 *
 * Images are `[B, H, W, C]`, filters `[kh, kw, in, out]` (transposed: `[kh, kw, out, in]`), linear weights `[out, in]`.
 * "Kernels" lists the TensorFlow.js kernels of the forward pass, "gradient" the kernels and operations of the backward pass.
 */
import * as tf from "@tensorflow/tfjs-core"
import "./optimise/KernelGradients.ts"

type Images = tf.Tensor4D

export interface Geometry {
  readonly stride?: number
  /** Zeros on each side. */
  readonly pad?: number
}

export interface TransposedGeometry extends Geometry {
  /** Rows and columns added at the bottom and at the right, fewer than `stride`. */
  readonly outputPad?: number
}

/** Cross-correlation, `[B, H, W, in] → [B, H', W', out]`. Kernels: Conv2D; gradients Conv2DBackpropInput and Conv2DBackpropFilter. */
export const conv2d = (x: tf.Tensor, filter: tf.Tensor, { stride = 1, pad = 0 }: Geometry = {}): Images =>
  tf.conv2d(x as Images, filter as Images, stride, pad)

/**
 * PyTorch's `ConvTranspose2d`: `(H - 1)·stride - 2·pad + k + outputPad` pixels. Filter `[kh, kw, out, in]`.
 * Kernels: Conv2DBackpropInput; gradients Conv2D and Conv2DBackpropFilter.
 */
export const conv2dTranspose = (
  x: tf.Tensor,
  filter: tf.Tensor,
  { stride = 1, pad = 0, outputPad = 0 }: TransposedGeometry = {},
): Images => {
  const [batch, height, width] = x.shape as [number, number, number]
  const [kh, kw, out] = filter.shape as [number, number, number]
  const size = (n: number, k: number): number => (n - 1) * stride - 2 * pad + k + outputPad
  return tf.conv2dTranspose(x as Images, filter as Images, [batch, size(height, kh), size(width, kw), out], stride, pad)
}

/** `x · Wᵀ + b`: x `[B, in]`, W `[out, in]`, b `[out]`. Kernels: BatchMatMul, Add. */
export const linear = (x: tf.Tensor, weight: tf.Tensor, bias?: tf.Tensor): tf.Tensor2D => {
  const product: tf.Tensor2D = tf.matMul(x as tf.Tensor2D, weight as tf.Tensor2D, false, true)
  return bias === undefined ? product : tf.add(product, bias)
}

/**
 * `y > 0 ? dy : slope·dy`: linear in dy and equal to its transpose; y receives no gradient.
 * Kernels: Greater, Multiply, Select.
 */
const gate = (dy: tf.Tensor, y: tf.Tensor, slope: number): tf.Tensor =>
  tf.customGrad((dy) => ({
    value: tf.where(tf.greater(y, 0), dy as tf.Tensor, tf.mul(dy as tf.Tensor, slope)),
    gradFunc: (ddy: tf.Tensor) => gate(ddy, y, slope),
  }))(dy)

/** A piecewise linear function through 0. Its output has the sign of its input, so the output gives the mask. */
const gated =
  <T extends tf.Tensor>(forward: (x: T) => T, slope: number) =>
  (x: T): T =>
    tf.customGrad((x, save) => {
      const value = forward(x as T)
      ;(save as tf.GradSaveFunc)([value])
      return { value, gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => gate(dy, saved[0]!, slope) }
    })(x) as T

/** `max(x, slope·x)`, slope in (0, 1). Kernels: LeakyRelu; gradient Greater, Multiply, Select. */
export const leakyRelu = <T extends tf.Tensor>(x: T, slope: number): T =>
  gated<T>((x) => tf.leakyRelu(x, slope), slope)(x)

/** `max(x, 0)`. Kernels: Relu; gradient Greater, Multiply, Select. */
export const relu = <T extends tf.Tensor>(x: T): T => gated<T>((x) => tf.relu(x), 0)(x)

/** Kernels: Tanh. */
export const tanh = <T extends tf.Tensor>(x: T): T => tf.tanh(x)
/** Kernels: Sigmoid. */
export const sigmoid = <T extends tf.Tensor>(x: T): T => tf.sigmoid(x)
/** `log(1 + eˣ)`. Kernels: Softplus; gradient Sigmoid, Multiply. */
export const softplus = <T extends tf.Tensor>(x: T): T => tf.softplus(x)

/** Mean of 2×2 cells, `[B, H, W, C] → [B, H/2, W/2, C]`, H and W even. Kernels: AvgPool; gradient `upsample2`, Multiply. */
export const avgPool2 = (x: tf.Tensor): Images =>
  tf.customGrad((x) => ({
    value: tf.avgPool(x as Images, 2, 2, "valid"),
    gradFunc: (dy: tf.Tensor) => tf.mul(upsample2(dy), 0.25),
  }))(x) as Images

/**
 * Repeats every pixel in a 2×2 cell, `[B, H, W, C] → [B, 2H, 2W, C]`. Kernels: ResizeNearestNeighbor; gradient `avgPool2`, Multiply
 * (TensorFlow.js's own gradient is wrong on its `cpu` backend for batches, and has no second derivative).
 */
export const upsample2 = (x: tf.Tensor): Images =>
  tf.customGrad((x) => {
    const [, height, width] = (x as Images).shape
    return {
      value: tf.image.resizeNearestNeighbor(x as Images, [2 * height, 2 * width]),
      gradFunc: (dy: tf.Tensor) => tf.mul(avgPool2(dy), 4),
    }
  })(x) as Images

const padTo = (x: Images, before: number, after: number): Images =>
  tf.pad(x, [
    [0, 0],
    [before, after],
    [before, after],
    [0, 0],
  ])

/**
 * PyTorch's `avg_pool2d(x, 3, stride=2, padding=1)`: the zeros of the border count, so every sum is divided by 9.
 * `[B, H, W, C] → [B, ⌈H/2⌉, ⌈W/2⌉, C]`. Kernels: PadV2, AvgPool; gradient `spread3`.
 */
export const avgPool3 = (x: tf.Tensor): Images =>
  tf.customGrad((x) => {
    const [, height, width] = (x as Images).shape
    return {
      value: tf.avgPool(padTo(x as Images, 1, 1), 3, 2, "valid"),
      gradFunc: (dy: tf.Tensor) => spread3(dy, height, width),
    }
  })(x) as Images

/** `n` weights along one axis of `spread3`: 1/3 for even pixels, which lie in one window, 2/3 for odd ones, which lie in two. */
const alternating = (n: number): number[] => Array.from({ length: n }, (_, i) => (i % 2 === 0 ? 1 / 3 : 2 / 3))

/**
 * The transpose of `avgPool3`. Along one axis an even pixel 2o receives `dy[o]/3`, an odd one `(dy[o] + dy[o + 1])/3`; both are the
 * mean of neighbours 2o, 2o + 1 (or 2o + 1, 2o + 2) of the doubled dy, times 1/3 or 2/3.
 * Kernels: ResizeNearestNeighbor, PadV2, AvgPool (2×2, stride 1), Multiply by a constant `[1, H, W, 1]`; gradient `avgPool3`.
 */
const spread3 = (dy: tf.Tensor, height: number, width: number): Images =>
  tf.customGrad((dy) => {
    const [, rows, columns] = (dy as Images).shape
    const doubled = tf.image.resizeNearestNeighbor(dy as Images, [2 * rows, 2 * columns])
    const window = padTo(doubled, 0, 1)
    const means = tf.avgPool(window, 2, 1, "valid")
    const cropped =
      height === 2 * rows && width === 2 * columns
        ? means
        : tf.slice(means, [0, 0, 0, 0], [means.shape[0], height, width, means.shape[3]])
    const [down, across] = [alternating(height), alternating(width)]
    const weights = tf.tensor4d(
      Float32Array.from({ length: height * width }, (_, i) => down[Math.floor(i / width)]! * across[i % width]!),
      [1, height, width, 1],
    )
    return { value: tf.mul(cropped, weights) as Images, gradFunc: (ddx: tf.Tensor) => avgPool3(ddx) }
  })(dy) as Images

/** Mean and biased variance over `axes`, which stay as axes of size 1. Kernels: Mean, Sub, Square. */
export const moments = (x: tf.Tensor, axes: readonly number[]): { mean: tf.Tensor; variance: tf.Tensor } => {
  const mean = tf.mean(x, [...axes], true)
  return { mean, variance: tf.mean(tf.square(tf.sub(x, mean)), [...axes], true) }
}

/**
 * Zero mean and unit variance over `axes`: instance norm over `[1, 2]`, batch norm's core over `[0, 1, 2]`.
 * Kernels: Mean, Sub, Square, Rsqrt, Multiply.
 */
export const standardize = <T extends tf.Tensor>(x: T, axes: readonly number[], epsilon: number): T => {
  const { mean, variance } = moments(x, axes)
  return tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, epsilon)))
}

/** All axes but the last. */
const allButChannels = (x: tf.Tensor): number[] => x.shape.slice(0, -1).map((_, axis) => axis)

/** Mean and biased variance of every channel, `[C]` each, from one pass over x. Kernels: Mean, Multiply, Sub, Relu. */
export const channelMoments = (x: tf.Tensor): { mean: tf.Tensor1D; variance: tf.Tensor1D } => {
  const axes = allButChannels(x)
  const mean: tf.Tensor1D = tf.mean(x, axes)
  return { mean, variance: relu(tf.sub(tf.mean(tf.mul(x, x), axes), tf.mul(mean, mean))) }
}

/**
 * `x · scale + shift` for every channel; scale and shift `[C]`. Kernels: FusedBatchNorm (of mean 0 and variance 1), which the compiled
 * engine does in one pass; gradient the same, Multiply, Sum.
 */
export const channelAffine = <T extends tf.Tensor>(x: T, scale: tf.Tensor, shift: tf.Tensor): T =>
  tf.customGrad((x, scale, shift, save) => {
    const [a, s] = [x as tf.Tensor, scale as tf.Tensor1D]
    ;(save as tf.GradSaveFunc)([a, s])
    const channels = s.size
    return {
      value: tf.batchNorm(
        a as Images,
        tf.zeros([channels]),
        tf.ones([channels]),
        shift as tf.Tensor1D,
        s,
        0,
      ) as tf.Tensor,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [a, s] = saved as [tf.Tensor, tf.Tensor]
        const axes = allButChannels(a)
        return [channelAffine(dy, s, tf.zerosLike(s)), tf.sum(tf.mul(dy, a), axes), tf.sum(dy, axes)]
      },
    }
  })(x, scale, shift) as T

/**
 * Batch norm with the batch's own statistics: `(x - mean) / √(variance + ε) · weight + bias` for every channel, weight and bias `[C]`.
 * Its gradient is the closed form, with a third of the passes over x that the chain rule takes. Kernels: FusedBatchNorm, Mean,
 * Multiply, Add, Sub, Relu, Rsqrt; gradient the same.
 */
export const batchNorm = <T extends tf.Tensor>(x: T, weight: tf.Tensor, bias: tf.Tensor, epsilon: number): T => {
  const inverseOf = (variance: tf.Tensor): tf.Tensor => tf.rsqrt(tf.add(variance, epsilon))
  return tf.customGrad((x, weight, bias, save) => {
    const [a, w] = [x as tf.Tensor, weight as tf.Tensor]
    ;(save as tf.GradSaveFunc)([a, w])
    const { mean, variance } = channelMoments(a)
    const scale = tf.mul(w, inverseOf(variance))
    return {
      value: channelAffine(a, scale, tf.sub(bias as tf.Tensor, tf.mul(mean, scale))),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [a, w] = saved as [tf.Tensor, tf.Tensor]
        const { mean, variance } = channelMoments(a)
        const inverse = inverseOf(variance)
        const axes = allButChannels(a)
        const samples = a.size / a.shape.at(-1)!
        // means of dy and of dy · normalised x
        const first = tf.mean(dy, axes)
        const second = tf.mul(tf.sub(tf.mean(tf.mul(dy, a), axes), tf.mul(first, mean)), inverse)
        const scale = tf.mul(w, inverse)
        const slope = tf.mul(tf.mul(scale, inverse), second)
        const offset = tf.sub(tf.mul(slope, mean), tf.mul(scale, first))
        return [
          tf.add(channelAffine(dy, scale, offset), channelAffine(a, tf.neg(slope), tf.zerosLike(slope))),
          tf.mul(second, samples),
          tf.mul(first, samples),
        ]
      },
    }
  })(x, weight, bias) as T
}

/** `z / √(mean_j z_j² + ε)` over the last axis. Kernels: Square, Mean, Rsqrt, Multiply. */
export const pixelNorm = <T extends tf.Tensor>(z: T, epsilon = 1e-8): T =>
  tf.mul(z, tf.rsqrt(tf.add(tf.mean(tf.square(z), -1, true), epsilon)))

/**
 * `x / ‖x‖₂` over the last axis. Kernels: Square, Sum, Rsqrt, Multiply. If that axis has size 1, the result is the sign of x and
 * the gradient is exactly 0: Adam would turn its rounding noise into full steps.
 */
export const unitNorm = <T extends tf.Tensor>(x: T): T => {
  const unit: T = tf.mul(x, tf.rsqrt(tf.sum(tf.square(x), -1, true)))
  return x.shape.at(-1) === 1 ? stopGradient(unit) : unit
}

/** Sum of squares per sample, `[B, …] → [B]`. Kernels: Square, Sum. */
export const squaredNorms = (x: tf.Tensor): tf.Tensor1D =>
  tf.sum(
    tf.square(x),
    x.shape.slice(1).map((_, i) => i + 1),
  )

/** Labels int32 `[B]` as rows of an identity matrix `[B, n]`; `tf.oneHot` needs at least two classes. */
const indicators = (labels: tf.Tensor, n: number): tf.Tensor2D =>
  n === 1 ? tf.ones([labels.shape[0]!, 1]) : (tf.oneHot(labels as tf.Tensor1D, n, 1, 0, "float32") as tf.Tensor2D)

/** Rows of a table: labels int32 `[B]`, table `[n, d]` → `[B, d]`. Kernels: OneHot, BatchMatMul. */
export const rows = (labels: tf.Tensor, table: tf.Tensor): tf.Tensor2D =>
  tf.matMul(indicators(labels, table.shape[0]!), table as tf.Tensor2D)

/** One entry of each row: `[B, n]`, labels int32 `[B]` → `[B]`. Kernels: OneHot, Multiply, Sum. */
export const pick = (x: tf.Tensor, labels: tf.Tensor): tf.Tensor1D =>
  tf.sum(tf.mul(x, indicators(labels, x.shape[1]!)), 1)

/** Returns x and stops its gradient. Kernels: Identity. */
export const stopGradient = <T extends tf.Tensor>(x: T): T =>
  tf.customGrad((x) => ({ value: tf.clone(x as T), gradFunc: (dy: tf.Tensor) => tf.zerosLike(dy) }))(x) as T

/**
 * `scale · x` with another gain backwards: x receives the gradient `passed(scale) · dy`, scale the ordinary one. A layer can so
 * have a large gain forwards and a small one backwards. `scale` broadcasts to the shape of x. Kernels: Multiply; gradient
 * Multiply, Sum.
 * @param passed the gain of the backward pass, as a function of `scale`
 */
export const scaleWithGradient = (x: tf.Tensor, scale: tf.Tensor, passed: (scale: tf.Tensor) => tf.Tensor): tf.Tensor =>
  tf.customGrad((x, scale, save) => {
    const [a, b] = [x as tf.Tensor, scale as tf.Tensor]
    ;(save as tf.GradSaveFunc)([a, b])
    return {
      value: tf.mul(a, b),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [a, b] = saved as [tf.Tensor, tf.Tensor]
        const axes = b.shape.flatMap((size, axis) => (size === 1 && a.shape[axis] !== 1 ? [axis] : []))
        return [tf.mul(dy, passed(b)), tf.sum(tf.mul(dy, a), axes, true)]
      },
    }
  })(x, scale)
