/**
 * First and second derivatives against central differences. The function under test answers a tensor; sums over it are
 * taken here in float64, so the float32 noise of a sum does not drown the difference.
 */
import * as tf from "@tensorflow/tfjs-core"

type F = (...inputs: tf.Tensor[]) => tf.Tensor

/** Fixed numbers in [-1, 1) that are no closer than 0.05 to 0 (a kink of leaky ReLU). */
export const noise = (size: number, seed: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => {
    const fraction = Math.abs(Math.sin((i + 1) * 12.9898 + seed * 78.233) * 43758.5453) % 1
    return fraction < 0.5 ? -1 + 1.9 * fraction : -0.9 + 1.9 * fraction
  })

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

/** `h(t) = d/dt` by the four-point central difference, exact for polynomials up to degree 4. */
const slope = (h: (t: number) => number, t: number): number => (8 * (h(t) - h(-t)) - (h(2 * t) - h(-2 * t))) / (12 * t)

const moved = (inputs: readonly tf.Tensor[], directions: readonly Float32Array[], t: number): tf.Tensor[] =>
  inputs.map((x, k) => tf.add(x, tf.mul(tf.tensor(directions[k]!, x.shape), t)))

/** Inner products with fixed directions, by gradient and by differences, of `⟨c, f(x)⟩` where f may itself be a gradient. */
const compare = (
  f: F,
  inputs: readonly tf.Tensor[],
  t: number,
): { gradient: number; difference: number; size: number } => {
  const output = f(...inputs)
  const c = noise(output.size, 7)
  const weights = tf.tensor(c, output.shape)
  const gradients = tf.grads((...xs: tf.Tensor[]) => tf.sum(tf.mul(f(...xs), weights)))([...inputs])
  const directions = inputs.map((x, k) => noise(x.size, 11 + k))
  const terms = gradients.map((g, k) => dot(g.dataSync(), directions[k]!))
  return {
    gradient: terms.reduce((a, b) => a + b, 0),
    difference: slope((step) => dot(f(...moved(inputs, directions, step)).dataSync(), c), t),
    size: Math.sqrt(gradients.reduce((s, g) => s + dot(g.dataSync(), g.dataSync()), 0)),
  }
}

/**
 * Largest disagreement, relative to the gradient's length, of the first derivative of f and of the second (the derivative
 * of the gradient of `½ Σ w f²`, which no linear f can hide from).
 */
export const disagreement = (f: F, inputs: readonly tf.Tensor[], t = 0.01): { first: number; second: number } =>
  tf.tidy(() => {
    const relative = ({ gradient, difference, size }: ReturnType<typeof compare>): number =>
      Math.abs(gradient - difference) / Math.max(size, 1e-6)
    const loss = (...xs: tf.Tensor[]): tf.Tensor => {
      const y = f(...xs)
      return tf.sum(tf.mul(tf.square(y), tf.tensor(noise(y.size, 3), y.shape)))
    }
    const gradients: F = (...xs) =>
      tf.concat(
        tf
          .grads((...ys: tf.Tensor[]) => loss(...ys))(xs)
          .map((g) => tf.reshape(g, [-1])),
      )
    return { first: relative(compare(f, inputs, t)), second: relative(compare(gradients, inputs, t)) }
  })
