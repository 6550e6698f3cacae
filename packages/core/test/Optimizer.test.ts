import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, expect, test } from "vitest"
import * as Ema from "../src/optimise/Ema.ts"
import * as Optimizer from "../src/optimise/Optimizer.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

/** The formulas of PyTorch's `torch.optim` documentation, in float64. */
const reference = (o: Optimizer.Optimizer, gradients: readonly number[], start: number): number => {
  let [p, m, v] = [start, 0, 0]
  gradients.forEach((g, i) => {
    if (o.kind === "adam") {
      m = o.beta1 * m + (1 - o.beta1) * g
      v = o.beta2 * v + (1 - o.beta2) * g * g
      const [mHat, vHat] = [m / (1 - o.beta1 ** (i + 1)), v / (1 - o.beta2 ** (i + 1))]
      p -= (o.learningRate * mHat) / (Math.sqrt(vHat) + o.epsilon)
    } else {
      v = o.alpha * v + (1 - o.alpha) * g * g
      p -= (o.learningRate * g) / (Math.sqrt(v) + o.epsilon)
    }
  })
  return p
}

test.each<Optimizer.Optimizer>([
  { kind: "adam", learningRate: 0.1, beta1: 0, beta2: 0.99, epsilon: 1e-8 },
  { kind: "adam", learningRate: 0.1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  { kind: "adam", learningRate: 0.1, beta1: 0.5, beta2: 0.9, epsilon: 0.3 },
  { kind: "rmsprop", learningRate: 0.1, alpha: 0.99, epsilon: 1e-8 },
])("five updates of $kind follow the formula: %j", (optimizer) => {
  const gradients = [0.5, -0.25, 3, 0.001, -1]
  let state: Optimizer.Moments & { readonly params: Readonly<Record<string, tf.Tensor>> } = {
    params: { w: tf.tensor1d([1]) },
    v: { w: tf.zeros([1]) },
    ...(Optimizer.hasMomentum(optimizer) && { m: { w: tf.zeros([1]) } }),
  }
  gradients.forEach((g, i) => {
    const { rate, spread } = Optimizer.coefficients(optimizer, i + 1)
    state = Optimizer.update(optimizer, state.params, { w: tf.tensor1d([g]) }, state, () => ({
      rate: tf.scalar(rate),
      spread: tf.scalar(spread),
    }))
  })
  expect(state.params.w!.dataSync()[0]).toBeCloseTo(reference(optimizer, gradients, 1), 5)
})

test("the average moves by 1 - decay, and the ramp's first decay is 0.1", () => {
  const average = Ema.update({ w: tf.scalar(1) }, { w: tf.scalar(2) }, tf.scalar(0.75))
  expect(average.w!.dataSync()[0]).toBe(1.25)
  expect(Ema.decayAt({ decay: 0.999, ramp: true }, 0)).toBe(0.1)
  expect(Ema.decayAt({ decay: 0.999, ramp: true }, 100_000)).toBe(0.999)
  expect(Ema.decayAt({ decay: 0.999, ramp: false }, 0)).toBe(0.999)
})
