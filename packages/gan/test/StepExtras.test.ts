import { Flat, Layout, Leaf, NdArray, Optimizer, Rng } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Eager from "@adafm/engine/backends/Eager"
import * as tf from "@tensorflow/tfjs-core"
import { expect, test } from "vitest"
import * as GpGan from "../src/architectures/GpGan.ts"
import type { Images } from "../src/Network.ts"
import * as State from "../src/training/State.ts"
import * as Step from "../src/training/Step.ts"
import type { StepExtras } from "../src/training/StepExtras.ts"
import * as TrainingLoop from "../src/training/TrainingLoop.ts"

const gan = GpGan.of(GpGan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 1, nf_max: 2, z_dim: 3 }))
const networks: State.Networks = {
  generator: Leaf.initAll(gan.generator, 0, "generator"),
  discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
}
const setup = (extras: StepExtras = {}): Step.Setup => ({
  gan,
  batchSize: 2,
  optimizer: { generator: Optimizer.adam, discriminator: Optimizer.adam },
  penalty: { mode: "real", weight: 10 },
  ema: { decay: 0.999, ramp: true },
  trainable: {
    generator: [{ name: "head", paths: ["fc.weight"], from: 0 }],
    discriminator: [{ name: "top", paths: ["fc.weight"], from: 0 }],
  },
  recordGradients: true,
  extras,
})

const images = async (step: number): Promise<Engine.Arrays> => ({
  x: Rng.uniform(Rng.at(1, "x", step), [2, 16, 16, 3], -1, 1),
})

/** One step: its stats, and the gradients that Adam without momentum records. */
const first = async (given: Step.Setup) => {
  const state = State.initial(given, networks)
  const batch = await TrainingLoop.batchAt({ setup: given, seed: 0, batches: images }, 0)
  const program = await (await Eager.cpu()).compile(Step.make(given, 0), State.specs(state, batch))
  program.write(state)
  const stats = await program.run(batch)
  const next = await program.read()
  await program.dispose()
  return { stats, gradient: next["g_adam_m/fc.weight"]!.data as Float32Array, next }
}

/** L2-SP: the gradient of ½ Σ (p - p₀)² at p is p - p₀, here with p₀ = 0. */
test("an additional loss can compare parameters with constants of the state", async () => {
  const anchor = Flat.map({ "anchor/fc.weight": networks.generator["fc.weight"]! }, ({ shape }) =>
    NdArray.zeros("float32", shape),
  )
  const pulled = setup({
    constants: anchor,
    generatorLoss: ({ params, state }) =>
      tf.mul(tf.sum(tf.square(tf.sub(params["fc.weight"]!, state["anchor/fc.weight"]!))), 0.5),
  })
  const [plain, extra] = [await first(setup()), await first(pulled)]
  for (const [i, weight] of networks.generator["fc.weight"]!.data.entries())
    expect(extra.gradient[i]! - plain.gradient[i]!).toBeCloseTo(weight, 5)
  expect(extra.stats.g_loss).toEqual(plain.stats.g_loss)
  expect(extra.next["anchor/fc.weight"]).toEqual(anchor["anchor/fc.weight"])
})

/** The augmentation is brightness, so the logits must be those of brighter images. */
test("an augmentation reads its own inputs and is applied before the discriminator", async () => {
  const seen: string[] = []
  const brighter = setup({
    inputs: (step) => ({ shift: Rng.uniform(Rng.at(5, "shift", step), []) }),
    augment: (images, { batch }, which) => {
      seen.push(which)
      return tf.add(images, batch.shift!) as Images
    },
  })
  const { stats } = await first(brighter)
  expect([...new Set(seen)].sort()).toEqual(["fake", "real"])

  const shift = Rng.uniform(Rng.at(5, "shift", 0), []).data[0]!
  const { x } = (await images(0)) as { x: NdArray.NdArray<"float32"> }
  const logit = tf.tidy(() => {
    const params = Flat.map(networks.discriminator, (array) => {
      const { data, shape } = Layout.toCompute(array)
      return tf.tensor(data, [...shape])
    })
    return tf.mean(gan.discriminate(params, tf.add(tf.tensor(x.data, [...x.shape]), shift))).dataSync()[0]
  })
  expect(stats.logit_real!.data[0]).toBeCloseTo(logit!, 5)
})

test("a step leaks no tensor", async () => {
  const given = setup()
  const state = State.initial(given, networks)
  const program = await (await Eager.cpu()).compile(
    Step.make(given, 0),
    State.specs(state, await TrainingLoop.batchAt({ setup: given, seed: 0, batches: images }, 0)),
  )
  program.write(state)
  const counts: number[] = []
  for (let step = 0; step < 3; step++) {
    await program.run(await TrainingLoop.batchAt({ setup: given, seed: 0, batches: images }, step))
    counts.push(tf.memory().numTensors)
  }
  expect(counts[1]).toBe(counts[0])
  expect(counts[2]).toBe(counts[0])
  await program.dispose()
})
