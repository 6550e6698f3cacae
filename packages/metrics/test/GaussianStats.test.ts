import { Rng } from "@adafm/core"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import * as Matrix from "../src/linalg/Matrix.ts"
import * as Fid from "../src/scores/Fid.ts"
import * as GaussianStats from "../src/scores/GaussianStats.ts"
import * as Kid from "../src/scores/Kid.ts"
import { features } from "./gaussian.ts"

const part = (m: Matrix.Matrix, from: number, to: number): Matrix.Matrix =>
  Matrix.rows(
    m,
    Array.from({ length: to - from }, (_, i) => from + i),
  )

/** Largest relative difference of two statistics. */
const difference = (a: GaussianStats.Stats, b: GaussianStats.Stats): number => {
  expect(a.count).toBe(b.count)
  const scale = (v: Float64Array): number => v.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-300)
  const worst = (x: Float64Array, y: Float64Array): number =>
    x.reduce((w, v, i) => Math.max(w, Math.abs(v - y[i]!)), 0) / scale(x)
  return Math.max(worst(a.mean, b.mean), worst(a.scatter.data, b.scatter.data))
}

const set = fc.record({ n: fc.integer({ min: 3, max: 60 }), d: fc.integer({ min: 1, max: 12 }), seed: fc.nat(1000) })

describe("laws", () => {
  test("shards merged in any grouping equal one pass, to 1e-12", () =>
    fc.assert(
      fc.asyncProperty(set, fc.tuple(fc.nat(60), fc.nat(60)), async ({ n, d, seed }, [p, q]) => {
        const all = features(n, d, seed)
        const [i, j] = [Math.min(p, q) % n, Math.max(p, q) % n].sort((x, y) => x - y) as [number, number]
        const [a, b, c] = (await Promise.all(
          await Promise.all([part(all, 0, i), part(all, i, j), part(all, j, n)].map(GaussianStats.of)),
        )) as [GaussianStats.Stats, GaussianStats.Stats, GaussianStats.Stats]
        const whole = await GaussianStats.of(all)
        expect(difference(whole, GaussianStats.merge(GaussianStats.merge(a, b), c))).toBeLessThan(1e-12)
        expect(difference(whole, GaussianStats.merge(a, GaussianStats.merge(b, c)))).toBeLessThan(1e-12)
        expect(difference(whole, GaussianStats.merge(GaussianStats.merge(c, a), b))).toBeLessThan(1e-12)
      }),
    ))
  test("the order of images does not matter", () =>
    fc.assert(
      fc.asyncProperty(set, async ({ n, d, seed }) => {
        const all = features(n, d, seed)
        const reversed = Matrix.rows(
          all,
          Array.from({ length: n }, (_, i) => n - 1 - i),
        )
        expect(difference(await GaussianStats.of(all), await GaussianStats.of(reversed))).toBeLessThan(1e-12)
      }),
    ))
  test("shards of every n-th image, merged in any order, equal the whole set", () =>
    fc.assert(
      fc.asyncProperty(set, fc.integer({ min: 1, max: 5 }), fc.nat(4), async ({ n, d, seed }, of, first) => {
        const all = features(n, d, seed)
        const places = [...Array(n).keys()]
        const shards = await Promise.all(
          Array.from({ length: of }, (_, i) =>
            GaussianStats.of(
              Matrix.rows(
                all,
                places.filter((place) => place % of === (i + first) % of),
              ),
            ),
          ),
        )
        expect(difference(await GaussianStats.of(all), shards.reduce(GaussianStats.merge))).toBeLessThan(1e-12)
      }),
    ))
  test("FID and KID do not depend on the order of images", () =>
    fc.assert(
      fc.asyncProperty(set, fc.nat(1000), async ({ n, d, seed }, shuffle) => {
        const [a, b] = [features(n, d, seed), features(n + 3, d, seed + 1)]
        const shuffled = Matrix.rows(a, Rng.permutation(Rng.at(shuffle, "test/permutation"), n))
        const scores = async (x: Matrix.Matrix) => [(await Fid.fromFeatures(x, b)).value, await Kid.unbiased(x, b)]
        const [plain, mixed] = [await scores(a), await scores(shuffled)]
        for (const [i, v] of plain.entries())
          expect(Math.abs(v - mixed[i]!)).toBeLessThan(1e-8 * Math.max(1, Math.abs(v)))
      }),
    ))
  test("empty statistics change nothing when merged", async () => {
    const a = await GaussianStats.of(features(5, 3))
    expect(GaussianStats.merge(GaussianStats.empty(3), a)).toEqual(a)
    expect(GaussianStats.merge(a, GaussianStats.empty(3))).toEqual(a)
    expect(() => GaussianStats.merge(a, GaussianStats.empty(4))).toThrow("do not merge")
  })
  /** x = 1e8 + {-1, 0, 1} has the variance 1, which one-pass sums of squares lose. */
  test("a large common offset loses no digits", async () => {
    const { covariance } = GaussianStats.moments(
      await GaussianStats.of(Matrix.make(3, 1, Float64Array.of(1e8 - 1, 1e8, 1e8 + 1))),
    )
    expect(covariance.data[0]).toBe(1)
  })
})
