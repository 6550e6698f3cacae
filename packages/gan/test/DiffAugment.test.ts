import { Flat, Grad, type NdArray, Rng } from "@adafm/core"
import "@tensorflow/tfjs-backend-cpu"
import { Close } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { describe, expect, test } from "vitest"
import * as DiffAugment from "../src/augmentation/DiffAugment.ts"
import type { Images } from "../src/Network.ts"

const SIZE = 16
const BATCH = 4
const options = (policy: DiffAugment.Policy): DiffAugment.Options => ({ policy, size: SIZE, batch: BATCH, seed: 1 })
const images = (seed: number): Images => {
  const { shape, data } = Rng.uniform(Rng.at(seed, "x"), [BATCH, SIZE, SIZE, 3], -1, 1)
  return tf.tensor4d(data, shape as Images["shape"])
}
const drawsAt = (policy: DiffAugment.Policy, step: number): Record<string, tf.Tensor> => {
  const inputs = Flat.under(DiffAugment.extras(options(policy)).inputs!(step), "augment/real")
  return Flat.map(inputs, ({ data, shape }) => tf.tensor(data, [...shape])) as Record<string, tf.Tensor>
}

describe("DiffAugment", () => {
  test("draws depend only on seed and step, and differ between reals and fakes", () => {
    const { inputs } = DiffAugment.extras(options(["color", "translation", "cutout"]))
    expect(inputs!(3)).toEqual(inputs!(3))
    expect(inputs!(3)).not.toEqual(inputs!(4))
    expect(inputs!(3)["augment/real/brightness"]).not.toEqual(inputs!(3)["augment/fake/brightness"])
  })

  test("translation shifts every image as a whole, by an eighth at most, and fills with zeros", () => {
    const x = images(1)
    const y = DiffAugment.apply(["translation"], x, drawsAt(["translation"], 0)).arraySync()
    const before = x.arraySync()
    for (let b = 0; b < BATCH; b++) {
      const found: number[][] = []
      for (let down = -2; down <= 2; down++)
        for (let right = -2; right <= 2; right++) {
          const equal = y[b]!.every((row, r) =>
            row.every((pixel, c) => pixel.every((value, k) => value === (before[b]![r - down]?.[c - right]?.[k] ?? 0))),
          )
          if (equal) found.push([down, right])
        }
      expect(found).toHaveLength(1)
    }
  })

  test("colours change alone: transparency stays, and grey images stay grey", () => {
    const draws = drawsAt(["color"], 0)
    const x = images(1)
    const alpha = tf.slice(images(2), [0, 0, 0, 0], [BATCH, SIZE, SIZE, 1])
    const y = DiffAugment.apply(["color"], tf.concat([x, alpha], 3) as Images, draws)
    expect(tf.slice(y, [0, 0, 0, 3], [BATCH, SIZE, SIZE, 1]).dataSync()).toEqual(alpha.dataSync())
    expect(tf.slice(y, [0, 0, 0, 0], [BATCH, SIZE, SIZE, 3]).dataSync()).toEqual(
      DiffAugment.apply(["color"], x, draws).dataSync(),
    )
    const spread = (grey: tf.Tensor): Images => tf.concat([grey, grey, grey], 3) as Images
    const [once, thrice] = [alpha as Images, spread(alpha)].map((g) => DiffAugment.apply(["color"], g, draws))
    expect(Close.relative(spread(once!).dataSync(), thrice!.dataSync())).toBeLessThan(1e-6)
  })

  test("cutout clears at most a quarter and leaves the rest unchanged", () => {
    const y = DiffAugment.apply(["cutout"], tf.ones([BATCH, SIZE, SIZE, 3]), drawsAt(["cutout"], 0))
    const sums = tf.sum(y, [1, 2, 3]).arraySync() as number[]
    for (const sum of sums) {
      expect(sum).toBeLessThan(SIZE * SIZE * 3)
      expect(sum).toBeGreaterThanOrEqual(SIZE * SIZE * 3 * 0.75)
    }
  })

  test("colour with neutral draws is the identity, brightness adds, contrast scales around the mean", () => {
    const x = images(2)
    const draws = (brightness: number, saturation: number, contrast: number) => ({
      brightness: tf.fill([BATCH, 1, 1, 1], brightness),
      saturation: tf.fill([BATCH, 1, 1, 1], saturation),
      contrast: tf.fill([BATCH, 1, 1, 1], contrast),
    })
    const far = (a: tf.Tensor, b: tf.Tensor): number => tf.max(tf.abs(tf.sub(a, b))).arraySync() as number
    expect(far(DiffAugment.apply(["color"], x, draws(0, 1, 1)), x)).toBeLessThan(1e-6)
    expect(far(DiffAugment.apply(["color"], x, draws(0.25, 1, 1)), tf.add(x, 0.25))).toBeLessThan(1e-6)
    const mean = tf.mean(x, [1, 2, 3], true)
    expect(
      far(DiffAugment.apply(["color"], x, draws(0, 1, 0.5)), tf.add(tf.mul(tf.sub(x, mean), 0.5), mean)),
    ).toBeLessThan(1e-6)
    const grey = tf.mean(x, 3, true)
    expect(far(DiffAugment.apply(["color"], x, draws(0, 0, 1)), tf.add(tf.zerosLike(x), grey))).toBeLessThan(1e-6)
  })

  test("the gradient passes through every policy: it is the transpose of the transform of the image", () => {
    const draws = drawsAt(DiffAugment.POLICIES, 2)
    const [x, v] = [images(3), images(4)]
    const transform = (image: Images): Images => DiffAugment.apply(DiffAugment.POLICIES, image, draws)
    const inner = (a: tf.Tensor, b: tf.Tensor): tf.Scalar => tf.sum(tf.mul(a, b))
    const { grads } = Grad.valueAndGrads((p) => ({ loss: inner(transform(p.x as Images), v) }), { x })
    const linear = tf.sub(transform(x), transform(tf.zerosLike(x))) // brightness adds a constant
    expect(inner(x, grads.x!).arraySync()).toBeCloseTo(inner(linear, v).arraySync(), 3)
    expect(tf.max(tf.abs(grads.x!)).arraySync()).toBeGreaterThan(0)
  })

  test("does not leak: brightness has mean 0, and the draws for reals and fakes have one distribution", () => {
    const { inputs } = DiffAugment.extras(options(["color"]))
    const all = (which: string): number[] =>
      Array.from({ length: 500 }, (_, step) => [
        ...(inputs!(step)[`augment/${which}/brightness`] as NdArray.NdArray<"float32">).data,
      ]).flat()
    const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length
    const [real, fake] = [all("real"), all("fake")]
    // uniform on ±½: the mean of 2,000 draws has a standard deviation of 0.0065
    expect(Math.abs(mean(real))).toBeLessThan(0.03)
    expect(Math.abs(mean(fake))).toBeLessThan(0.03)
    expect(Math.abs(mean(real.map((v) => v * v)) - 1 / 12)).toBeLessThan(0.01) // six standard deviations
    expect(Math.abs(mean(fake.map((v) => v * v)) - 1 / 12)).toBeLessThan(0.01)
  })

  test.each([["color"], ["translation"], ["cutout"]] as const)(
    "does not leak through %s: averaged over many draws, equal reals and fakes stay equal and different ones stay different",
    (policy) => {
      const { inputs } = DiffAugment.extras(options([policy]))
      const mean = (which: string, x: Images): tf.Tensor =>
        tf.tidy(() => {
          const all = Array.from({ length: 150 }, (_, step) => {
            const draws = Flat.map(Flat.under(inputs!(step), `augment/${which}`), ({ data, shape }) =>
              tf.tensor(data, [...shape]),
            )
            return tf.mean(DiffAugment.apply([policy], x, draws), 0)
          })
          return tf.mean(tf.stack(all), 0)
        })
      const far = (a: tf.Tensor, b: tf.Tensor): number => tf.mean(tf.abs(tf.sub(a, b))).arraySync() as number
      // the same image in every place of the batch: 600 draws
      const alike = (seed: number): Images => tf.tile(tf.slice(images(seed), 0, 1), [BATCH, 1, 1, 1]) as Images
      const [x, other] = [alike(5), alike(6)]
      const noise = far(mean("real", x), mean("fake", x))
      const difference = far(mean("real", x), mean("fake", other))
      expect(noise).toBeLessThan(0.1)
      expect(difference).toBeGreaterThan(3 * noise)
    },
  )
})
