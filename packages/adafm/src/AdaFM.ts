/**
 * Adaptive filter modulation (Zhao, Cong, Carin, ICML 2020): `W' = γ ⊙ W + β`, one scale and one shift for every kernel plane of a
 * convolution, that is for every pair of an input and an output channel. W and the bias stay frozen.
 */
import { Leaf } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"

export interface AdaFM<A> {
  /** `[a, b, 1, 1]` in files; 1 is the identity. */
  readonly gamma: A
  /** `[a, b, 1, 1]` in files; 0 is the identity. */
  readonly beta: A
}

/** γ = 1 and β = 0 for a filter `[a, b, kh, kw]`, transposed or not. Throws on other ranks. */
export const spec = ({ shape }: Pick<Leaf.Leaf, "shape">): AdaFM<Leaf.Leaf> => {
  const [a, b, ...window] = shape
  if (a === undefined || b === undefined || window.length !== 2)
    throw new Error(`AdaFM modulates filters [a, b, kh, kw], not [${shape.join(", ")}]`)
  return { gamma: Leaf.constant([a, b, 1, 1], 1), beta: Leaf.constant([a, b, 1, 1], 0) }
}

/**
 * The modulated filter; a network applies it like any other.
 * @param weight `[kh, kw, in, out]`
 * @param p γ and β, `[1, 1, in, out]` each
 */
export const resolve = (weight: tf.Tensor, { gamma, beta }: AdaFM<tf.Tensor>): tf.Tensor =>
  tf.add(tf.mul(weight, gamma), beta)
