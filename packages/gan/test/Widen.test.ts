import "@tensorflow/tfjs-backend-cpu"
import { Flat, Layout, Leaf, NdArray, Rng } from "@adafm/core"
import { Close } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as GpGan from "../src/architectures/GpGan.ts"
import * as Widen from "../src/architectures/Widen.ts"
import type { Params } from "../src/training/State.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

const gan = (nf: number, nf_max: number) =>
  GpGan.of(GpGan.Config.parse({ architecture: "gpgan", resolution: 16, nf, nf_max, z_dim: 5, embed: 3, nlabels: 2 }))
const [narrow, wide] = [gan(2, 4), gan(6, 12)]
const params = (net: "generator" | "discriminator"): Params => Leaf.initAll(narrow[net], 3, net)
const tensors = (flat: Params): Flat.Flat<tf.Tensor> =>
  Flat.map(flat, (array) => {
    const { data, shape } = Layout.toCompute(array)
    return tf.tensor(data, [...shape])
  })
const z = tf.tensor2d(Rng.normal(Rng.at(0, "z"), [4, 5]).data, [4, 5])
const y = tf.tensor1d([0, 1, 1, 0], "int32")

describe("a network three times as wide", () => {
  test("makes the same images", () => {
    const images = narrow.generate(tensors(params("generator")), { z, y })
    const widened = wide.generate(tensors(Widen.params(params("generator"), wide.generator, 1)), { z, y })
    expect(Close.relative(widened.dataSync(), images.dataSync())).toBeLessThan(1e-5)
  })

  test("gives the same logits", () => {
    const x = tf.tensor4d(Rng.normal(Rng.at(0, "x"), [4, 16, 16, 3]).data, [4, 16, 16, 3])
    const logits = GpGan.logits(narrow.config, tensors(params("discriminator")), x)
    const widened = GpGan.logits(wide.config, tensors(Widen.params(params("discriminator"), wide.discriminator, 1)), x)
    expect(Close.relative(widened.dataSync(), logits.dataSync())).toBeLessThan(1e-5)
  })

  test("has no two equal filters, and each has a third of the variance", () => {
    const from = params("generator")
    const path = "resnet_1_0.conv_0.weight"
    const { data, shape } = Widen.params(from, wide.generator, 1)[path]!
    const [filters, size] = [shape[0]!, data.length / shape[0]!]
    const rows = new Set(Array.from({ length: filters }, (_, o) => data.slice(o * size, (o + 1) * size).join()))
    expect(rows.size).toBe(filters)
    const square = (values: Float32Array): number => values.reduce((sum, v) => sum + v * v, 0) / values.length
    expect(square(data) / square(from[path]!.data)).toBeCloseTo(1 / 3, 1)
  })
})

test("a width that is not a multiple is refused, with path and shapes", () => {
  const leaves = { "conv.weight": Leaf.constant([3, 2, 1, 1], 0) }
  const from = { "conv.weight": NdArray.float32([2, 2, 1, 1], new Float32Array(4)) }
  expect(() => Widen.params(from, leaves, 0)).toThrow("conv.weight: [2, 2, 1, 1] cannot be widened to [3, 2, 1, 1]")
})
