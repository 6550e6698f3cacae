import { describe, expect, test } from "vitest"
import * as Matrix from "../src/linalg/Matrix.ts"
import * as InceptionScore from "../src/scores/InceptionScore.ts"
import * as Kid from "../src/scores/Kid.ts"
import * as NearestNeighbours from "../src/scores/NearestNeighbours.ts"
import * as NumpyRandom from "../src/scores/NumpyRandom.ts"
import * as Prdc from "../src/scores/Prdc.ts"
import { normal } from "./gaussian.ts"

/** `sin(k·i)` at element i. */
const waves = (rows: number, cols: number, k: number, scale = 1): Matrix.Matrix =>
  Matrix.make(
    rows,
    cols,
    Float64Array.from({ length: rows * cols }, (_, i) => scale * Math.sin(i * k)),
  )
const line = (...x: readonly number[]): Matrix.Matrix => Matrix.make(x.length, 1, Float64Array.from(x))

describe("KID", () => {
  /** By hand: d = 1, x = {0, 1}, y = {1, 2}: k = (xy + 1)³; k(0,1) = 1, k(1,2) = 27; cross 1 + 1 + 8 + 27 = 37. */
  test("equals the sum computed by hand", async () => {
    expect(await Kid.unbiased(line(0, 1), line(1, 2))).toBeCloseTo(1 + 27 - (2 * 37) / 4, 12)
  })
  test("is 0 on average for one distribution", async () => {
    const { mean, deviation } = await Kid.blocks(normal(1500, 4, 1), normal(1500, 4, 2), 100)
    expect(Math.abs(mean)).toBeLessThan((4 * deviation) / Math.sqrt(15))
  })
  /** NumPy 2.4: RandomState(2020), choice(n, 20, replace=False) of both sides in turn, the estimate in float64. */
  test("resamples of two generators have the same photographs, so their differences vary less than their values", async () => {
    const photographs = normal(40, 4, 3)
    const generated = normal(40, 4, 1)
    // the same images, moved a little
    const moved = { ...generated, data: generated.data.map((v) => v + 0.05) }
    const [one, two] = [await Kid.resampled(generated, photographs), await Kid.resampled(moved, photographs)]
    const deviation = (values: Float64Array): number => {
      const mean = values.reduce((sum, v) => sum + v, 0) / values.length
      return Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1))
    }
    expect(deviation(one.map((v, k) => v - two[k]!))).toBeLessThan(deviation(one) / 3)
    expect(await Kid.bootstrap(generated, photographs)).toEqual(Kid.interval(one))
  })

  test("over subsets equals that of torch-fidelity's draws", async () => {
    const [a, b] = [waves(40, 6, 0.37), waves(30, 6, 0.53)]
    const { mean, deviation } = await Kid.subsets(a, b, { subsets: 5, size: 20 })
    expect(mean).toBeCloseTo(0.008018908463099805, 12)
    expect(deviation).toBeCloseTo(0.036202504557607006, 12)
  })
  test("subsets depend on the seed alone and are never larger than a side", async () => {
    const [a, b] = [normal(40, 4, 1), normal(30, 4, 2)]
    const draw = (rngSeed: number) => Kid.subsets(a, b, { subsets: 5, size: 1000, rngSeed })
    expect(await draw(1)).toEqual(await draw(1))
    expect((await draw(1)).mean).not.toBe((await draw(2)).mean)
  })
})

describe("Inception Score", () => {
  const sure = (n: number, classes: number): Matrix.Matrix =>
    Matrix.make(
      n,
      classes,
      Float64Array.from({ length: n * classes }, (_, at) =>
        at % classes === Math.floor(at / classes) % classes ? 1000 : 0,
      ),
    )
  test("is the number of classes if every class is predicted with certainty and equally often", () => {
    const { mean, deviation } = InceptionScore.of(sure(40, 4))
    expect(mean).toBeCloseTo(4, 10)
    expect(deviation).toBeCloseTo(0, 10)
  })
  /** NumPy 2.4: the order of RandomState(2020).permutation, splits and population deviation as in torch-fidelity. */
  test("equals torch-fidelity's for its order of images", () => {
    const { mean, deviation } = InceptionScore.of(waves(25, 6, 0.71, 3), 10, NumpyRandom.of(2020).permutation(25))
    expect(mean).toBeCloseTo(1.7339728551078033, 12)
    expect(deviation).toBeCloseTo(0.1854513210762833, 12)
  })
  test("is 1 if all classes are equally probable, and if one class is always certain", () => {
    expect(InceptionScore.of(Matrix.make(20, 5)).mean).toBeCloseTo(1, 12)
    expect(
      InceptionScore.of(
        Matrix.make(
          20,
          2,
          Float64Array.from({ length: 40 }, (_, at) => (at % 2) * 1000),
        ),
      ).mean,
    ).toBeCloseTo(1, 12)
  })
})

describe("neighbours", () => {
  test("radii and nearest on a line", async () => {
    expect([...(await NearestNeighbours.radii(line(0, 1, 3, 7), 1))]).toEqual([1, 1, 2, 4])
    expect([...(await NearestNeighbours.radii(line(0, 1, 3, 7), 2))]).toEqual([3, 2, 3, 6])
    const { index, distance } = await NearestNeighbours.nearest(line(2.9, -5), line(0, 1, 3, 7))
    expect([...index]).toEqual([2, 0])
    expect(distance[1]).toBeCloseTo(5, 12)
  })
  test("diversity is the mean distance of pairs", async () => {
    expect(await NearestNeighbours.diversity(line(0, 1, 3))).toBeCloseTo(2, 12)
  })
})

describe("precision, recall, density, coverage", () => {
  /** k = 1. Reals 0, 1, 10 have radii 1, 1, 9; fakes 0.5, 20 have radius 19.5. */
  test("equal those computed by hand on a line", async () => {
    // 0.5 is in the balls of 0 and 1 (not of 10, because 9.5 > 9), 20 in none; every real image is in a fake's ball
    expect(await Prdc.of(line(0.5, 20), line(0, 1, 10), 1)).toEqual({
      precision: 0.5,
      recall: 1,
      density: 1,
      coverage: 2 / 3,
      points: { fake: 0, real: 0 },
    })
  })
  test("are near 1 for one distribution, 0 for distant ones", async () => {
    const same = await Prdc.of(normal(300, 3, 1), normal(300, 3, 2))
    expect(Math.min(same.precision, same.recall, same.coverage)).toBeGreaterThan(0.85)
    expect(same.density).toBeCloseTo(1, 0)
    const far = normal(300, 3, 1)
    far.data.forEach((_, at) => {
      far.data[at]! += 100
    })
    expect(await Prdc.of(far, normal(300, 3, 2))).toMatchObject({ precision: 0, recall: 0, density: 0, coverage: 0 })
  })
})

test("balls of pictures that occur more often than k are points, which are counted", async () => {
  const [some, k] = [normal(8, 3, 1), 2]
  const times = (n: number, shift = 0): Matrix.Matrix =>
    Matrix.make(
      n * 8,
      3,
      Float64Array.from({ length: n * 24 }, (_, i) => some.data[i % 24]! * (1 + (i < 24 ? shift : 0))),
    )
  expect((await Prdc.of(some, times(2), k)).points).toEqual({ fake: 0, real: 0 })
  expect((await Prdc.of(some, times(3), k)).points).toEqual({ fake: 0, real: 24 })
  // the features of one picture differ by rounding from batch to batch
  expect((await Prdc.of(times(4, 1e-7), some, k)).points).toEqual({ fake: 32, real: 0 })
})

describe("memorisation of a set in which pictures occur twice", () => {
  const [training, samples] = [normal(20, 3, 1), normal(15, 3, 2)]
  const twice = (a: Matrix.Matrix, shift = 0): Matrix.Matrix =>
    Matrix.make(2 * a.rows, a.cols, Float64Array.from([...a.data, ...a.data.map((v) => v * (1 + shift))]))
  test("is that of the set in which each occurs once, whatever the copies' rounding", async () => {
    const once = await NearestNeighbours.memorisation(samples, training)
    expect(await NearestNeighbours.memorisation(samples, twice(training))).toEqual({ ...once, doubles: 20 })
    const rounded = await NearestNeighbours.memorisation(samples, twice(training, 1e-7))
    expect(rounded.doubles).toBe(20)
    expect(rounded.ratio).toBeCloseTo(once.ratio, 5)
    expect(once.doubles).toBe(0)
    expect(once.ratio).toBeGreaterThan(0.3)
  })
  test("is 0 for copies", async () => {
    expect(await NearestNeighbours.memorisation(training, twice(training))).toMatchObject({ ratio: 0 })
  })
  /** By hand: 0, 0, 1, 3: nearest other pictures at 1, 1 and 2. */
  test("counts each picture once", async () => {
    expect(await NearestNeighbours.distinct(line(0, 0, 1, 3))).toEqual({ median: 1, doubles: 1 })
    expect(await NearestNeighbours.distinct(line(2, 2, 2))).toEqual({ median: Number.NaN, doubles: 2 })
  })
})

/** NumPy 2.4: `r = RandomState(2020)`, then `permutation(10)`, `choice(1000, 8, replace=False)`, `permutation(70000)[:5]`. */
test("the draws equal those of NumPy's legacy generator", () => {
  const random = NumpyRandom.of(2020)
  expect([...random.permutation(10)]).toEqual([2, 4, 9, 1, 5, 7, 6, 3, 8, 0])
  expect([...random.permutation(1000).slice(0, 8)]).toEqual([358, 763, 430, 530, 677, 107, 127, 935])
  expect([...random.permutation(70_000).slice(0, 5)]).toEqual([19629, 54640, 2561, 49256, 62108])
})
