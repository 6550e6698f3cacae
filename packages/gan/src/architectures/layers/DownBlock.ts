/**
 * FastGAN's down-block: the mean of two branches that halve the image. One has 4 × 4 and 3 × 3 filters, the other 2 × 2 means and
 * 1 × 1 filters; every convolution is followed by batch norm and leaky ReLU.
 */
import { BatchNorm, Conv, type Leaf, Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import * as GatedConv from "./GatedConv.ts"

interface Filter<A> {
  readonly weight: A
}

export interface Down<A> {
  readonly main: { readonly 0: Filter<A>; readonly 1: BatchNorm.BatchNorm<A> }
}
export interface DownBlock<A> {
  readonly main: Down<A>["main"] & { readonly 3: Filter<A>; readonly 4: BatchNorm.BatchNorm<A> }
  readonly direct: { readonly 1: Filter<A>; readonly 2: BatchNorm.BatchNorm<A> }
}

export type Which = "stored" | "batch"
export const SLOPE = 0.2

/** The first half of the main branch alone. */
export const simpleSpec = (fin: number, fout: number): Down<Leaf.Leaf> => ({
  main: { 0: GatedConv.filter([fout, fin, 4, 4]), 1: GatedConv.norm(fout) },
})

export const spec = (fin: number, fout: number): DownBlock<Leaf.Leaf> => ({
  main: {
    ...simpleSpec(fin, fout).main,
    3: GatedConv.filter([fout, fout, 3, 3]),
    4: GatedConv.norm(fout),
  },
  direct: { 1: GatedConv.filter([fout, fin, 1, 1]), 2: GatedConv.norm(fout) },
})

/** Batch norm and leaky ReLU. */
export const activate = (norm: BatchNorm.BatchNorm<tf.Tensor>, x: tf.Tensor, which: Which): tf.Tensor =>
  Ops.leakyRelu(which === "stored" ? BatchNorm.applyStored(norm, x) : BatchNorm.applyBatchFused(norm, x).y, SLOPE)

/** `[B, H, W, fin] → [B, H/2, W/2, fout]` */
export const simple = ({ main }: Down<tf.Tensor>, x: tf.Tensor, which: Which): tf.Tensor =>
  activate(main[1], Conv.apply(main[0], x, { stride: 2, pad: 1 }), which)

/** `[B, H, W, fin] → [B, H/2, W/2, fout]` */
export const apply = ({ main, direct }: DownBlock<tf.Tensor>, x: tf.Tensor, which: Which): tf.Tensor => {
  const deep = activate(main[4], Conv.apply(main[3], simple({ main }, x, which), { pad: 1 }), which)
  const shallow = activate(direct[2], Conv.apply(direct[1], Ops.avgPool2(x)), which)
  return tf.mul(tf.add(deep, shallow), 0.5)
}
