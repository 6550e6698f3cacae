/** Every operation × {value, gradient, gradient of a gradient} × engine. The reference is TensorFlow.js's own `cpu` backend. */
import { NdArray, Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as Eager from "../src/backends/Eager.ts"
import * as Onnx from "../src/backends/Onnx.ts"
import * as Wasm from "../src/backends/Wasm.ts"
import type { Engine, Step, Tensors } from "../src/Engine.ts"

interface Case {
  readonly name: string
  readonly inputs: Readonly<Record<string, readonly number[]>>
  readonly apply: (x: Tensors) => tf.Tensor
}

const conv = (shape: readonly number[], filter: readonly number[], geometry: Ops.Geometry): Case => ({
  name: `conv2d ${shape.join("x")} by ${filter.join("x")} stride ${geometry.stride ?? 1} pad ${geometry.pad ?? 0}`,
  inputs: { x: shape, w: filter },
  apply: ({ x, w }) => Ops.conv2d(x!, w!, geometry),
})
const convT = (shape: readonly number[], filter: readonly number[], geometry: Ops.Geometry): Case => ({
  name: `conv2dTranspose ${shape.join("x")} by ${filter.join("x")} stride ${geometry.stride ?? 1} pad ${geometry.pad ?? 0}`,
  inputs: { x: shape, w: filter },
  apply: ({ x, w }) => Ops.conv2dTranspose(x!, w!, geometry),
})
const unary = (name: string, apply: (x: tf.Tensor) => tf.Tensor, shape: readonly number[] = [2, 4, 4, 16]): Case => ({
  name: `${name} ${shape.join("x")}`,
  inputs: { x: shape },
  apply: ({ x }) => apply(x!),
})

const cases: readonly Case[] = [
  conv([2, 16, 16, 16], [3, 3, 16, 32], { pad: 1 }),
  conv([4, 4, 4, 32], [3, 3, 32, 32], { pad: 1 }),
  conv([4, 8, 8, 48], [3, 3, 48, 16], { pad: 1 }),
  conv([2, 8, 8, 32], [1, 1, 32, 16], {}),
  conv([2, 12, 12, 3], [3, 3, 3, 16], { pad: 1 }),
  conv([2, 12, 12, 16], [3, 3, 16, 3], { pad: 1 }),
  conv([2, 5, 7, 5], [3, 3, 5, 7], { pad: 1 }),
  conv([2, 8, 8, 16], [4, 4, 16, 32], { stride: 2, pad: 1 }),
  conv([2, 9, 9, 3], [3, 3, 3, 5], { stride: 2, pad: 0 }),
  conv([2, 4, 4, 16], [4, 4, 16, 1], {}),
  convT([2, 4, 4, 32], [4, 4, 16, 32], { stride: 2, pad: 1 }),
  convT([2, 4, 4, 6], [4, 4, 3, 6], { stride: 2, pad: 1 }),
  convT([2, 1, 1, 16], [4, 4, 32, 16], {}),
  unary("leakyRelu", (x) => Ops.leakyRelu(x, 0.2)),
  unary("relu", Ops.relu),
  unary("tanh", Ops.tanh),
  unary("sigmoid", Ops.sigmoid),
  unary("softplus", Ops.softplus),
  unary("avgPool2", Ops.avgPool2),
  unary("avgPool3", Ops.avgPool3),
  unary("avgPool3", Ops.avgPool3, [2, 5, 7, 3]),
  unary("upsample2", Ops.upsample2),
  unary("upsample2", Ops.upsample2, [2, 3, 5, 3]),
  unary("instance norm", (x) => Ops.standardize(x, [1, 2], 1e-5)),
  unary("batch norm", (x) => Ops.standardize(x, [0, 1, 2], 1e-5)),
  unary("pixelNorm", (x) => Ops.pixelNorm(x), [3, 8]),
  unary("squaredNorms", Ops.squaredNorms),
  unary("transpose to NCHW and flatten", (x) => tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [2, -1])),
  unary("slice of rows", (x) => tf.slice(x, [1, 1, 0, 0], [1, 2, 4, 16])),
  unary("slice of channels", (x) => tf.slice(x, [0, 0, 0, 3], [2, 4, 4, 7])),
  unary("pad", (x) =>
    tf.pad(x, [
      [0, 0],
      [1, 2],
      [0, 1],
      [0, 0],
    ]),
  ),
  { name: "bias", inputs: { x: [2, 4, 4, 16], b: [16] }, apply: ({ x, b }) => tf.add(Ops.avgPool2(x!), b!) },
  { name: "linear", inputs: { x: [3, 5], w: [4, 5], b: [4] }, apply: ({ x, w, b }) => Ops.linear(x!, w!, b) },
  {
    name: "batched matrix product",
    inputs: { a: [2, 3, 4], b: [2, 5, 4] },
    apply: ({ a, b }) => tf.matMul(a as tf.Tensor3D, b as tf.Tensor3D, false, true),
  },
  {
    name: "scale per sample",
    inputs: { x: [2, 4, 4, 16], s: [2, 1, 1, 16] },
    apply: ({ x, s }) => tf.mul(Ops.avgPool2(x!), s!),
  },
  {
    name: "noise map",
    inputs: { x: [2, 4, 4, 16], n: [2, 2, 2, 1], w: [1, 1, 1, 16] },
    apply: ({ x, n, w }) => tf.add(Ops.avgPool2(x!), tf.mul(n!, w!)),
  },
  {
    name: "concat",
    inputs: { a: [2, 4, 4, 16], b: [3, 4, 4, 16] },
    apply: ({ a, b }) => tf.concat([Ops.avgPool2(a!), Ops.avgPool2(b!)], 0),
  },
  {
    name: "modulated filter",
    inputs: { x: [2, 8, 8, 16], w: [3, 3, 16, 32], gamma: [1, 1, 16, 32], beta: [1, 1, 16, 32] },
    apply: ({ x, w, gamma, beta }) => Ops.conv2d(x!, tf.add(tf.mul(gamma!, w!), beta!), { pad: 1 }),
  },
  {
    name: "residual block",
    inputs: { x: [2, 8, 8, 16], w0: [3, 3, 16, 16], b0: [16], w1: [3, 3, 16, 32], b1: [32], ws: [1, 1, 16, 32] },
    apply: ({ x, w0, b0, w1, b1, ws }) => {
      const hidden = tf.add(Ops.conv2d(Ops.leakyRelu(x!, 0.2), w0!, { pad: 1 }), b0!)
      const branch = tf.add(Ops.conv2d(Ops.leakyRelu(hidden, 0.2), w1!, { pad: 1 }), b1!)
      return Ops.leakyRelu(tf.add(Ops.conv2d(x!, ws!), tf.mul(branch, 0.1)), 0.2)
    },
  },
]

/** Deterministic, of unit scale, away from the kinks of piecewise-linear functions. */
const numbers = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => {
    const u = Math.sin(12.9898 * (i + 1) + 78.233 * seed) * 43758.5453
    const v = 2 * (u - Math.floor(u)) - 1
    return Math.sign(v) * (0.1 + Math.abs(v))
  })

const weighted = (t: tf.Tensor, seed: number): tf.Scalar => tf.sum(tf.mul(t, tf.tensor(numbers(t.size, seed), t.shape)))

/** Value, gradient of a weighted sum, and the gradient of a weighted sum of that gradient. */
const derivatives =
  ({ apply }: Case): Step =>
  (_, batch) => {
    const names = Object.keys(batch)
    const tensors = Object.values(batch)
    const at = (values: readonly tf.Tensor[]): Tensors => Object.fromEntries(names.map((name, i) => [name, values[i]!]))
    const loss = (...values: tf.Tensor[]): tf.Scalar => {
      const y = apply(at(values))
      return tf.add(weighted(y, 1), tf.sum(tf.mul(0.5, tf.square(y))))
    }
    const gradients = (...values: tf.Tensor[]): tf.Tensor[] => tf.grads(loss)(values)
    const second = tf.grads((...values: tf.Tensor[]) =>
      gradients(...values)
        .map((g, i) => weighted(g, 2 + i))
        .reduce((a, b) => tf.add(a, b)),
    )
    return {
      stats: {
        value: apply(batch),
        ...Object.fromEntries(gradients(...tensors).map((g, i) => [`gradient ${names[i]}`, g])),
        ...Object.fromEntries(second(tensors).map((g, i) => [`second gradient ${names[i]}`, g])),
      },
    }
  }

const evaluate = async (engine: Engine, c: Case) => {
  const batch = Object.fromEntries(
    Object.entries(c.inputs).map(([name, shape], i) => [
      name,
      NdArray.float32(shape, numbers(NdArray.sizeOf(shape), 10 + i)),
    ]),
  )
  const specs = Object.fromEntries(
    Object.entries(c.inputs).map(([name, shape]) => [name, { shape, dtype: "float32" as const }]),
  )
  const program = await engine.compile(derivatives(c), { state: {}, batch: specs })
  const stats = await program.run(batch)
  await program.dispose()
  return stats
}

/** Largest difference as a fraction of the largest reference value. */
const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let [difference, scale] = [0, 1e-6]
  for (let i = 0; i < b.length; i++) {
    difference = Math.max(difference, Math.abs(Number(a[i]) - Number(b[i])))
    scale = Math.max(scale, Math.abs(Number(b[i])))
  }
  return difference / scale
}

describe("compiled operations equal the reference", () => {
  const engines: Record<string, Engine> = {}
  beforeAll(async () => {
    engines.cpu = await Eager.cpu()
    engines["onnx blocked"] = await Onnx.create({ threads: 1 })
    engines["onnx plain"] = await Onnx.create({ threads: 1, blocked: false })
    engines.wasm = await Wasm.create()
  })
  test.each(cases)("$name", async (c) => {
    const reference = await evaluate(engines.cpu!, c)
    for (const name of ["onnx blocked", "onnx plain", "wasm"]) {
      const stats = await evaluate(engines[name]!, c)
      for (const [path, expected] of Object.entries(reference)) {
        expect(stats[path]!.shape, `${name}: ${path}`).toEqual(expected.shape)
        expect(distance(stats[path]!.data, expected.data), `${name}: ${path}`).toBeLessThan(2e-5)
      }
    }
  })
})
