/** The style block of the small head: transposed convolution that doubles the resolution, noise, and adaptive instance norm with a bounded gradient. */
import { Conv, Leaf, Linear, Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Inputs } from "../../Network.ts"

interface Style<A> {
  readonly style: { readonly linear: Linear.Linear<A> }
}
interface Noise<A> {
  readonly weight: A
}

export interface StyleBlock<A> {
  readonly conv_0: Conv.Conv<A>
  readonly noise_0: Noise<A>
  readonly adain_0: Style<A>
  readonly conv_1: { readonly conv: Conv.Conv<A> }
  readonly noise_1: Noise<A>
  readonly adain_1: Style<A>
  readonly conv_s: Conv.Conv<A>
}

export const SLOPE = 0.2
/** Standard deviation of the initial weights of the mapping network, the styles and the noise strengths. */
const DEVIATION = 0.1

/** A linear layer of the mapping network: weights N(0, 0.1²), bias 0. */
export const styleLinear = (width: number, out: number): Linear.Linear<Leaf.Leaf> => ({
  weight: Leaf.normal([out, width], 0, DEVIATION),
  bias: Leaf.constant([out], 0),
})

export const spec = (width: number, styleDim: number): StyleBlock<Leaf.Leaf> => {
  const doubling = { in: width, out: width, kernel: 4 }
  const conv = Conv.spec({ in: width, out: width, kernel: 3 })
  const noise = { weight: Leaf.normal([1, width, 1, 1], 0, DEVIATION) }
  const adain = {
    style: {
      linear: {
        weight: Leaf.normal([2 * width, styleDim], 0, DEVIATION),
        bias: Leaf.make([2 * width], { kind: "scale-and-shift" }),
      },
    },
  }
  return {
    conv_0: Conv.transposedSpec(doubling),
    noise_0: noise,
    adain_0: adain,
    conv_1: { conv: { ...conv, bias: Leaf.constant([width], 0) } },
    noise_1: noise,
    adain_1: adain,
    conv_s: Conv.transposedSpec({ ...doubling, bias: false }),
  }
}

/** Adds one noise map to all channels, each with its own strength. noise `[B, H, W, 1]` */
const inject = ({ weight }: Noise<tf.Tensor>, x: tf.Tensor4D, noise: tf.Tensor): tf.Tensor4D =>
  tf.add(x, tf.mul(tf.reshape(weight, [1, 1, 1, -1]), noise))

/** `γ(w)·norm(x) + β(w)`; the gradient with respect to x is scaled by γ clipped to [-1, 1], or exact. w `[B, style_dim]` */
const adaIn = (
  { style }: Style<tf.Tensor>,
  x: tf.Tensor4D,
  w: tf.Tensor,
  gradient: Inputs["gradient"],
): tf.Tensor4D => {
  const [batch, , , channels] = x.shape
  const both = Linear.apply(style.linear, w)
  const half = (start: number): tf.Tensor =>
    tf.reshape(tf.slice(both, [0, start], [batch, channels]), [batch, 1, 1, channels])
  const normal = Ops.standardize(x, [1, 2], 1e-5)
  const scaled =
    gradient === "exact"
      ? tf.mul(normal, half(0))
      : Ops.scaleWithGradient(normal, half(0), (gamma) => tf.clipByValue(gamma, -1, 1))
  return tf.add(scaled, half(channels))
}

/** `[B, H, W, C] → [B, 2H, 2W, C]` */
export const apply = (
  p: StyleBlock<tf.Tensor>,
  x: tf.Tensor4D,
  w: tf.Tensor,
  [noise0, noise1]: readonly [tf.Tensor, tf.Tensor],
  gradient: Inputs["gradient"],
): tf.Tensor4D => {
  const doubled = { stride: 2, pad: 1 }
  const skip = Conv.applyTransposed(p.conv_s, x, doubled)
  const first = Conv.applyTransposed(p.conv_0, Ops.leakyRelu(x, SLOPE), doubled)
  const h = adaIn(p.adain_0, inject(p.noise_0, first, noise0), w, gradient)
  const second = Conv.apply(p.conv_1.conv, Ops.leakyRelu(h, SLOPE), { pad: 1 })
  return tf.add(skip, tf.mul(adaIn(p.adain_1, inject(p.noise_1, second, noise1), w, gradient), 0.1))
}
