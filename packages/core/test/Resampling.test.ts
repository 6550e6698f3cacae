import "@tensorflow/tfjs-backend-cpu"
import { Derivatives } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as Resampling from "../src/Resampling.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

const tensor = (shape: readonly number[], seed = 1): tf.Tensor =>
  tf.tensor(
    Derivatives.noise(
      shape.reduce((a, b) => a * b, 1),
      seed,
    ),
    [...shape],
  )

/** Numbers at least 0.1 apart, so that no step of a finite difference changes which of them is the largest. */
const apart = (shape: readonly number[]): tf.Tensor => {
  const size = shape.reduce((a, b) => a * b, 1)
  return tf.tensor(
    Float32Array.from({ length: size }, (_, i) => ((i * 37) % 101) / 10 - 5),
    [...shape],
  )
}

/** `[1, H, W, 1]` with the entries 0, 1, 2, … */
const counted = (height: number, width: number): tf.Tensor =>
  tf.reshape(tf.range(0, height * width), [1, height, width, 1])

describe("first and second derivatives agree with central differences", () => {
  test.each<[string, (x: tf.Tensor) => tf.Tensor, readonly number[]]>([
    ["maxPool 2 stride 2", (x) => Resampling.maxPool(x, { kernel: 2, stride: 2 }), [2, 4, 6, 2]],
    [
      "maxPool 3 stride 2 pad 1",
      (x) => Resampling.maxPool(x, { kernel: 3, stride: 2, pad: [1, 1, 1, 1] }),
      [2, 5, 4, 2],
    ],
    ["averagePool 3 stride 2", (x) => Resampling.averagePool(x, { kernel: 3, stride: 2 }, true), [2, 5, 4, 2]],
    [
      "averagePool 3 stride 1 that does not count its border",
      (x) => Resampling.averagePool(x, { kernel: 3, stride: 1, pad: [1, 1, 1, 1] }, false),
      [2, 3, 4, 2],
    ],
    ["globalAverage", Resampling.globalAverage, [2, 3, 4, 2]],
    ["repeat by 3", (x) => Resampling.repeat(x, 3), [2, 2, 3, 2]],
    ["bilinear by 2", (x) => Resampling.bilinear(x, 2, false), [2, 3, 2, 2]],
    ["bilinear by 2 between corners", (x) => Resampling.bilinear(x, 2, true), [2, 3, 2, 2]],
    ["pad", (x) => Resampling.pad(x, [1, 0, 2, 1]), [2, 2, 2, 2]],
    ["reflect", (x) => Resampling.reflect(x, [1, 2, 0, 1]), [2, 3, 4, 2]],
    ["crop", (x) => Resampling.crop(x, [1, 0, 1, 1]), [2, 4, 4, 2]],
    ["pixelShuffle", (x) => Resampling.pixelShuffle(x, 2, "crd"), [2, 2, 2, 8]],
  ])("%s", (name, f, shape) => {
    const { first, second } = Derivatives.disagreement(f, [(name.startsWith("max") ? apart : tensor)(shape)])
    expect(first).toBeLessThan(1e-3)
    expect(second).toBeLessThan(1e-3)
  })
})

describe("values", () => {
  test("maxPool takes the largest of overlapping windows", () => {
    const y = Resampling.maxPool(counted(5, 5), { kernel: 3, stride: 2 })
    expect([...y.dataSync()]).toEqual([12, 14, 22, 24])
  })

  test("averagePool divides by the pixels of the image alone, if the border does not count", () => {
    const border = [1, 1, 1, 1] as const
    const ones = tf.ones([1, 3, 3, 1])
    const own = Resampling.averagePool(ones, { kernel: 3, stride: 1, pad: border }, false)
    for (const value of own.dataSync()) expect(value).toBeCloseTo(1, 6)
    const all = Resampling.averagePool(ones, { kernel: 3, stride: 1, pad: border }, true)
    for (const [i, value] of [4, 6, 4, 6, 9, 6, 4, 6, 4].entries()) expect(all.dataSync()[i]).toBeCloseTo(value / 9, 6)
  })

  test("repeat makes every pixel a square", () => {
    expect([...Resampling.repeat(counted(1, 2), 3).dataSync()]).toEqual(Array(3).fill([0, 0, 0, 1, 1, 1]).flat())
  })

  /** `torch.nn.functional.interpolate(torch.arange(4.).view(1, 1, 1, 4), scale_factor=(1, 2), mode="bilinear")`, first row */
  test.each<[boolean, readonly number[]]>([
    [false, [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3]],
    [true, [0, 3, 6, 9, 12, 15, 18, 21].map((v) => v / 7)],
  ])("bilinear interpolates as PyTorch does, corners aligned: %s", (align, row) => {
    const y = Resampling.bilinear(counted(1, 4), 2, align).dataSync()
    for (const [i, value] of row.entries()) expect(y[i]).toBeCloseTo(value, 5)
  })

  test("reflect mirrors without repeating the edge", () => {
    expect([...Resampling.reflect(counted(1, 3), [0, 2, 0, 1]).dataSync()]).toEqual([2, 1, 0, 1, 2, 1])
  })

  test("pixelShuffle orders channels as PyTorch or as TensorFlow", () => {
    const x = tf.reshape(tf.range(0, 8), [1, 1, 1, 8])
    expect([...Resampling.pixelShuffle(x, 2, "crd").dataSync()]).toEqual([0, 4, 1, 5, 2, 6, 3, 7])
    expect([...Resampling.pixelShuffle(x, 2, "dcr").dataSync()]).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })
})
