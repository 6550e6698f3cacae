/**
 * Adaptive filter modulation (Zhao, Cong, Carin, ICML 2020): `W' = γ ⊙ W + β`, one scale and one shift for every plane of a
 * convolution's filter, that is for every pair of an input and an output channel. W stays frozen, its bias too.
 */
import { Leaf } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"

export interface AdaFM<A> {
  /** The identity at 1. */
  readonly gamma: A
  /** The identity at 0. */
  readonly beta: A
}

/** For a filter `[a, b, kh, kw]`, transposed or not: γ and β of `[a, b, 1, 1]`. */
export const spec = ({ shape }: Pick<Leaf.Leaf, "shape">): AdaFM<Leaf.Leaf> => {
  const [a, b, ...window] = shape
  if (a === undefined || b === undefined || window.length !== 2)
    throw new Error(`AdaFM modulates filters [a, b, kh, kw], not [${shape.join(", ")}]`)
  return { gamma: Leaf.constant([a, b, 1, 1], 1), beta: Leaf.constant([a, b, 1, 1], 0) }
}

/**
 * An ordinary filter; the network that applies it never learns that it was modulated.
 * @param weight `[kh, kw, in, out]`
 * @param p `[1, 1, in, out]` each
 */
export const resolve = (weight: tf.Tensor, { gamma, beta }: AdaFM<tf.Tensor>): tf.Tensor =>
  tf.add(tf.mul(weight, gamma), beta)
