import { Failure, Flat, Layout, Leaf } from "@adafm/core"
import * as Eager from "@adafm/engine/backends/Eager"
import * as Onnx from "@adafm/engine/backends/Onnx"
import { Gan, GpGan, Latents, SmallHead, type State } from "@adafm/gan"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as Calibration from "../../src/surgery/Calibration.ts"
import * as FeatureMoments from "../../src/surgery/FeatureMoments.ts"
import * as Graft from "../../src/surgery/Graft.ts"
import * as Plan from "../../src/surgery/Plan.ts"
import * as Recipe from "../../src/surgery/Recipe.ts"
import * as Target from "../../src/surgery/Target.ts"
import { planOf } from "./planOf.ts"

const config = GpGan.Config.parse({
  architecture: "gpgan",
  resolution: 32,
  nf: 2,
  nf_max: 8,
  z_dim: 5,
  embed: 3,
  nlabels: 4,
})
const gan = Gan.of(config)
const headOf = (recipe: string) => Failure.orThrow(Recipe.settle({ recipe }, config)).head
const source = {
  gan,
  generator: Leaf.initAll(gan.generator, 0, "generator"),
  discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
}
const small = (): SmallHead.Config => {
  const target = Target.of(config, { head: headOf("adafm") })
  if (target.architecture !== "gpgan-small-head") throw new Error("no small head")
  return target
}

/** Mean of each channel over all other axes, in float64. */
const meanOf = (x: ArrayLike<number>, channels: number): number[] => {
  const sums = new Array<number>(channels).fill(0)
  Array.from(x).forEach((v, i) => {
    sums[i % channels]! += (v * channels) / x.length
  })
  return sums
}

/** Mean and deviation of each channel: the deviation of all values, or the average of each sample's. */
const moments = (x: tf.Tensor, over: FeatureMoments.Over = "all"): { mean: number[]; deviation: number[] } => {
  const [data, channels] = [x.dataSync(), x.shape.at(-1)!]
  const squares = (part: ArrayLike<number>): number[] => {
    const mean = meanOf(part, channels)
    return meanOf(
      Array.from(part, (v, i) => (v - mean[i % channels]!) ** 2),
      channels,
    )
  }
  const size = data.length / x.shape[0]!
  const samples = Array.from({ length: x.shape[0]! }, (_, b) => squares(data.subarray(b * size, (b + 1) * size)))
  const deviation = over === "all" ? squares(data).map(Math.sqrt) : meanOf(samples.flat().map(Math.sqrt), channels)
  return { mean: meanOf(data, channels), deviation }
}

const tensors = (params: State.Params) =>
  Flat.map(params, (array) => {
    const { data, shape } = Layout.toCompute(array)
    return tf.tensor(data, [...shape], "float32")
  })

beforeAll(async () => {
  await Eager.cpu()
  tf.setBackend("cpu")
})

test("the default recipe keeps min(4, S) groups below a head of S + 1 - m style blocks", () => {
  const of = (resolution: 16 | 32 | 64 | 128 | 256, keep?: number) => {
    const target = Target.of({ ...config, resolution }, { head: "small", ...(keep !== undefined && { keep }) })
    return target.architecture === "gpgan-small-head" ? target.head_blocks : undefined
  }
  expect([16, 32, 64, 128, 256].map((size) => of(size as 16))).toEqual([1, 1, 1, 2, 3])
  expect([1, 2, 3].map((m) => of(32, m))).toEqual([3, 2, 1])
  expect(() => of(32, 4)).toThrow("a small head needs 1 to 3 kept groups below it")
  expect(headOf("g3d2-adafm")).toBe("gp")
})

describe("a calibrated graft", () => {
  test.each(FeatureMoments.OVER)(
    "measures the source's features over latents and labels: deviation over `%s`",
    async (over) => {
      const at = FeatureMoments.atGraft(config, 1)
      const options = { seed: 3, latents: 100, over }
      const measured = await FeatureMoments.measure(source, at, await Eager.cpu(), options)
      tf.setBackend("cpu")
      const parts = [0, 1].map((n) => {
        const { z, y } = Flat.merge(
          Latents.draw(gan, 3, "calibration", n, 50),
          Latents.labels(gan, 3, "calibration", n, 50) as ReturnType<typeof Latents.draw>,
        )
        const inputs = { z: tf.tensor(z!.data, [50, 5]), y: tf.tensor(y!.data, [50], "int32") }
        return GpGan.features(config, tensors(source.generator), inputs, 1)
      })
      const expected = moments(tf.concat(parts, 0), over)
      expect(measured.latents).toBe(100)
      for (const what of ["mean", "deviation"] as const)
        for (const [c, value] of expected[what].entries()) expect(measured[what][c]).toBeCloseTo(value, 5)
    },
  )

  /** Features of a new head that is calibrated for a source with these ones. */
  const begun = async (norm: SmallHead.Norm, latents: number) => {
    const [mean, deviation] = [
      [1, -2, 0, 30, 0, 0, 5, 0],
      [3, 0.5, 20, 7, 1, 2, 4, 2.5],
    ]
    const over = norm === "authors" ? "sample" : "all"
    const first: Calibration.Config = { kind: "calibrated", latents: 100, mean, deviation, over }
    const own = { ...small(), head_norm: norm, ...Calibration.scale(first) }
    const target = Gan.of(own)
    const graft = Failure.orThrow(Graft.prepare(target, Failure.orThrow(planOf("adafm", target.config)), source))
    const { generator } = Graft.params(target, graft, source, 0)
    const start = await Calibration.complete(
      { start: first, norm, config: own },
      { gan: target, generator },
      { seed: 5, engine: await Onnx.create({ threads: 1 }) },
    )
    tf.setBackend("cpu")
    const params = tensors(Calibration.start(start, own, generator))
    const { z, ...noise } = Latents.draw(target, 0, "test", 0, latents)
    const features = SmallHead.features(own, params, {
      z: tf.tensor(z!.data, [latents, 5]),
      noise: Object.values(noise).map(({ data, shape }) => tf.tensor(data, [...shape])),
    })
    return { start, expected: { mean, deviation }, found: moments(features, over) }
  }

  test("gives every sample of the authors' norm the mean and contrast that were measured, in every channel", async () => {
    const { start, expected, found } = await begun("authors", 3)
    expect(start.head).toBeUndefined()
    for (const [c, value] of expected.mean.entries()) expect(found.mean[c]).toBeCloseTo(value, 4)
    for (const [c, value] of expected.deviation.entries()) expect(found.deviation[c]! / value).toBeCloseTo(1, 3)
  })

  test("gives the samples of a measured norm the mean and deviation that were measured, up to the error of drawing them", async () => {
    const { start, expected, found } = await begun("measured", 300)
    expect(start.head!.mean).toHaveLength(8)
    // 300 other latents than those that were measured
    for (const [c, value] of expected.mean.entries())
      expect(Math.abs(found.mean[c]! - value) / expected.deviation[c]!).toBeLessThan(0.15)
    for (const [c, value] of expected.deviation.entries())
      expect(Math.abs(found.deviation[c]! / value - 1)).toBeLessThan(0.15)
  })

  test("trains scale and shift of the last layer in proportion to their size; the first version did not", () => {
    const one = { kind: "calibrated", latents: 1, mean: [0, 0], deviation: [1, 3], over: "all" } as const
    const rate = (start: Calibration.Config): number => Calibration.rate(start, Calibration.scale(start))
    expect(rate(one)).toBe(0.002)
    expect(rate({ kind: "authors" })).toBe(1)
    const { over: _, ...first } = one
    expect(rate(first)).toBe(1)
    for (const recipe of ["adafm", "scratch"]) {
      const plan = Failure.orThrow(planOf(recipe, small(), {}, {}, { headRate: 0.002 }))
      const { rule } = Plan.find(plan.generator)("small_H.beta")!
      expect(rule).toMatchObject({ value: "fresh", fate: "train", lr: 0.002 })
      expect(Plan.find(plan.generator)("small_H.norm.weight")!.rule.lr).toBeUndefined()
    }
  })

  test("passes gradients in the authors' proportion: 0.01 at 1000", () => {
    const start = { kind: "calibrated", latents: 1, mean: [0, 0], deviation: [1, 3] } as const
    expect(Calibration.scale(start)).toEqual({ head_scale: 2, head_gradient: 2e-5 })
    expect(Calibration.scale({ kind: "authors" })).toEqual({ head_scale: 1000, head_gradient: 0.01 })
    expect(Calibration.scale({ ...start, deviation: [1000, 1000] }).head_gradient).toBeCloseTo(0.01, 12)
    expect(Calibration.scale(start, 0.5)).toEqual({ head_scale: 2, head_gradient: 1 })
    expect(() => Calibration.scale({ ...start, deviation: [0, 0] })).toThrow("the same for every latent")
  })
})
