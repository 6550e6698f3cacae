import { describe, expect, test } from "vitest"
import * as Is from "../src/Is.ts"
import * as Kid from "../src/Kid.ts"
import * as Matrix from "../src/linalg/Matrix.ts"
import * as Neighbours from "../src/Neighbours.ts"
import * as Prdc from "../src/Prdc.ts"
import { normal } from "./gaussian.ts"

const line = (...x: readonly number[]): Matrix.Matrix => Matrix.make(x.length, 1, Float64Array.from(x))

describe("KID", () => {
  /** By hand: d = 1, x = {0, 1}, y = {1, 2}: k = (xy + 1)³; k(0,1) = 1, k(1,2) = 27; cross 1 + 1 + 8 + 27 = 37. */
  test("equals the sum by hand", async () => {
    expect(await Kid.unbiased(line(0, 1), line(1, 2))).toBeCloseTo(1 + 27 - (2 * 37) / 4, 12)
  })
  test("is 0 on average for one distribution", async () => {
    const { mean, deviation } = await Kid.blocks(normal(1500, 4, 1), normal(1500, 4, 2), 100)
    expect(Math.abs(mean)).toBeLessThan((4 * deviation) / Math.sqrt(15))
  })
  test("subsets follow from the seed and never exceed a side", async () => {
    const [a, b] = [normal(40, 4, 1), normal(30, 4, 2)]
    const draw = (seed: number) => Kid.subsets(a, b, { subsets: 5, size: 1000, seed })
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
  test("is the number of classes when every class is predicted surely and equally often", () => {
    const { mean, deviation } = Is.of(sure(40, 4))
    expect(mean).toBeCloseTo(4, 10)
    expect(deviation).toBeCloseTo(0, 10)
  })
  test("is 1 when nothing is known, and when one class is always sure", () => {
    expect(Is.of(Matrix.make(20, 5)).mean).toBeCloseTo(1, 12)
    expect(
      Is.of(
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
    expect([...(await Neighbours.radii(line(0, 1, 3, 7), 1))]).toEqual([1, 1, 2, 4])
    expect([...(await Neighbours.radii(line(0, 1, 3, 7), 2))]).toEqual([3, 2, 3, 6])
    const { index, distance } = await Neighbours.nearest(line(2.9, -5), line(0, 1, 3, 7))
    expect([...index]).toEqual([2, 0])
    expect(distance[1]).toBeCloseTo(5, 12)
  })
  test("diversity is the mean distance of pairs", async () => {
    expect(await Neighbours.diversity(line(0, 1, 3))).toBeCloseTo(2, 12)
  })
})

describe("precision, recall, density, coverage", () => {
  /** k = 1. Reals 0, 1, 10 have radii 1, 1, 9; fakes 0.5, 20 have radius 19.5. */
  test("by hand on a line", async () => {
    // 0.5 lies in the balls of 0 and 1 (and not of 10, 9.5 > 9), 20 in none; every real lies in a fake's ball
    expect(await Prdc.of(line(0.5, 20), line(0, 1, 10), 1)).toEqual({
      precision: 0.5,
      recall: 1,
      density: 1,
      coverage: 2 / 3,
    })
  })
  test("one distribution scores near 1, far ones 0", async () => {
    const same = await Prdc.of(normal(300, 3, 1), normal(300, 3, 2))
    expect(Math.min(same.precision, same.recall, same.coverage)).toBeGreaterThan(0.85)
    expect(same.density).toBeCloseTo(1, 0)
    const far = normal(300, 3, 1)
    far.data.forEach((_, at) => {
      far.data[at]! += 100
    })
    expect(await Prdc.of(far, normal(300, 3, 2))).toEqual({ precision: 0, recall: 0, density: 0, coverage: 0 })
  })
})
