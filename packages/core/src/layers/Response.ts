/**
 * Channel scales of a convolution that depend on its input: `u(s) ⊙ conv(W, v(s) ⊙ x)`. For each sample, s holds the log standard
 * deviations and the normalised means of x's channels. u and v are `exp(½·tanh(linear(s)))`: they start at 1, because the linear
 * layers start at 0, and stay between 0.61 and 1.65.
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Ops from "../Ops.ts"
import * as Leaf from "./Leaf.ts"
import * as Linear from "./Linear.ts"

export interface Layers<A> {
  /** Scales of the output channels: weight `[out, 2·in]`, bias `[out]`. */
  readonly u: Linear.Linear<A>
  /** Scales of the input channels: weight `[in, 2·in]`, bias `[in]`. */
  readonly v: Linear.Linear<A>
  /** `[2·in]`, used in place of s: the scales then do not depend on the input. */
  readonly constant?: A
}

/** With `next`, the scales of each sample depend on the next sample of its batch. */
export type Response<A> = Layers<A> | { readonly next: Layers<A> }

export interface Config {
  readonly in: number
  readonly out: number
  readonly constant?: boolean
}

/** All scales start at 1. The constant starts as N(0, 1): at 0, neither it nor the weights would ever receive a gradient. */
export const spec = ({ in: cin, out, constant = false }: Config): Layers<Leaf.Leaf> => {
  const zeros = (n: number): Linear.Linear<Leaf.Leaf> => ({
    weight: Leaf.constant([n, 2 * cin], 0),
    bias: Leaf.constant([n], 0),
  })
  return { u: zeros(out), v: zeros(cin), ...(constant && { constant: Leaf.normal([2 * cin]) }) }
}

const EPSILON = 1e-5

/** `½·log(variance + ε)` and `mean / √(variance + ε)` of each channel. `[B, H, W, C] → [B, 2C]` */
export const statistics = (x: tf.Tensor): tf.Tensor2D => {
  const { mean, variance } = Ops.moments(x, [1, 2])
  const power = tf.add(variance, EPSILON)
  const s = tf.concat([tf.mul(tf.log(power), 0.5), tf.mul(mean, tf.rsqrt(power))], 3)
  return tf.reshape(s, [x.shape[0]!, -1])
}

/** Gives each sample the next sample's row, and the last sample the first row. */
const ofNext = (s: tf.Tensor2D): tf.Tensor2D => {
  const [batch] = s.shape
  return batch === 1 ? s : tf.concat([tf.slice(s, [1, 0], [batch - 1, -1]), tf.slice(s, [0, 0], [1, -1])], 0)
}

export interface Scales {
  /** `[B, 1, 1, out]` */
  readonly u: tf.Tensor
  /** `[B, 1, 1, in]` */
  readonly v: tf.Tensor
}

/** The scales for x `[B, H, W, in]`; with a constant they are the same for all samples, B = 1. */
export const scales = (p: Response<tf.Tensor>, x: tf.Tensor): Scales => {
  const { u, v, constant } = "next" in p ? p.next : p
  const own = (): tf.Tensor2D => ("next" in p ? ofNext(statistics(x)) : statistics(x))
  const s = constant === undefined ? own() : tf.reshape(constant, [1, -1])
  const scale = (linear: Linear.Linear<tf.Tensor>): tf.Tensor => {
    const y = tf.exp(tf.mul(Ops.tanh(Linear.apply(linear, s)), 0.5))
    return tf.reshape(y, [y.shape[0]!, 1, 1, -1])
  }
  return { u: scale(u), v: scale(v) }
}
