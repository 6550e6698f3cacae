import "@tensorflow/tfjs-backend-cpu"
import { Flat, Layout, Leaf, Ops, Rng } from "@adafm/core"
import { Close } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as GpGan from "../src/architectures/GpGan.ts"
import * as Grow from "../src/architectures/Grow.ts"
import * as Widen from "../src/architectures/Widen.ts"
import type { Params } from "../src/training/State.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

type Net = "generator" | "discriminator"
/** The widest layers have equal widths at 16 and 32 px. */
const gan = (resolution: number, nf = 2, nf_max = 4) =>
  GpGan.of(GpGan.Config.parse({ architecture: "gpgan", resolution, nf, nf_max, z_dim: 5, embed: 3, nlabels: 2 }))
const [small, large] = [gan(16), gan(32)]
const params = (net: Net): Params => Leaf.initAll(small[net], 3, net)
const grown = (net: Net, to = large): Params =>
  Grow.params(params(net), to[net], net, { from: small.config, to: to.config }, 1)
const tensors = (flat: Params): Flat.Flat<tf.Tensor> =>
  Flat.map(flat, (array) => {
    const { data, shape } = Layout.toCompute(array)
    return tf.tensor(data, [...shape])
  })
const z = tf.tensor2d(Rng.normal(Rng.at(0, "z"), [4, 5]).data, [4, 5])
const y = tf.tensor1d([0, 1, 1, 0], "int32")

describe("a GP-GAN of twice the resolution", () => {
  test("has every trained array at its distance from the image, and the large network's shapes", () => {
    for (const net of ["generator", "discriminator"] as const) {
      const arrays = grown(net)
      expect(Flat.map(arrays, ({ shape }) => [...shape])).toEqual(Flat.map(large[net], ({ shape }) => [...shape]))
    }
    const moved = grown("generator")["resnet_3_1.conv_1.weight"]
    expect(moved?.data).toEqual(params("generator")["resnet_2_1.conv_1.weight"]?.data)
  })

  test("generates what the trained blocks make of the enlarged first features", () => {
    const p = tensors(params("generator"))
    const first = GpGan.features(large.config, tensors(grown("generator")), { z, y }, 0)
    const blocks = GpGan.applyGeneratorBlocks(
      Flat.unflatten(p) as unknown as GpGan.Generator<tf.Tensor>,
      Ops.upsample2(first),
      0,
      GpGan.stages(small.config),
    )
    const images = large.generate(tensors(grown("generator")), { z, y })
    expect(Close.relative(images.dataSync(), blocks.dataSync())).toBeLessThan(1e-6)
  })

  test("discriminates by the trained features, averaged once more", () => {
    const x = tf.tensor4d(Rng.normal(Rng.at(0, "x"), [4, 32, 32, 3]).data, [4, 32, 32, 3])
    const ps = tensors(grown("discriminator"))
    const levels = GpGan.levels(large.config, ps, x)
    const [before, last] = levels.slice(-2) as [tf.Tensor4D, tf.Tensor4D]
    expect(Close.relative(last.dataSync(), Ops.avgPool3(before).dataSync())).toBeLessThan(1e-6)
  })

  test("can be wider too", () => {
    const wide = gan(32, 4, 8)
    const both = Widen.params(grown("generator"), wide.generator, 1)
    const images = large.generate(tensors(grown("generator")), { z, y })
    expect(Close.relative(wide.generate(tensors(both), { z, y }).dataSync(), images.dataSync())).toBeLessThan(1e-5)
  })

  test("a network whose widths still grow at the latent vector is refused by name", () => {
    const from = gan(16, 2, 64)
    const to = gan(32, 2, 64)
    const grow = () =>
      Grow.params(
        Leaf.initAll(from.generator, 3, "g"),
        to.generator,
        "generator",
        { from: from.config, to: to.config },
        1,
      )
    expect(grow).toThrow("keeps the widths of the layers, 2 to 8, or multiplies all of them")
  })
})
