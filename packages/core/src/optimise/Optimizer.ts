/**
 * Optimisers as pure functions on tensors by path, with PyTorch's formulas. Two numbers hold everything that depends on the number
 * of updates (bias correction, learning-rate schedule); they are computed outside the step in float64.
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Flat from "../Flat.ts"

type Tensors = Flat.Flat<tf.Tensor>

export type Optimizer =
  | {
      readonly kind: "adam"
      readonly learningRate: number
      readonly beta1: number
      readonly beta2: number
      readonly epsilon: number
    }
  | { readonly kind: "rmsprop"; readonly learningRate: number; readonly alpha: number; readonly epsilon: number }

/** The setting of AdaFM's authors. */
export const adam = {
  kind: "adam",
  learningRate: 1e-4,
  beta1: 0,
  beta2: 0.99,
  epsilon: 1e-8,
} as const satisfies Optimizer

/** Moving averages of every trained parameter: of its squared gradients (`v`) and, with momentum, of its gradients (`m`). */
export interface Moments {
  readonly m?: Tensors
  readonly v: Tensors
}

export const hasMomentum = (optimizer: Optimizer): boolean => optimizer.kind === "adam" && optimizer.beta1 !== 0

/** `rate` multiplies the step, `spread` multiplies `√v`. Scalars: numbers outside a step, tensors inside. */
export interface Coefficients<A> {
  readonly rate: A
  readonly spread: A
}

/** @param t which update of these parameters this is, from 1 */
export const coefficients = (optimizer: Optimizer, t: number): Coefficients<number> =>
  optimizer.kind === "rmsprop"
    ? { rate: optimizer.learningRate, spread: 1 }
    : {
        rate: optimizer.learningRate / (1 - optimizer.beta1 ** t),
        spread: 1 / Math.sqrt(1 - optimizer.beta2 ** t),
      }

/** `old·decay + now·(1 - decay)`. */
const average = (old: tf.Tensor, now: tf.Tensor, decay: number): tf.Tensor =>
  tf.add(tf.mul(old, decay), tf.mul(now, 1 - decay))

/**
 * One update of the parameters that have a gradient. Adam: `m = β₁m + (1 - β₁)g`, `v = β₂v + (1 - β₂)g²`,
 * `p = p - lr/(1 - β₁ᵗ) · m / (√v/√(1 - β₂ᵗ) + ε)`. RMSprop: `v = αv + (1 - α)g²`, `p = p - lr·g/(√v + ε)`.
 */
export const update = (
  optimizer: Optimizer,
  params: Tensors,
  grads: Tensors,
  moments: Moments,
  coefficientsAt: (path: Flat.Path) => Coefficients<tf.Tensor>,
): Moments & { readonly params: Tensors } => {
  const beta1 = optimizer.kind === "adam" ? optimizer.beta1 : 0
  const beta2 = optimizer.kind === "adam" ? optimizer.beta2 : optimizer.alpha
  const m = hasMomentum(optimizer) ? Flat.map(grads, (g, path) => average(moments.m![path]!, g, beta1)) : undefined
  const v = Flat.map(grads, (g, path) => average(moments.v[path]!, tf.square(g), beta2))
  const moved = Flat.map(m ?? grads, (direction, path) => {
    const { rate, spread } = coefficientsAt(path)
    const size = tf.add(tf.mul(tf.sqrt(v[path]!), spread), optimizer.epsilon)
    return tf.sub(params[path]!, tf.mul(tf.div(direction, size), rate))
  })
  return { ...(m && { m }), v, params: moved }
}
