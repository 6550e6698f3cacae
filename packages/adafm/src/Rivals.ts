/**
 * Other ways to adapt a frozen filter, for comparison: each adds parameters to one filter, begins as the identity, and
 * resolves to an ordinary filter. Filters are `[kh, kw, in, out]`, or `[kh, kw, out, in]` in a transposed convolution.
 */
import { Leaf, NdArray } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import * as AdaFM from "./AdaFM.ts"

/** A filter's place: its shape in files and which of the first two axes counts outputs. */
export interface Filter {
  readonly shape: readonly number[]
  readonly transposed: boolean
}

export interface Kind {
  readonly spec: (filter: Filter) => Readonly<Record<string, Leaf.Leaf>>
  readonly resolve: (weight: tf.Tensor, extra: Readonly<Record<string, tf.Tensor>>) => tf.Tensor
  /** What becomes of the layer's bias, which then must be there; most leave it alone. */
  readonly resolveBias?: (bias: tf.Tensor, extra: Readonly<Record<string, tf.Tensor>>) => tf.Tensor
}

/** `[out, 1, 1, 1]` in files, `[1, out, 1, 1]` for a transposed convolution. */
const perOutput = ({ shape, transposed }: Filter): number[] => {
  const [a, b] = shape as [number, number]
  return transposed ? [1, b, 1, 1] : [a, 1, 1, 1]
}
const perInput = ({ shape, transposed }: Filter): number[] => {
  const [a, b] = shape as [number, number]
  return transposed ? [a, 1, 1, 1] : [1, b, 1, 1]
}

export const adafm: Kind = {
  spec: (filter) => ({ ...AdaFM.spec(filter) }),
  resolve: (weight, { gamma, beta }) => AdaFM.resolve(weight, { gamma: gamma!, beta: beta! }),
}

/** AdaFM without its shift. */
export const scale: Kind = {
  spec: (filter) => ({ gamma: AdaFM.spec(filter).gamma }),
  resolve: (weight, { gamma }) => tf.mul(weight, gamma!),
}

/** AdaFM without its scale. */
export const shift: Kind = {
  spec: (filter) => ({ beta: AdaFM.spec(filter).beta }),
  resolve: (weight, { beta }) => tf.add(weight, beta!),
}

/** Filter selection: `W'[o] = γ[o]·W[o]`, one scale for each output filter. */
export const filterSelection: Kind = {
  spec: (filter) => ({ gamma: Leaf.constant(perOutput(filter), 1) }),
  resolve: (weight, { gamma }) => tf.mul(weight, gamma!),
}

/**
 * Batch statistics adaptation (Noguchi, Harada 2019), a scale and shift of each channel of features: `W'[o] = γ[o]·W[o]`,
 * `b'[o] = γ[o]·b[o] + β[o]`.
 */
export const featureStatistics: Kind = {
  spec: (filter) => {
    const shape = perOutput(filter)
    return { gamma: Leaf.constant(shape, 1), beta: Leaf.constant([NdArray.sizeOf(shape)], 0) }
  },
  resolve: (weight, { gamma }) => tf.mul(weight, gamma!),
  resolveBias: (bias, { gamma, beta }) => tf.add(tf.mul(bias, tf.reshape(gamma!, bias.shape)), beta!),
}

/** Weight modulation of rank one: `W'[o, i] = η[o]·s[i]·W[o, i]`. */
export const rankOne: Kind = {
  spec: (filter) => ({ eta: Leaf.constant(perOutput(filter), 1), s: Leaf.constant(perInput(filter), 1) }),
  resolve: (weight, { eta, s }) => tf.mul(weight, tf.mul(eta!, s!)),
}

/**
 * A correction of low rank, `W' = W + Σ_k u_k ⊗ v_k` over the filter's first axis and all of its others; u begins at 0.
 * (LoRA, Hu et al. 2021, on the unfolded filter.)
 */
export const lowRank = (rank: number): Kind => ({
  spec: ({ shape }) => {
    const columns = NdArray.sizeOf(shape) / shape[0]!
    return { u: Leaf.constant([shape[0]!, rank], 0), v: Leaf.normal([rank, columns], 0, 1 / Math.sqrt(rank)) }
  },
  resolve: (weight, { u, v }) => {
    const [kh, kw, b, a] = weight.shape as [number, number, number, number]
    const product = tf.reshape(tf.matMul(u as tf.Tensor2D, v as tf.Tensor2D), [a, b, kh, kw])
    return tf.add(weight, tf.transpose(product, [2, 3, 1, 0]))
  },
})
