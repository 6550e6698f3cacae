import { Flat, Layout, Leaf, NdArray } from "@adafm/core"
import { Gan, GpGan, type State } from "@adafm/gan"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { describe, expect, test } from "vitest"
import * as Unconditional from "../src/Unconditional.ts"

const config = GpGan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 4, z_dim: 6, embed: 3, nlabels: 5 })
const source = Gan.of(config)
const networks: State.Networks = {
  generator: Leaf.initAll(source.generator, 1, "generator"),
  discriminator: Leaf.initAll(source.discriminator, 1, "discriminator"),
}
const view = Unconditional.of(config, networks)
const target = Gan.of({ ...config, nlabels: 1, embed: 1 })

const tensors = (params: State.Params): Record<string, tf.Tensor> =>
  Flat.map(params, (a) => {
    const { data, shape } = Layout.toCompute(a)
    return tf.tensor(data, [...shape])
  }) as Record<string, tf.Tensor>
const far = (a: tf.Tensor, b: tf.Tensor): number => tf.max(tf.abs(tf.sub(a, b))).arraySync() as number

describe("the unconditional view", () => {
  test("has exactly the parameters of the one-class network", () => {
    for (const net of ["generator", "discriminator"] as const) {
      expect(Flat.map(view[net], ({ shape }) => shape.join())).toEqual(
        Flat.map(target[net], ({ shape }) => shape.join()),
      )
    }
  })

  test("of a source whose classes are all alike is that source", () => {
    const row = [0.3, -1, 2]
    const alike = {
      generator: {
        ...networks.generator,
        "embedding.weight": NdArray.float32(
          [5, 3],
          [...Array(5)].flatMap(() => row),
        ),
      },
      discriminator: networks.discriminator,
    }
    const folded = Unconditional.of(config, alike)
    const z = tf.randomNormal([2, 6], 0, 1, "float32", 3)
    const conditional = source.generate(tensors(alike.generator), { z, y: tf.tensor1d([4, 1], "int32") })
    expect(far(target.generate(tensors(folded.generator), { z }), conditional)).toBeLessThan(1e-5)
  })

  test("judges with the mean of the class logits", () => {
    const x = tf.randomUniform([2, 16, 16, 3], -1, 1, "float32", 4)
    const all = GpGan.logits(config, tensors(networks.discriminator), x)
    expect(far(target.discriminate(tensors(view.discriminator), x), tf.mean(all, 1))).toBeLessThan(1e-5)
  })
})
