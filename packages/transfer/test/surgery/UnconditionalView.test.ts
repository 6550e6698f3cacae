import { Flat, Layout, Leaf, NdArray } from "@adafm/core"
import { Gan, GpGan, ResnetGan, type State } from "@adafm/gan"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { describe, expect, test } from "vitest"
import * as UnconditionalView from "../../src/surgery/UnconditionalView.ts"

const config = GpGan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 4, z_dim: 6, embed: 3, nlabels: 5 })
const source = Gan.of(config)
const networks: State.Networks = {
  generator: Leaf.initAll(source.generator, 1, "generator"),
  discriminator: Leaf.initAll(source.discriminator, 1, "discriminator"),
}
const view = UnconditionalView.of(config, networks)
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
    const folded = UnconditionalView.of(config, alike)
    const z = tf.randomNormal([2, 6], 0, 1, "float32", 3)
    const conditional = source.generate(tensors(alike.generator), { z, y: tf.tensor1d([4, 1], "int32") })
    expect(far(target.generate(tensors(folded.generator), { z }), conditional)).toBeLessThan(1e-5)
  })

  test("judges with the mean of the class logits", () => {
    const x = tf.randomUniform([2, 16, 16, 3], -1, 1, "float32", 4)
    const all = GpGan.logits(config, tensors(networks.discriminator), x)
    expect(far(target.discriminate(tensors(view.discriminator), x), tf.mean(all, 1))).toBeLessThan(1e-5)
  })

  test("for classes of the target makes of each what it makes of one, until their embeddings part", () => {
    const classes = Gan.of({ ...config, nlabels: 3 })
    const { generator, discriminator } = UnconditionalView.of(config, networks, { labels: 3 })
    const [z, y] = [tf.randomNormal([3, 6], 0, 1, "float32", 3), tf.tensor1d([2, 0, 1], "int32")]
    const one = target.generate(tensors(view.generator), { z })
    expect(far(classes.generate(tensors(generator), { z, y }), one)).toBeLessThan(1e-5)
    const judged = classes.discriminate(tensors(discriminator), one, y)
    expect(far(judged, target.discriminate(tensors(view.discriminator), one))).toBeLessThan(1e-5)
    const table = generator["embedding.weight"]!
    const parted = NdArray.float32(
      table.shape,
      table.data.map((v, i) => v + (i < 3 ? 0.3 * i : 0)),
    )
    const moved = classes.generate(tensors({ ...generator, "embedding.weight": parted }), { z, y })
    expect(far(tf.slice(moved, 1, 1), tf.slice(one, 1, 1))).toBeGreaterThan(1e-4)
    expect(far(tf.slice(moved, 0, 1), tf.slice(one, 0, 1))).toBeLessThan(1e-5)
  })

  test("of a source without classes gets embeddings that are wide enough, and begins as that source", () => {
    const single = Gan.of({ ...config, nlabels: 1, embed: 1 })
    const classes = Gan.of({ ...config, nlabels: 3, embed: 4 })
    const own = UnconditionalView.of({ ...config, nlabels: 1, embed: 1 }, view, { labels: 3, embed: 4, seed: 7 })
    const [z, y] = [tf.randomNormal([3, 6], 0, 1, "float32", 3), tf.tensor1d([2, 0, 1], "int32")]
    const expected = single.generate(tensors(view.generator), { z })
    expect(far(classes.generate(tensors(own.generator), { z, y }), expected)).toBeLessThan(1e-5)
    const rows = own.generator["embedding.weight"]!.data
    expect(rows.slice(0, 4)).not.toEqual(rows.slice(4, 8))
  })

  test("of a 256-px source, whose embedding is not normalised, does not normalise it either", () => {
    const sizes = { architecture: "resnet4", resolution: 64, nf: 1, z_dim: 3, embed: 2, nlabels: 2 } as const
    const lsun = Gan.of(Gan.Config.parse(sizes))
    const params = {
      generator: Flat.merge(Leaf.initAll(lsun.generator, 1, "generator"), {
        "embedding.weight": NdArray.float32([2, 2], [3, -1, 3, -1]),
      }),
      discriminator: Leaf.initAll(lsun.discriminator, 1, "discriminator"),
    }
    const folded = UnconditionalView.of(ResnetGan.Resnet4.parse(sizes), params)
    const z = tf.randomNormal([1, 3], 0, 1, "float32", 3)
    const one = Gan.of(Gan.Config.parse({ ...sizes, embed: 1, nlabels: 1 }))
    const conditional = lsun.generate(tensors(params.generator), { z, y: tf.tensor1d([1], "int32") })
    expect(far(one.generate(tensors(folded.generator), { z }), conditional)).toBeLessThan(1e-5)
  })
})
