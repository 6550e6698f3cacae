/**
 * Files speak PyTorch's layouts (images NCHW, filters OIHW), TensorFlow.js computes in NHWC and HWIO. The change of
 * layout happens here and nowhere else.
 *
 * One rule covers every rank-4 parameter: `[a, b, kh, kw] ↔ [kh, kw, b, a]`. For a convolution that is OIHW ↔ HWIO; for a
 * transposed convolution PyTorch's `[in, out, kh, kw]` becomes `[kh, kw, out, in]`, which is what `tf.conv2dTranspose` reads;
 * for AdaFM's γ, β `[out, in, 1, 1]` becomes `[1, 1, in, out]`, which broadcasts over HWIO. Other ranks are left alone:
 * linear weights stay `[out, in]`.
 */
import * as NdArray from "./NdArray.ts"

type Float32 = NdArray.NdArray<"float32">

const ifRank4 =
  (order: readonly number[]) =>
  (a: Float32): Float32 =>
    a.shape.length === 4 ? NdArray.permute(a, order) : a

/** OIHW → HWIO. */
export const toCompute = ifRank4([2, 3, 1, 0])
/** HWIO → OIHW. */
export const toFile = ifRank4([3, 2, 0, 1])
/** The shape that `toCompute` gives. */
export const computeShape = (shape: readonly number[]): readonly number[] =>
  shape.length === 4 ? [shape[2]!, shape[3]!, shape[1]!, shape[0]!] : shape

/** NCHW → NHWC. */
export const imagesToCompute = ifRank4([0, 2, 3, 1])
/** NHWC → NCHW. */
export const imagesToFile = ifRank4([0, 3, 1, 2])
