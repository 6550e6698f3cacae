import { Layout, Leaf, Optimizer } from "@adafm/core"
import * as Eager from "@adafm/engine/backends/Eager"
import { expect, test } from "vitest"
import * as Dcgan from "../src/architectures/Dcgan.ts"
import * as GpGan from "../src/architectures/GpGan.ts"
import * as SmallHead from "../src/architectures/SmallHead.ts"
import type { Gan } from "../src/Gan.ts"
import * as AveragedStatistics from "../src/training/AveragedStatistics.ts"
import * as State from "../src/training/State.ts"
import type * as Step from "../src/training/Step.ts"

const setupOf = (gan: Gan): Step.Setup => ({
  gan,
  batchSize: 64,
  optimizer: { generator: Optimizer.adam, discriminator: Optimizer.adam },
  penalty: { mode: "none", weight: 0 },
  ema: { decay: 0.999, ramp: true },
  trainable: {
    generator: [{ name: "all", paths: Object.keys(gan.generator).filter((path) => path.endsWith("weight")), from: 0 }],
    discriminator: [],
  },
})
const networksOf = (gan: Gan): State.Networks => ({
  generator: Leaf.initAll(gan.generator, 0, "generator"),
  discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
})

test("the averaged generator's statistics are those of its own features", async () => {
  const gan = Dcgan.of(Dcgan.Config.parse(Dcgan.standard({ resolution: 16, nf: 2, z_dim: 8 })))
  const setup = setupOf(gan)
  const initial = State.initial(setup, networksOf(gan))
  // average weights that are half the trained ones, with the trained ones' statistics
  const path = "generator_ema/main.0.weight"
  const weight = initial[path]!
  const state = {
    ...initial,
    [path]: { ...weight, data: Float32Array.from(weight.data, (x) => x / 2) },
  } as typeof initial
  const measurement = AveragedStatistics.open(setup, await Eager.cpu(), 3)
  const measured = await measurement.of(state)
  await measurement.dispose()

  // features of the first layer are Σ z_i w_i with z ~ N(0, 1): mean 0, variance Σ w_i², averaged over places
  const { data, shape } = Layout.toFile(state[path] as Parameters<typeof Layout.toFile>[0])
  const [inputs, channels, height, width] = shape as [number, number, number, number]
  const places = height * width
  const mean = measured["generator_ema/main.1.running_mean"]!.data
  const variance = measured["generator_ema/main.1.running_var"]!.data
  for (let c = 0; c < channels; c++) {
    let sum = 0
    for (let i = 0; i < inputs; i++) for (let p = 0; p < places; p++) sum += data[(i * channels + c) * places + p]! ** 2
    // of 19 batches' worth of latents that the running average remembers; 1 % is left of the old variance, 1
    expect(Math.abs(mean[c]! / Math.sqrt(sum / places))).toBeLessThan(0.15)
    expect(Math.abs((variance[c]! - 0.01) / (sum / places) - 1)).toBeLessThan(0.15)
  }
  const others = Object.keys(measured).filter((name) => measured[name] !== state[name])
  expect(others.every((name) => /^generator_ema\/.*running_(mean|var)$/.test(name))).toBe(true)
  expect(await measurement.of(state)).toEqual(measured)
  await measurement.dispose()
})

const sizes = { resolution: 16, nf: 1, nf_max: 2, z_dim: 3, embed: 2, nlabels: 2 }
test.each([
  ["GP-GAN", GpGan.of(GpGan.Config.parse({ architecture: "gpgan", ...sizes }))],
  [
    "a small head with measured constants",
    SmallHead.of(
      SmallHead.Config.parse({ architecture: "gpgan-small-head", ...sizes, head_norm: "measured", style_dim: 4 }),
    ),
  ],
])("a generator without batch norm is left alone: %s", async (_, gan) => {
  const state = State.initial(setupOf(gan), networksOf(gan))
  const measurement = AveragedStatistics.open(setupOf(gan), await Eager.cpu(), 3)
  expect(await measurement.of(state)).toBe(state)
  await measurement.dispose()
})
