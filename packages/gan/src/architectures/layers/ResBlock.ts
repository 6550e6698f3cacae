/** The residual block of GP-GAN: pre-activation, no normalisation, branch scaled by 0.1. */
import { Conv, type Leaf, Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"

export interface ResBlock<A> {
  readonly conv_0: Conv.Conv<A>
  readonly conv_1: Conv.Conv<A>
  /** Only if the number of channels changes. */
  readonly conv_s?: Conv.Conv<A>
}

export const SLOPE = 0.2

export const spec = (fin: number, fout: number): ResBlock<Leaf.Leaf> => {
  const hidden = Math.min(fin, fout)
  return {
    conv_0: Conv.spec({ in: fin, out: hidden, kernel: 3 }),
    conv_1: Conv.spec({ in: hidden, out: fout, kernel: 3 }),
    ...(fin !== fout && { conv_s: Conv.spec({ in: fin, out: fout, kernel: 1, bias: false }) }),
  }
}

/** `s(x) + 0.1·conv_1(lrelu(conv_0(lrelu(x))))`. `[B, H, W, fin] → [B, H, W, fout]` */
export const apply = (p: ResBlock<tf.Tensor>, x: tf.Tensor4D): tf.Tensor4D => {
  const skip = p.conv_s ? Conv.apply(p.conv_s, x) : x
  const hidden = Conv.apply(p.conv_0, Ops.leakyRelu(x, SLOPE), { pad: 1 })
  const branch = Conv.apply(p.conv_1, Ops.leakyRelu(hidden, SLOPE), { pad: 1 })
  return tf.add(skip, tf.mul(branch, 0.1))
}
