/**
 * Skip-layer excitation: the channels of features far down the network are scaled by what features far up contain (Liu et al. 2021,
 * section 3.1). Mean to 4 × 4 px, 4 × 4 filters, Swish, 1 × 1 filters, sigmoid.
 */
import { Conv, type Leaf, Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import * as GatedConv from "./GatedConv.ts"

export interface SkipExcitation<A> {
  readonly main: { readonly 1: { readonly weight: A }; readonly 3: { readonly weight: A } }
}

/** @param fin channels of the small features @param fout channels of the features that are scaled */
export const spec = (fin: number, fout: number): SkipExcitation<Leaf.Leaf> => ({
  main: { 1: GatedConv.filter([fout, fin, 4, 4]), 3: GatedConv.filter([fout, fout, 1, 1]) },
})

/** Means of square cells until 4 × 4 px remain. */
const toFour = (x: tf.Tensor): tf.Tensor => (x.shape[1]! > 4 ? toFour(Ops.avgPool2(x)) : x)

/** `[B, h, w, fin]`, `[B, H, W, fout] → [B, H, W, fout]`; h is 4 times a power of two */
export const apply = ({ main }: SkipExcitation<tf.Tensor>, from: tf.Tensor, to: tf.Tensor): tf.Tensor => {
  const hidden = Conv.apply(main[1], toFour(from))
  const swish = tf.mul(hidden, Ops.sigmoid(hidden))
  return tf.mul(to, Ops.sigmoid(Conv.apply(main[3], swish)))
}
