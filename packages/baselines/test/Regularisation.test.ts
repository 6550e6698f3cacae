import { Flat, NdArray } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Eager from "@adafm/engine/backends/Eager"
import * as Onnx from "@adafm/engine/backends/Onnx"
import { Gan, Latents } from "@adafm/gan"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { describe, expect, test } from "vitest"
import * as Distillation from "../src/Distillation.ts"
import * as Ewc from "../src/Ewc.ts"
import * as L2sp from "../src/L2sp.ts"
import * as Regularisation from "../src/Regularisation.ts"

const scalar = (t: tf.Tensor): number => t.arraySync() as number
const now = { a: tf.tensor1d([1, 2]), b: tf.tensor1d([-1]) }
const before = { a: tf.tensor1d([0.5, 2]), b: tf.tensor1d([1]) }

/** G(z) = w·z + c, D(x) = v·x + u: all gradients have closed forms. */
const gan = Gan.of(
  Gan.Config.parse({
    architecture: "dcgan",
    image: [1, 1, 1],
    latent: { dim: 1 },
    generator: [
      { kind: "linear", path: "g", in: 1, out: 1 },
      { kind: "view", shape: [1, 1, 1] },
    ],
    discriminator: [{ kind: "conv", path: "d", in: 1, out: 1, kernel: 1 }, { kind: "flatten" }],
  }),
)
const [w, c, v, u] = [0.8, -0.3, 1.5, 0.2]
const networks = {
  generator: { "g.weight": NdArray.float32([1, 1], [w]), "g.bias": NdArray.float32([1], [c]) },
  discriminator: { "d.weight": NdArray.float32([1, 1, 1, 1], [v]), "d.bias": NdArray.float32([1], [u]) },
}

describe("L2-SP", () => {
  test("is half of α times the squared distance to the source", () => {
    expect(scalar(L2sp.penalty(0.1, now, before))).toBeCloseTo(0.05 * (0.25 + 4), 6)
  })

  test("stores the copied parameters of both networks and nothing else", () => {
    const anchored = { generator: ["g.weight"], discriminator: ["d.bias"] }
    expect(L2sp.constants(networks, anchored)).toEqual({
      "l2-sp/generator/g.weight": networks.generator["g.weight"],
      "l2-sp/discriminator/d.bias": networks.discriminator["d.bias"],
    })
  })
})

describe("EWC", () => {
  test("weights every squared distance by its Fisher information", () => {
    const fisher = { a: tf.tensor1d([2, 7]), b: tf.tensor1d([0.5]) }
    expect(scalar(Ewc.penalty(10, now, before, fisher))).toBeCloseTo(10 * (2 * 0.25 + 0.5 * 4), 5)
  })

  test.each([
    ["eager", () => Eager.cpu()],
    ["compiled", () => Onnx.create({ threads: 1 })],
  ] as const)(
    "computes the Fisher information as the mean squared gradient over the source's samples, %s",
    async (_, open) => {
      const given = { gan, networks, engine: (await open()) as Engine.Engine, seed: 4 }
      const found = await Ewc.fisher(given, ["g.weight", "g.bias"], 20)
      // L = log(1 + exp(-D(G(z)))): dL/dw = -σ(-D) v z, dL/dc = -σ(-D) v
      const gradients = Array.from({ length: 20 }, (_, i) => {
        const z = Latents.draw(gan, 4, "fisher", i, 1).z!.data[0]!
        const common = v / (1 + Math.exp(v * (w * z + c) + u))
        return [(common * z) ** 2, common ** 2] as const
      })
      const mean = (k: 0 | 1): number => gradients.reduce((sum, g) => sum + g[k], 0) / 20
      expect(found["g.weight"]!.data[0]).toBeCloseTo(mean(0), 5)
      expect(found["g.bias"]!.data[0]).toBeCloseTo(mean(1), 5)
    },
  )
})

describe("feature distillation", () => {
  test("is λ times the mean squared difference of features", () => {
    const value = Distillation.penalty(3, tf.tensor2d([[1, 2, 3]]), tf.tensor2d([[1, 0, 6]]))
    expect(scalar(value)).toBeCloseTo(3 * ((4 + 9) / 3), 5)
  })
})

test.each([{ kind: "l2-sp" }, { kind: "ewc", samples: 3 }, { kind: "distillation" }] as const)(
  "$kind is 0 at the source and positive when every parameter has moved",
  async (input) => {
    const config = Regularisation.Config.parse(input)
    const anchored = { generator: ["g.weight", "g.bias"], discriminator: ["d.weight", "d.bias"] }
    const constants = await Regularisation.constants(config, anchored, {
      gan,
      networks,
      engine: await Eager.cpu(),
      seed: 1,
    })
    const tensors = (arrays: Engine.Arrays): Record<string, tf.Tensor> =>
      Flat.map(arrays, ({ data, shape }) => tf.tensor(data as Float32Array, [...shape])) as Record<string, tf.Tensor>
    const { generatorLoss, discriminatorLoss } = Regularisation.extras(config, anchored, gan)
    const image = tf.fill([2, 1, 1, 1], 0.7) as tf.Tensor4D
    const cost = (moved: number): number => {
      const given = { state: tensors(constants), batch: {} }
      const [g, d] = [networks.generator, networks.discriminator].map((p) =>
        Flat.map(tensors(p), (t) => tf.add(t, moved)),
      )
      const logits = { real: tf.tensor1d([0, 0]), fake: tf.tensor1d([0, 0]) }
      const seen = { real: image, fake: image }
      return (
        (generatorLoss === undefined ? 0 : scalar(generatorLoss({ params: g!, images: image, ...given }))) +
        (discriminatorLoss === undefined
          ? 0
          : scalar(discriminatorLoss({ params: d!, resolved: d!, seen, logits, ...given })))
      )
    }
    expect(cost(0)).toBe(0)
    expect(cost(0.5)).toBeGreaterThan(1e-4)
  },
)
