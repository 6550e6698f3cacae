/**
 * First and second derivatives against central differences. The function under test returns a tensor; sums over it are
 * taken here in float64, so that the float32 noise of a sum does not hide the difference.
 */
import * as tf from "@tensorflow/tfjs-core"

type F = (...inputs: tf.Tensor[]) => tf.Tensor

/** Fixed numbers in [-1, 1), at least 0.05 away from 0, where leaky ReLU has a kink. */
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

/** `dh/dt` at 0 by the four-point central difference with step t, exact for polynomials up to degree 4. */
const slope = (h: (t: number) => number, t: number): number => (8 * (h(t) - h(-t)) - (h(2 * t) - h(-2 * t))) / (12 * t)

const moved = (inputs: readonly tf.Tensor[], directions: readonly Float32Array[], t: number): tf.Tensor[] =>
  inputs.map((x, k) => tf.add(x, tf.mul(tf.tensor(directions[k]!, x.shape), t)))

/** The derivative of `⟨c, f(x)⟩` in fixed directions, by gradient and by difference; f may be a gradient itself. */
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
 * Differences relative to the gradient's length: `first` of the derivative of f, `second` of the derivative of the gradient of
 * `Σ w f²`, which is not 0 for a linear f either.
 * @param t step of the central differences
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
