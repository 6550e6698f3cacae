import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, expect, test } from "vitest"
import * as BatchNorm from "../src/layers/BatchNorm.ts"
import * as Conv from "../src/layers/Conv.ts"
import * as Leaf from "../src/layers/Leaf.ts"
import * as Linear from "../src/layers/Linear.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

test("an initial value depends on seed and path, not on the network's other parameters", () => {
  const [small, large] = [1, 3].map((n) =>
    Leaf.flatten(
      Object.fromEntries(Array.from({ length: n }, (_, i) => [`conv_${i}`, Conv.spec({ in: 2, out: 3, kernel: 3 })])),
    ),
  ) as [ReturnType<typeof Leaf.flatten>, ReturnType<typeof Leaf.flatten>]
  expect(Object.keys(small)).toEqual(["conv_0.weight", "conv_0.bias"])
  const [a, b] = [Leaf.initAll(small, 1, "generator"), Leaf.initAll(large, 1, "generator")]
  expect(a["conv_0.weight"]).toEqual(b["conv_0.weight"])
  expect(a["conv_0.weight"]).not.toEqual(Leaf.initAll(small, 2, "generator")["conv_0.weight"])
  expect(a["conv_0.weight"]).not.toEqual(Leaf.initAll(small, 1, "discriminator")["conv_0.weight"])
})

test.each([
  { name: "conv", leaf: Conv.spec({ in: 16, out: 4, kernel: 3 }).weight, shape: [4, 16, 3, 3], bound: 1 / 12 },
  {
    name: "transposed conv",
    leaf: Conv.transposedSpec({ in: 16, out: 4, kernel: 4 }).weight,
    shape: [16, 4, 4, 4],
    bound: 1 / 8,
  },
  { name: "linear", leaf: Linear.spec({ in: 100, out: 30 }).weight, shape: [30, 100], bound: 1 / 10 },
])("the weights of a $name fill PyTorch's default interval", ({ leaf, shape, bound }) => {
  const { data, ...rest } = Leaf.init(0)(leaf, "w")
  expect(rest.shape).toEqual(shape)
  const largest = data.reduce((max, x) => Math.max(max, Math.abs(x)), 0)
  expect(largest).toBeLessThanOrEqual(bound)
  expect(largest).toBeGreaterThan(0.95 * bound)
})

/** Channel values 1, 3 and 10, 30 over two samples of one pixel: mean 2 and 20, biased variance 1 and 100, unbiased 2 and 200. */
test("batch norm uses the biased variance and stores the unbiased one", () => {
  const p = {
    weight: tf.tensor1d([1, 2]),
    bias: tf.tensor1d([0, 1]),
    running_mean: tf.zeros([2]),
    running_var: tf.ones([2]),
  }
  const x = tf.tensor4d([1, 10, 3, 30], [2, 1, 1, 2])
  const { y, running } = BatchNorm.applyBatch(p, x, { epsilon: 0 })
  const rounded = (t: tf.Tensor) => [...t.dataSync()].map((v) => Math.round(v * 1e5) / 1e5)
  expect(rounded(y)).toEqual([-1, -1, 1, 3])
  expect(rounded(running.running_mean)).toEqual([0.2, 2])
  expect(rounded(running.running_var)).toEqual([1.1, 20.9])
  expect(rounded(BatchNorm.applyStored(p, x, { epsilon: 0 }))).toEqual([1, 21, 3, 61])
})
