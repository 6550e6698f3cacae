import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Flat, Grad, Leaf, NdArray, Optimizer, Rng } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Onnx from "@adafm/engine/backends/Onnx"
import { Close } from "@adafm/testkit"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { describe, expect, test } from "vitest"
import * as GpGan from "../src/architectures/GpGan.ts"
import * as Ada from "../src/augmentation/Ada.ts"
import * as RunFolder from "../src/folders/RunFolder.ts"
import type { Images } from "../src/Network.ts"
import * as TrainingLoop from "../src/training/TrainingLoop.ts"

const SIZE = 8
const images = (seed: number, batch = 2): Images => {
  const { shape, data } = Rng.uniform(Rng.at(seed, "x"), [batch, SIZE, SIZE, 3], -1, 1)
  return tf.tensor4d(data, shape as Images["shape"])
}
const far = (a: tf.Tensor, b: tf.Tensor): number => tf.max(tf.abs(tf.sub(a, b))).arraySync() as number

/** mirror, turned, flip rows, flip columns, down, right, scale, aspect, fraction down, right, brightness, contrast, luma, cos, sin, saturation */
const NEUTRAL = [1, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1]
const column = { mirror: 0, turned: 1, flipRows: 2, down: 4, scale: 6, brightness: 10, contrast: 11, luma: 12, cos: 13 }
const drawn = (changes: Readonly<Record<number, number>>, batch = 2): tf.Tensor =>
  tf.tensor2d(Array.from({ length: batch }, () => NEUTRAL.map((value, i) => changes[i] ?? value)))
const open = (x: Images, changes: Readonly<Record<number, number>>): Images =>
  Ada.apply(x, drawn(changes), tf.zeros([2, 16]), tf.scalar(1))

const options: Ada.Options = { config: { target: 0.6, thousands: 100 }, size: SIZE, batch: 2, seed: 3 }
const { inputs, augment } = Ada.extras(options)
const tensors = (arrays: Engine.Arrays): Record<string, tf.Tensor> =>
  Flat.map(arrays, ({ data, shape }) => tf.tensor(data as Float32Array, [...shape])) as Record<string, tf.Tensor>

describe("the transforms of ADA", () => {
  test("at probability 0 leave every image unchanged", () => {
    const x = images(1)
    const at = { state: { "ada/p": tf.scalar(0) }, batch: tensors(inputs!(5)) }
    expect(far(augment!(x, at, "real"), x)).toBeLessThan(1e-6)
  })

  test("change an image only if its gate is below p", () => {
    const x = images(2)
    const gates = tf.tensor2d([0.4, 0.6].map((u) => Array.from({ length: 16 }, () => u)))
    const moved = Ada.apply(x, drawn({ [column.brightness]: 0.25 }), gates, tf.scalar(0.5))
    const [first, second] = tf.split(tf.sub(moved, x), 2) as [tf.Tensor, tf.Tensor]
    expect(far(first, tf.fill(first.shape, 0.25))).toBeLessThan(1e-6)
    expect(far(second, tf.zerosLike(second))).toBeLessThan(1e-6)
  })

  test("mirror, rotate by 90° and shift by whole pixels without changing a value; the border is filled by reflection", () => {
    const x = images(3)
    expect(far(open(x, { [column.mirror]: -1 }), tf.reverse(x, 2))).toBeLessThan(1e-6)
    // a quarter turn: transposed, then flipped
    const turned = open(x, { [column.turned]: 1, [column.flipRows]: -1 })
    expect(far(turned, tf.reverse(tf.transpose(x, [0, 2, 1, 3]), 1))).toBeLessThan(1e-6)
    const down = open(x, { [column.down]: 2 })
    const expected = tf.concat(
      [tf.reverse(tf.slice(x, [0, 0, 0, 0], [2, 2, SIZE, 3]), 1), tf.slice(x, [0, 0, 0, 0], [2, SIZE - 2, SIZE, 3])],
      1,
    )
    expect(far(down, expected)).toBeLessThan(1e-5)
  })

  test("scaling by 2 enlarges the middle of an image: a ramp stays a ramp with half the slope", () => {
    const ramp = tf.tile(tf.reshape(tf.range(0, SIZE), [1, 1, SIZE, 1]), [2, SIZE, 1, 3]) as Images
    const wide = open(ramp, { [column.scale]: 2 })
    // pixel c shows what is at 3.5 + (c - 3.5)/2
    const expected = tf.tile(tf.reshape(tf.add(tf.mul(tf.range(0, SIZE), 0.5), 1.75), [1, 1, SIZE, 1]), [2, SIZE, 1, 3])
    expect(far(wide, expected)).toBeLessThan(1e-5)
  })

  test("of colour are the authors' matrices: contrast, luma flip, a hue rotation by 120° that permutes the channels", () => {
    const x = images(4)
    expect(far(open(x, { [column.contrast]: 2 }), tf.mul(x, 2))).toBeLessThan(1e-5)
    const grey = tf.mean(x, 3, true)
    expect(far(open(x, { [column.luma]: -1 }), tf.sub(x, tf.mul(grey, 2)))).toBeLessThan(1e-5)
    const [r, g, b] = tf.split(x, 3, 3) as [tf.Tensor, tf.Tensor, tf.Tensor]
    const turned = open(x, { [column.cos]: Math.cos((2 * Math.PI) / 3), [column.cos + 1]: Math.sin((2 * Math.PI) / 3) })
    expect(far(turned, tf.concat([b, r, g], 3))).toBeLessThan(1e-5)
    expect(far(open(x, { [column.cos + 2]: 0 }), tf.add(tf.zerosLike(x), grey))).toBeLessThan(1e-5)
  })

  test("of colour leave transparency alone, and treat grey images as RGB whose channels are equal", () => {
    const changes = { [column.brightness]: 0.2, [column.contrast]: 1.5, [column.luma]: -1 }
    const shape = [2, 4, 4, 1] as const
    const grey = tf.tensor4d(
      Float32Array.from({ length: 32 }, (_, i) => Math.sin(i)),
      [...shape],
    )
    const rgb = tf.concat([grey, grey, grey], 3) as Images
    const changed = open(grey, changes)
    const [coloured, transparent] = [rgb, tf.concat([rgb, grey], 3) as Images].map((x) => open(x, changes))
    expect(Close.relative(tf.concat([changed, changed, changed], 3).dataSync(), coloured!.dataSync())).toBeLessThan(
      1e-6,
    )
    expect(tf.slice(transparent!, [0, 0, 0, 3], [...shape]).dataSync()).toEqual(grey.dataSync())
  })

  test("pass the gradient: it is the transpose of the transform of the image", () => {
    const [x, v, zero] = [images(5), images(6), tf.zeros([2, SIZE, SIZE, 3]) as Images]
    const batch = tensors(inputs!(1))
    const transform = (image: Images): tf.Tensor => augment!(image, { state: { "ada/p": tf.scalar(1) }, batch }, "fake")
    const { grads } = Grad.valueAndGrads((p) => ({ loss: tf.sum(tf.mul(transform(p.x as Images), v)) }), { x })
    const linear = tf.sub(transform(x), transform(zero)) // brightness adds a constant
    expect(tf.sum(tf.mul(x, grads.x!)).arraySync() as number).toBeCloseTo(
      tf.sum(tf.mul(linear, v)).arraySync() as number,
      3,
    )
    expect(tf.max(tf.abs(grads.x!)).arraySync()).toBeGreaterThan(0)
  })

  test("do not leak: the draws for reals and fakes have one distribution, which leaves an image unchanged with probability (1 - p)¹¹ at least", () => {
    const draws = { real: [0, 0], fake: [0, 0] }
    for (let step = 0; step < 500; step++)
      for (const which of ["real", "fake"] as const) {
        const { data } = inputs!(step)[`ada/${which}/gates`] as NdArray.NdArray<"float32">
        for (let i = 0; i < 2; i++) if (data.subarray(16 * i, 16 * i + 16).every((u) => u >= 0.1)) draws[which][0]!++
        draws[which][1]! += 2
      }
    // 0.9¹¹ = 0.314; the share among 1,000 images has a standard deviation of 0.015
    expect(draws.real[0]! / draws.real[1]!).toBeCloseTo(0.9 ** 11, 1)
    expect(Math.abs(draws.real[0]! - draws.fake[0]!) / draws.real[1]!).toBeLessThan(0.1)
  })
})

describe("the probability of ADA", () => {
  const run = (signs: readonly number[], target: number, from = 0): readonly number[] => {
    let [p, sum] = [tf.scalar(from) as tf.Tensor, tf.scalar(0) as tf.Tensor]
    return signs.map((sign, step) => {
      const last = tf.scalar((step + 1) % 4 === 0 ? 1 : 0)
      const next = Ada.tune({ target, thousands: 100 }, 16, tf.fill([16], sign), { p, sum, last })
      p = next.p
      sum = next.sum
      return p.arraySync() as number
    })
  }
  const step = (16 * 4) / 100_000

  test.each([
    { name: "increases if the discriminator is confident on reals", signs: [1, 1, 1, 1], from: 0, expected: step },
    { name: "decreases if it is not", signs: [1, -1, 1, -1], from: 0.5, expected: 0.5 - step },
    { name: "is never negative", signs: [-1, -1, -1, -1], from: 0, expected: 0 },
    {
      name: "compares the mean of four iterations: three positive signs of four make 0.5, which is below 0.6",
      signs: [1, 1, 1, -1],
      from: 0.5,
      expected: 0.5 - step,
    },
  ])("$name, by batch · 4 / 100,000", ({ signs, from, expected }) => {
    expect(run(signs, 0.6, from).at(-1)).toBeCloseTo(expected, 6)
  })

  test("changes only in every fourth iteration", () => {
    const p = run([1, 1, 1, 1, 1, 1, 1, 1, 1], 0.6)
    for (const [i, expected] of [0, 0, 0, step, step, step, step, 2 * step, 2 * step].entries())
      expect(p[i]).toBeCloseTo(expected, 6)
  })

  test("is in the checkpoint: on the compiled engine an interrupted run equals the uninterrupted one bit for bit", async () => {
    const gan = GpGan.of(GpGan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, nf_max: 4, z_dim: 3 }))
    const all = (net: "generator" | "discriminator") => ({ name: "all", paths: Object.keys(gan[net]), from: 0 })
    const engine = await Onnx.create({ threads: 1 })
    const job = (steps: number, folder?: string): TrainingLoop.Job => ({
      setup: {
        gan,
        batchSize: 4,
        optimizer: { generator: Optimizer.adam, discriminator: Optimizer.adam },
        penalty: { mode: "real", weight: 1 },
        ema: { decay: 0.999, ramp: true },
        trainable: { generator: [all("generator")], discriminator: [all("discriminator")] },
        // at first half of all gates are open; after four iterations a quarter, because the new D is not confident on reals
        extras: {
          ...Ada.extras({ config: { target: 0.6, thousands: 0.064 }, size: 16, batch: 4, seed: 3 }),
          moving: { "ada/p": NdArray.scalar(0.5), "ada/signs": NdArray.scalar(0) },
        },
      },
      engine,
      networks: {
        generator: Leaf.initAll(gan.generator, 0, "generator"),
        discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
      },
      steps,
      seed: 7,
      batches: async (step) => ({ x: Rng.uniform(Rng.at(1, "x", step), [4, 16, 16, 3], -1, 1) }),
      ...(folder !== undefined && { folder }),
    })
    const folder = await mkdtemp(join(tmpdir(), "adafm-ada-"))
    try {
      const unbroken = await Failure.orThrow(TrainingLoop.run(job(7)))
      for (const steps of [3, 5, 7]) await Failure.orThrow(TrainingLoop.run(job(steps, folder)))
      const resumed = await Failure.orThrow(RunFolder.readCheckpoint(folder, 7))
      expect(Flat.map(resumed, ({ data }) => [...data])).toEqual(Flat.map(unbroken.state, ({ data }) => [...data]))
      expect(resumed["ada/p"]!.data[0]).toBeCloseTo(0.25, 6)
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
