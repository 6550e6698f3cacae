/**
 * AdaFM and its rivals: ways to adapt a frozen filter. Each adds parameters to one filter, starts as the identity, and resolves
 * to an ordinary filter (`InputConditioned` has the kinds that do not). Filters are `[kh, kw, in, out]`, or `[kh, kw, out, in]` in a
 * transposed convolution.
 */
import { type Flat, Layout, Leaf, NdArray, Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import * as AdaFM from "./AdaFM.ts"

export interface Filter {
  /** In files: `[out, in, kh, kw]`, or `[in, out, kh, kw]` of a transposed convolution. */
  readonly shape: readonly number[]
  readonly transposed: boolean
}

export interface Kind {
  /** The parameters that it adds, by name. */
  readonly spec: (filter: Filter) => Readonly<Record<string, Leaf.Leaf>>
  /** The adapted filter, with the shape of `weight`. */
  readonly resolve: (weight: tf.Tensor, extra: Readonly<Record<string, tf.Tensor>>) => tf.Tensor
  /** The adapted bias `[out]`, for kinds that change the bias; the layer must then have one. */
  readonly resolveBias?: (bias: tf.Tensor, extra: Readonly<Record<string, tf.Tensor>>) => tf.Tensor
  /** Further parameters that the layer reads, by their names below its path; such a kind does not fold. */
  readonly resolveLayer?: (extra: Readonly<Record<string, tf.Tensor>>) => Flat.Flat<tf.Tensor>
  /** A sample's output depends on the other samples of the batch. */
  readonly batchwise?: true
  /** Initial values that are computed from the filter, in the file's layout; they replace those of `spec`. */
  readonly start?: (weight: Array32) => Readonly<Record<string, Array32>>
}

type Array32 = NdArray.NdArray<"float32">

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
 * Batch statistics adaptation, BSA (Noguchi, Harada 2019): a scale and a shift of each output channel,
 * `γ[o]·(W[o] * x + b[o]) + β[o]`, hence `W'[o] = γ[o]·W[o]`, `b'[o] = γ[o]·b[o] + β[o]`.
 */
export const featureStatistics: Kind = {
  spec: (filter) => {
    const shape = perOutput(filter)
    return { gamma: Leaf.constant(shape, 1), beta: Leaf.constant([NdArray.sizeOf(shape)], 0) }
  },
  resolve: (weight, { gamma }) => tf.mul(weight, gamma!),
  resolveBias: (bias, { gamma, beta }) => tf.add(tf.mul(bias, tf.reshape(gamma!, bias.shape)), beta!),
}

/** Weight (de)modulation of StyleGAN2 (Karras et al. 2020) as constants, of rank one: `W'[o, i] = η[o]·s[i]·W[o, i]`. */
export const rankOne: Kind = {
  spec: (filter) => ({ eta: Leaf.constant(perOutput(filter), 1), s: Leaf.constant(perInput(filter), 1) }),
  resolve: (weight, { eta, s }) => tf.mul(weight, tf.mul(eta!, s!)),
}

/**
 * Kernel modulation, KML (AdAM; Zhao et al. 2022): `W'[o, i] = (1 + u[o]·v[i])·W[o, i]`, a rank-one correction to a scale of 1.
 * Here u starts at 0 and v as N(0, 1).
 */
export const kernelModulation: Kind = {
  spec: (filter) => ({ u: Leaf.constant(perOutput(filter), 0), v: Leaf.normal(perInput(filter)) }),
  resolve: (weight, { u, v }) => tf.mul(weight, tf.add(tf.mul(u!, v!), 1)),
}

/** Mean and sample standard deviation of every kernel plane. `[kh, kw, a, b] → [1, 1, a, b]` */
const planes = (weight: tf.Tensor): { readonly mean: tf.Tensor; readonly deviation: tf.Tensor } => {
  const { mean, variance } = Ops.moments(weight, [0, 1])
  const taps = weight.shape[0]! * weight.shape[1]!
  return { mean, deviation: tf.sqrt(tf.mul(variance, taps / (taps - 1))) }
}

/** Lower bound of a plane's deviation, so that a constant plane is not divided by 0. */
const FLAT = 1e-12

/**
 * mFiLM of GAN Memory (Cong et al. 2020): planes normalised to mean 0 and sample deviation 1, then `W' = γ·Ŵ + β`, `b' = b + δ`. γ and
 * β start as the plane's deviation and mean, so W' starts as W, up to rounding.
 */
export const mfilm: Kind = {
  spec: (filter) => {
    const { gamma, beta } = AdaFM.spec(filter)
    const [a, b] = filter.shape as [number, number]
    return { gamma, beta, delta: Leaf.constant([filter.transposed ? b : a], 0) }
  },
  resolve: (weight, { gamma, beta }) => {
    const { mean, deviation } = planes(weight)
    return tf.add(tf.mul(tf.div(tf.sub(weight, mean), tf.maximum(deviation, FLAT)), gamma!), beta!)
  },
  resolveBias: (bias, { delta }) => tf.add(bias, delta!),
  start: ({ shape, data }) => {
    const [a, b, kh, kw] = shape as [number, number, number, number]
    const taps = kh * kw
    const gamma = NdArray.zeros("float32", [a, b, 1, 1])
    const beta = NdArray.zeros("float32", [a, b, 1, 1])
    for (let i = 0; i < a * b; i++) {
      const plane = data.subarray(i * taps, (i + 1) * taps)
      const mean = plane.reduce((sum, w) => sum + w, 0) / taps
      beta.data[i] = mean
      gamma.data[i] = Math.sqrt(plane.reduce((sum, w) => sum + (w - mean) ** 2, 0) / (taps - 1))
    }
    return { gamma, beta }
  },
}

/** Plain fine-tuning of the filter, the most general kind: `W' = W + Δ`. */
export const fineTuning: Kind = {
  spec: ({ shape }) => ({ delta: Leaf.constant(shape, 0) }),
  resolve: (weight, { delta }) => tf.add(weight, delta!),
}

/**
 * A low-rank correction, LoRA (Hu et al. 2021) on the unfolded filter: `W' = W + Σ_k u_k ⊗ v_k`, u along the filter's first axis
 * and v along all others. u starts at 0.
 */
export const lowRank = (rank: number): Kind => ({
  spec: ({ shape }) => {
    const columns = NdArray.sizeOf(shape) / shape[0]!
    return { u: Leaf.constant([shape[0]!, rank], 0), v: Leaf.normal([rank, columns], 0, 1 / Math.sqrt(rank)) }
  },
  resolve: (weight, { u, v }) => {
    const [kh, kw, b, a] = weight.shape as [number, number, number, number]
    const product = tf.reshape(tf.matMul(u as tf.Tensor2D, v as tf.Tensor2D), [a, b, kh, kw])
    return tf.add(weight, tf.transpose(product, [...Layout.axes.filters.toCompute]))
  },
})
