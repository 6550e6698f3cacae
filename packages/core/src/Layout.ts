/**
 * Files use PyTorch's layouts (images NCHW, filters OIHW); TensorFlow.js computes in NHWC and HWIO. Only this module converts
 * between them.
 *
 * One rule covers every rank-4 parameter: `[a, b, kh, kw] ↔ [kh, kw, b, a]`. For a convolution that is OIHW ↔ HWIO; for a
 * transposed convolution PyTorch's `[in, out, kh, kw]` becomes `[kh, kw, out, in]`, which is what `tf.conv2dTranspose` reads;
 * for AdaFM's γ, β `[out, in, 1, 1]` becomes `[1, 1, in, out]`, which broadcasts over HWIO. Other ranks stay
 * unchanged: linear weights are `[out, in]` in both.
 */
import * as NdArray from "./NdArray.ts"

type Float32 = NdArray.NdArray<"float32">

/** Orders of axes from one layout to the other, for `NdArray.permute` and `tf.transpose`. */
export const axes = {
  filters: { toCompute: [2, 3, 1, 0], toFile: [3, 2, 0, 1] },
  images: { toCompute: [0, 2, 3, 1], toFile: [0, 3, 1, 2] },
} as const

const ifRank4 =
  (order: readonly number[]) =>
  (a: Float32): Float32 =>
    a.shape.length === 4 ? NdArray.permute(a, order) : a

/** A parameter as TensorFlow.js reads it: OIHW → HWIO. */
export const toCompute = ifRank4(axes.filters.toCompute)
/** A parameter as files store it: HWIO → OIHW. */
export const toFile = ifRank4(axes.filters.toFile)
/** The shape of `toCompute`'s result. */
export const computeShape = (shape: readonly number[]): readonly number[] =>
  shape.length === 4 ? axes.filters.toCompute.map((axis) => shape[axis]!) : shape

/** Images, NCHW → NHWC. */
export const imagesToCompute = ifRank4(axes.images.toCompute)
/** Images, NHWC → NCHW. */
export const imagesToFile = ifRank4(axes.images.toFile)
