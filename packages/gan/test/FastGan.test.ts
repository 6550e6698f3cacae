import "@tensorflow/tfjs-backend-cpu"
import { createHash } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { BatchNorm, Failure, Flat, Layout, Leaf, NdArray, Optimizer, Rng } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Onnx from "@adafm/engine/backends/Onnx"
import { Close } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { describe, expect, test } from "vitest"
import * as FastDiscriminator from "../src/architectures/FastDiscriminator.ts"
import * as FastGan from "../src/architectures/FastGan.ts"
import * as DiffAugment from "../src/augmentation/DiffAugment.ts"
import * as RunFolder from "../src/folders/RunFolder.ts"
import * as Latents from "../src/Latents.ts"
import * as Hinge from "../src/losses/Hinge.ts"
import type * as Step from "../src/training/Step.ts"
import * as StepExtras from "../src/training/StepExtras.ts"
import * as TrainingLoop from "../src/training/TrainingLoop.ts"

const small = (resolution: 32 | 64 | 128 | 256 = 32) =>
  FastGan.of(FastGan.Config.parse({ architecture: "fastgan", resolution, ngf: 2, ndf: 2, decoder: 1, z_dim: 4 }))

const initial = (gan: ReturnType<typeof small>) => ({
  generator: Leaf.initAll(gan.generator, 0, "generator"),
  discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
})

const tensors = (params: Flat.Flat<NdArray.NdArray<"float32">>): Flat.Flat<tf.Tensor> =>
  Flat.map(params, (array) => {
    const { data, shape } = Layout.toCompute(array)
    return tf.tensor(data, [...shape], "float32")
  })

const values = (t: tf.Tensor): Float32Array => t.dataSync() as Float32Array

const inputsOf = (gan: ReturnType<typeof small>, count: number) => {
  const drawn = Latents.draw(gan, 3, "test", 0, count)
  const tensor = ({ data, shape }: NdArray.NdArray<"float32">): tf.Tensor => tf.tensor(data, [...shape])
  return { z: tensor(drawn.z!), noise: gan.noise.map((_, k) => tensor(drawn[`noise/${k}`]!)) }
}

describe("a FastGAN", () => {
  test.each([32, 64, 128, 256] as const)(
    "of %i px makes images, and judges 5 × 5 patches of two sizes",
    (resolution) => {
      const gan = small(resolution)
      const { generator, discriminator } = initial(gan)
      const images = gan.generate(tensors(generator), inputsOf(gan, 2))
      expect(images.shape).toEqual([2, resolution, resolution, 3])
      const params = tensors(discriminator)
      const judged = gan.patches!.judge(params, { real: tf.neg(images), fake: images }, tf.tensor1d([0, 0, 1, 0]))
      expect([judged.real.shape, judged.fake.shape]).toEqual([
        [2, 50],
        [2, 50],
      ])
      expect(judged.reconstruction!.dataSync()[0]).toBeGreaterThan(0)
      const logits = FastDiscriminator.logits(gan.config, params, images, "stored")
      const mean = gan.discriminate(params, images, undefined, "stored")
      expect(Close.relative(values(mean), values(tf.mean(logits, 1)))).toBeLessThan(1e-5)
    },
  )

  test("has the authors' names and widths at 256 px", () => {
    const { generator, discriminator } = FastGan.of(
      FastGan.Config.parse({ architecture: "fastgan", resolution: 256, ngf: 64, ndf: 64, decoder: 32 }),
    )
    // models.py of the authors: nfc = 16, 8, 4, 2, 2, 1, ½ times 64 from 4 to 256 px
    expect(generator["feat_8.1.weight"]!.shape).toEqual([1024, 1024, 3, 3])
    expect(generator["feat_256.1.weight"]!.shape).toEqual([64, 64, 3, 3])
    expect(generator["se_256.main.1.weight"]!.shape).toEqual([32, 256, 4, 4])
    expect(discriminator["down_64.main.0.weight"]!.shape).toEqual([512, 256, 4, 4])
    expect(discriminator["se_2_16.main.1.weight"]!.shape).toEqual([128, 16, 4, 4])
    expect(discriminator["decoder_part.main.4.1.weight"]!.shape).toEqual([64, 64, 3, 3])
  })

  test("samples with stored statistics: an image does not depend on the others of its batch", () => {
    const gan = small()
    const params = tensors(initial(gan).generator)
    const { z, noise } = inputsOf(gan, 3)
    const all = gan.generate(params, { z, noise })
    const first = (t: tf.Tensor): tf.Tensor => tf.slice(t, Array(t.rank).fill(0), [1, ...t.shape.slice(1)])
    const alone = gan.generate(params, { z: first(z), noise: noise.map(first) })
    expect(Close.relative(values(alone), values(first(all)))).toBeLessThan(1e-5)
  })
})

describe("batch norm in few passes", () => {
  test("equals the ordinary one, with its statistics", () => {
    const x = tf.tensor(Rng.normal(Rng.at(0, "x", 0), [4, 3, 3, 5], 2, 3).data, [4, 3, 3, 5])
    const p = Flat.unflatten(
      tensors(Leaf.initAll(Leaf.flatten(BatchNorm.spec(5)), 0, "norm")),
    ) as unknown as BatchNorm.BatchNorm<tf.Tensor>
    const [fused, plain] = [BatchNorm.applyBatchFused(p, x), BatchNorm.applyBatch(p, x)]
    const close = (a: tf.Tensor, b: tf.Tensor): void => expect(Close.relative(values(a), values(b))).toBeLessThan(1e-5)
    close(fused.y, plain.y)
    close(fused.running.running_mean, plain.running.running_mean)
    close(fused.running.running_var, plain.running.running_var)
  })
})

describe("a training of a FastGAN", () => {
  const everything = (leaves: Flat.Flat<Leaf.Leaf>): Step.Group => ({
    name: "all",
    from: 0,
    paths: Object.keys(Flat.filter(leaves, (_, { role }) => role === "parameter")),
  })
  const setup = (): Step.Setup => {
    const gan = small()
    const adam = { ...Optimizer.adam, learningRate: 2e-4, beta1: 0.5, beta2: 0.999 }
    const drawn = { size: 32, batch: 2, seed: 5 }
    const hinge = Hinge.Config.parse({ kind: "hinge" })
    return {
      gan,
      batchSize: 2,
      optimizer: { generator: adam, discriminator: adam },
      penalty: { mode: "none", weight: 0 },
      hinge,
      ema: { decay: 0.999, ramp: true },
      trainable: { generator: [everything(gan.generator)], discriminator: [everything(gan.discriminator)] },
      extras: StepExtras.combine(
        DiffAugment.extras({ policy: ["color", "translation"], ...drawn }),
        Hinge.extras(hinge, gan, drawn),
      ),
    }
  }

  test("resumes to the bit, and moves every parameter", async () => {
    const folder = await mkdtemp(join(tmpdir(), "adafm-fastgan-"))
    try {
      const [engine, own] = [await Onnx.create({ threads: 1 }), setup()]
      const networks = initial(own.gan as ReturnType<typeof small>)
      const job = (more: Partial<TrainingLoop.Job>): TrainingLoop.Job => ({
        setup: own,
        engine,
        networks,
        steps: 5,
        seed: 5,
        batches: async (step) => ({ x: Rng.uniform(Rng.at(1, "x", step), [2, 32, 32, 3], -1, 1) }),
        ...more,
      })
      const hash = (state: Engine.Arrays): string => {
        const digest = createHash("sha256")
        for (const path of Object.keys(state).sort()) digest.update(path).update(NdArray.toBytes(state[path]!))
        return digest.digest("hex")
      }
      const whole = await Failure.orThrow(TrainingLoop.run(job({})))
      await Failure.orThrow(TrainingLoop.run(job({ steps: 2, folder })))
      await Failure.orThrow(TrainingLoop.run(job({ folder })))
      expect(hash(await Failure.orThrow(RunFolder.readCheckpoint(folder, 5)))).toBe(hash(whole.state))
      const still = (["generator", "discriminator"] as const).flatMap((net) =>
        Object.entries(own.gan[net]).flatMap(([path, { role }]) => {
          const [now, before] = [whole.state[`${net}/${path}`]!, Layout.toCompute(networks[net][path]!)]
          return role === "parameter" && now.data.every((v, i) => v === before.data[i]) ? [`${net}/${path}`] : []
        }),
      )
      expect(still).toEqual([])
      expect(whole.state["generator_ema/feat_8.3.running_var"]!.data.every((v) => v !== 1)).toBe(true)
    } finally {
      await rm(folder, { recursive: true })
    }
  }, 120_000)
})
