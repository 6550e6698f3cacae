import "@tensorflow/tfjs-backend-cpu"
import { Derivatives } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as Ops from "../src/Ops.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

const tensor = (shape: readonly number[], seed = 1): tf.Tensor =>
  tf.tensor(
    Derivatives.noise(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
    [...shape],
  )

const labels = tf.tensor1d([2, 0, 2], "int32")

/** Central differences in float32 with step 0.01 are good to about 1e-4; a wrong gradient is off by at least 0.1. */
const cases: readonly {
  readonly name: string
  readonly f: (...xs: tf.Tensor[]) => tf.Tensor
  readonly inputs: readonly (readonly number[])[]
}[] = [
  {
    name: "conv2d 3x3 pad 1",
    f: (x, w) => Ops.conv2d(x, w, { pad: 1 }),
    inputs: [
      [2, 4, 5, 2],
      [3, 3, 2, 3],
    ],
  },
  {
    name: "conv2d 4x4 stride 2 pad 1",
    f: (x, w) => Ops.conv2d(x, w, { stride: 2, pad: 1 }),
    inputs: [
      [2, 6, 6, 2],
      [4, 4, 2, 3],
    ],
  },
  {
    name: "conv2d 3x3 stride 2 pad 1 on an odd image",
    f: (x, w) => Ops.conv2d(x, w, { stride: 2, pad: 1 }),
    inputs: [
      [2, 5, 6, 2],
      [3, 3, 2, 2],
    ],
  },
  {
    name: "conv2d 1x1",
    f: (x, w) => Ops.conv2d(x, w),
    inputs: [
      [2, 3, 3, 2],
      [1, 1, 2, 3],
    ],
  },
  {
    name: "conv2dTranspose 4x4 stride 2 pad 1",
    f: (x, w) => Ops.conv2dTranspose(x, w, { stride: 2, pad: 1 }),
    inputs: [
      [2, 3, 3, 2],
      [4, 4, 3, 2],
    ],
  },
  {
    name: "conv2dTranspose 4x4 on one pixel",
    f: (x, w) => Ops.conv2dTranspose(x, w),
    inputs: [
      [2, 1, 1, 3],
      [4, 4, 2, 3],
    ],
  },
  { name: "linear", f: (x, w, b) => Ops.linear(x, w, b), inputs: [[3, 4], [2, 4], [2]] },
  { name: "leakyRelu", f: (x) => Ops.leakyRelu(x, 0.2), inputs: [[3, 4]] },
  { name: "relu", f: (x) => Ops.relu(x), inputs: [[3, 4]] },
  { name: "tanh", f: (x) => Ops.tanh(x), inputs: [[3, 4]] },
  { name: "sigmoid", f: (x) => Ops.sigmoid(x), inputs: [[3, 4]] },
  { name: "softplus", f: (x) => Ops.softplus(x), inputs: [[3, 4]] },
  { name: "avgPool2", f: (x) => Ops.avgPool2(x), inputs: [[2, 4, 6, 2]] },
  { name: "upsample2", f: (x) => Ops.upsample2(x), inputs: [[2, 3, 2, 2]] },
  { name: "avgPool3 on an even image", f: (x) => Ops.avgPool3(x), inputs: [[2, 4, 6, 2]] },
  { name: "avgPool3 on an odd image", f: (x) => Ops.avgPool3(x), inputs: [[2, 5, 3, 2]] },
  { name: "avgPool3 on a mixed image", f: (x) => Ops.avgPool3(x), inputs: [[2, 5, 4, 2]] },
  { name: "standardize over pixels", f: (x) => Ops.standardize(x, [1, 2], 1e-5), inputs: [[2, 3, 3, 2]] },
  { name: "standardize over the batch", f: (x) => Ops.standardize(x, [0, 1, 2], 1e-5), inputs: [[3, 2, 2, 2]] },
  { name: "pixelNorm", f: (x) => Ops.pixelNorm(x), inputs: [[2, 4]] },
  { name: "unitNorm", f: (x) => Ops.unitNorm(x), inputs: [[2, 4]] },
  { name: "squaredNorms", f: (x) => Ops.squaredNorms(x), inputs: [[2, 3, 2]] },
  { name: "rows", f: (x) => Ops.rows(labels, x), inputs: [[3, 4]] },
  { name: "pick", f: (x) => Ops.pick(x, labels), inputs: [[3, 4]] },
]

describe("first and second derivatives agree with central differences", () => {
  test.each(cases)("$name", ({ f, inputs }) => {
    const { first, second } = Derivatives.disagreement(
      f,
      inputs.map((shape, k) => tensor(shape, k + 1)),
    )
    expect(first).toBeLessThan(1e-3)
    expect(second).toBeLessThan(1e-3)
  })

  test("a small discriminator, through all of its operations at once", () => {
    const network = (x: tf.Tensor, w0: tf.Tensor, w1: tf.Tensor, w2: tf.Tensor): tf.Tensor => {
      const h0 = Ops.leakyRelu(Ops.conv2d(x, w0, { pad: 1 }), 0.2)
      const h1 = Ops.leakyRelu(Ops.conv2d(Ops.avgPool3(h0), w1, { stride: 2, pad: 1 }), 0.2)
      return Ops.linear(tf.reshape(h1, [2, -1]), w2)
    }
    const inputs = [
      [2, 6, 6, 2],
      [3, 3, 2, 3],
      [3, 3, 3, 2],
      [1, 8],
    ].map((shape, k) => tensor(shape, k + 4))
    const { first, second } = Derivatives.disagreement(network, inputs, 1e-3)
    expect(first).toBeLessThan(3e-3)
    expect(second).toBeLessThan(3e-3)
  })
})

describe("values", () => {
  test("avgPool3 divides the corner's four pixels by nine", () => {
    const pooled = Ops.avgPool3(tf.ones([2, 4, 4, 1]))
    expect(pooled.shape).toEqual([2, 2, 2, 1])
    const expected = [4, 6, 6, 9, 4, 6, 6, 9].map((n) => n / 9)
    for (const [i, value] of pooled.dataSync().entries()) expect(value).toBeCloseTo(expected[i]!, 6)
  })

  /** PyTorch: conv_transpose2d of a single 1 places the filter there. */
  test("conv2dTranspose of a unit pixel is the filter", () => {
    const filter = tensor([4, 4, 2, 1])
    const out = Ops.conv2dTranspose(tf.ones([1, 1, 1, 1]), filter)
    expect(out.shape).toEqual([1, 4, 4, 2])
    expect([...out.dataSync()]).toEqual([...filter.dataSync()])
  })

  test("upsample2 repeats every pixel of every image", () => {
    const x = tensor([2, 2, 2, 1])
    const [a, b] = [x.dataSync(), Ops.upsample2(x).dataSync()]
    for (let n = 0; n < 2; n++)
      for (let i = 0; i < 4; i++)
        for (let j = 0; j < 4; j++) expect(b[n * 16 + i * 4 + j]).toBe(a[n * 4 + (i >> 1) * 2 + (j >> 1)])
  })

  test("unitNorm of single numbers is their sign, with gradient exactly 0", () => {
    const x = tf.tensor2d([0.3, -1.7, 1e-3], [3, 1])
    for (const [i, value] of Ops.unitNorm(x).dataSync().entries()) expect(value).toBeCloseTo([1, -1, 1][i]!, 6)
    expect([
      ...tf
        .grad((x: tf.Tensor) => tf.sum(tf.mul(Ops.unitNorm(x), x)))(x)
        .dataSync(),
    ]).toEqual([...Ops.unitNorm(x).dataSync()])
  })

  test("stopGradient keeps the value and stops the gradient", () => {
    const gradient = tf.grad((x: tf.Tensor) => tf.sum(tf.mul(x, Ops.stopGradient(x))))(tf.tensor1d([3, 4]))
    expect([...gradient.dataSync()]).toEqual([3, 4])
  })

  test("scaleWithGradient multiplies by the scale forwards and by the passed gain backwards", () => {
    const [x, scale] = [tensor([2, 2, 2, 3]), tensor([2, 1, 1, 3], 2)]
    const passed = (scale: tf.Tensor): tf.Tensor => tf.fill(scale.shape, 0.5)
    const [dx, dscale] = tf.grads((x: tf.Tensor, scale: tf.Tensor) => tf.sum(Ops.scaleWithGradient(x, scale, passed)))([
      x,
      scale,
    ]) as [tf.Tensor, tf.Tensor]
    expect([...new Set(dx.dataSync())]).toEqual([0.5])
    const sums = tf.sum(x, [1, 2], true).dataSync()
    for (const [i, value] of dscale.dataSync().entries()) expect(value).toBeCloseTo(sums[i]!, 5)
  })
})
