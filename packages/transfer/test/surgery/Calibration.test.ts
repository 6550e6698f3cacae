import { Failure, Flat, Layout, Leaf } from "@adafm/core"
import * as Eager from "@adafm/engine/backends/Eager"
import { Gan, GpGan, Latents, SmallHead, type State } from "@adafm/gan"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as Calibration from "../../src/surgery/Calibration.ts"
import * as Graft from "../../src/surgery/Graft.ts"
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

/** Mean and deviation of each channel over all other axes, in float64. */
const moments = (x: tf.Tensor): { mean: number[]; deviation: number[] } => {
  const [data, channels] = [x.dataSync(), x.shape.at(-1)!]
  const n = data.length / channels
  const over = (f: (v: number, c: number) => number): number[] => {
    const sums = new Array<number>(channels).fill(0)
    data.forEach((v, i) => {
      sums[i % channels]! += f(v, i % channels) / n
    })
    return sums
  }
  const mean = over((v) => v)
  return { mean, deviation: over((v, c) => (v - mean[c]!) ** 2).map(Math.sqrt) }
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
  test("measures the source's features over latents, labels and pixels", async () => {
    const measured = await Calibration.measure(source, 1, await Eager.cpu(), { seed: 3, latents: 100 })
    tf.setBackend("cpu")
    const parts = [0, 1].map((n) => {
      const { z, y } = Flat.merge(
        Latents.draw(gan, 3, "calibration", n, 50),
        Latents.labels(gan, 3, "calibration", n, 50) as ReturnType<typeof Latents.draw>,
      )
      const inputs = { z: tf.tensor(z!.data, [50, 5]), y: tf.tensor(y!.data, [50], "int32") }
      return GpGan.features(config, tensors(source.generator), inputs, 1)
    })
    const expected = moments(tf.concat(parts, 0))
    expect(measured.latents).toBe(100)
    for (const what of ["mean", "deviation"] as const)
      for (const [c, value] of expected[what].entries()) expect(measured[what][c]).toBeCloseTo(value, 5)
  })

  test("gives a new head's features the mean and deviation that were measured, in every channel", () => {
    const start: Calibration.Config = {
      kind: "calibrated",
      latents: 100,
      mean: [1, -2, 0, 30, 0, 0, 5, 0],
      deviation: [3, 0.5, 20, 7, 1, 2, 4, 2.5],
    }
    const target = Gan.of({ ...small(), ...Calibration.scale(start) })
    const graft = Failure.orThrow(Graft.prepare(target, Failure.orThrow(planOf("adafm", target.config)), source))
    const params = Calibration.start(
      start,
      target.config as SmallHead.Config,
      Graft.params(target, graft, source, 0).generator,
    )
    const { z, ...noise } = Latents.draw(target, 0, "test", 0, 3)
    const features = SmallHead.features(target.config as SmallHead.Config, tensors(params), {
      z: tf.tensor(z!.data, [3, 5]),
      noise: Object.values(noise).map(({ data, shape }) => tf.tensor(data, [...shape])),
    })
    const { mean, deviation } = moments(features)
    for (const [c, value] of start.mean.entries()) expect(mean[c]).toBeCloseTo(value, 4)
    for (const [c, value] of start.deviation.entries()) expect(deviation[c]! / value).toBeCloseTo(1, 3)
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
