import { readFileSync } from "node:fs"
import { type NdArray, Rng, Safetensors } from "@adafm/core"
import { Shared } from "@adafm/testkit"
import * as E from "fp-ts/lib/Either.js"
import { describe, expect, test } from "vitest"
import * as Matrix from "../src/linalg/Matrix.ts"
import * as Fid from "../src/scores/Fid.ts"
import type * as GaussianStats from "../src/scores/GaussianStats.ts"
import * as Kid from "../src/scores/Kid.ts"
import { features, normal } from "./gaussian.ts"

/** N(mean·1, sd²·I) */
const iso = ({ d, mean, sd }: { d: number; mean: number; sd: number }): GaussianStats.Moments => ({
  mean: new Float64Array(d).fill(mean),
  covariance: Matrix.make(
    d,
    d,
    Float64Array.from({ length: d * d }, (_, at) => (at % (d + 1) === 0 ? sd * sd : 0)),
  ),
})
const diagonal = (...variances: readonly number[]): GaussianStats.Moments => {
  const d = variances.length
  const covariance = Matrix.make(d, d)
  variances.forEach((v, i) => {
    covariance.data[i * d + i] = v
  })
  return { mean: new Float64Array(d), covariance }
}
/** The 2-d covariance diag(a, b), rotated by an angle. */
const rotated = (a: number, b: number, angle: number): GaussianStats.Moments => {
  const [c, s] = [Math.cos(angle), Math.sin(angle)]
  const off = (a - b) * c * s
  return {
    mean: new Float64Array(2),
    covariance: Matrix.make(2, 2, Float64Array.of(a * c * c + b * s * s, off, off, a * s * s + b * c * c)),
  }
}

describe("closed forms", () => {
  /** N(μ₁, σ₁²I), N(μ₂, σ₂²I) in d dimensions: ‖μ₁ - μ₂‖² + d(σ₁ - σ₂)²; diagonal: Σ (√a - √b)². */
  test.each([
    { name: "0 on identical statistics", a: iso({ d: 4, mean: 0, sd: 1 }), b: iso({ d: 4, mean: 0, sd: 1 }), fid: 0 },
    { name: "‖Δμ‖² under a pure shift", a: iso({ d: 4, mean: 0, sd: 1 }), b: iso({ d: 4, mean: 3, sd: 1 }), fid: 36 },
    {
      name: "d(Δσ)² under a pure rescale",
      a: iso({ d: 4, mean: 0, sd: 1 }),
      b: iso({ d: 4, mean: 0, sd: 3 }),
      fid: 16,
    },
    { name: "Σ(√a - √b)² on diagonals", a: diagonal(1, 4, 9), b: diagonal(4, 1, 9), fid: 2 },
    { name: "right if both are singular", a: diagonal(4, 0, 1), b: diagonal(1, 0, 0), fid: 2 },
    { name: "the trace against a point", a: diagonal(4, 3, 1), b: diagonal(0, 0, 0), fid: 8 },
    // tr √(AB) of 2×2: √(tr AB + 2√det AB); A = diag(4, 1), B = A rotated by 45°: tr AB = 12.5, det AB = 16
    {
      name: "right for rotated axes",
      a: rotated(4, 1, 0),
      b: rotated(4, 1, Math.PI / 4),
      fid: 10 - 2 * Math.sqrt(12.5 + 8),
    },
  ])("is $name", async ({ a, b, fid }) => {
    expect((await Fid.fromMoments(a, b)).value).toBeCloseTo(fid, 10)
    expect((await Fid.fromMoments(b, a)).value).toBeCloseTo(fid, 10)
  })

  /** Matrices that are no covariance, on either side. The last one has the eigenvalue 1 - 3. */
  test.each([
    { name: "NaN", data: [1, 0, 0, Number.NaN], reason: "not finite" },
    { name: "an asymmetric matrix", data: [1, 0.5, 0, 1], reason: "(1, 0) and (0, 1) differ" },
    { name: "a negative eigenvalue", data: [1, 3, 3, 1], reason: "negative eigenvalue" },
  ])("$name is refused with the reason", async ({ data, reason }) => {
    const bad = { mean: new Float64Array(2), covariance: Matrix.make(2, 2, Float64Array.from(data)) }
    for (const [a, b] of [
      [bad, diagonal(1, 1)],
      [diagonal(1, 1), bad],
    ] as const)
      await expect(Fid.fromMoments(a, b)).rejects.toThrow(reason)
  })

  test("rotating both sets in the same way changes nothing", async () => {
    const [a, b] = [features(60, 2, 1), features(50, 2, 2)]
    const rotate = ({ rows, data }: Matrix.Matrix): Matrix.Matrix =>
      Matrix.make(
        rows,
        2,
        data.map((_, at) =>
          at % 2 === 0 ? 0.6 * data[at]! - 0.8 * data[at + 1]! : 0.8 * data[at - 1]! + 0.6 * data[at]!,
        ),
      )
    expect((await Fid.fromFeatures(rotate(a), rotate(b))).value).toBeCloseTo((await Fid.fromFeatures(a, b)).value, 10)
  })

  test("the route for few images equals the route through covariances", async () => {
    const [a, b] = [features(40, 24, 1), features(30, 24, 2)]
    const viaCovariance = (await Fid.fromFeatures(a, b)).value
    // with dimensions that are always zero, the same sets take the other route
    const widen = (m: Matrix.Matrix): Matrix.Matrix =>
      Matrix.make(
        m.rows,
        50,
        Float64Array.from({ length: m.rows * 50 }, (_, at) =>
          at % 50 < 24 ? m.data[Math.floor(at / 50) * 24 + (at % 50)]! : 0,
        ),
      )
    expect((await Fid.fromFeatures(widen(a), widen(b))).value).toBeCloseTo(viaCovariance, 9)
  })

  test("a set with many copies of few images has the distance 0 to itself", async () => {
    const a = Matrix.rows(
      features(5, 64, 3),
      Array.from({ length: 40 }, (_, i) => i % 5),
    )
    expect(Math.abs((await Fid.fromFeatures(a, a)).value)).toBeLessThan(1e-9)
  })

  /** Two resamples v, w, shifted so that their mean is the FID, are |v - w| apart. */
  test("a resample is the FID of the drawn images, including repeated ones", async () => {
    const [a, b] = [features(20, 30, 1), features(17, 30, 2)]
    const drawn = ({ rows }: Matrix.Matrix, side: string, k: number) =>
      Rng.int(Rng.at(5, `metrics/fid-bootstrap/${side}`, k), [rows], 0, rows).data
    const values: number[] = []
    for (const k of [0, 1])
      values.push((await Fid.fromFeatures(Matrix.rows(a, drawn(a, "a", k)), Matrix.rows(b, drawn(b, "b", k)))).value)
    const { low, high } = await Fid.bootstrap(a, b, { resamples: 2, seed: 5 })
    expect(high - low).toBeCloseTo(Math.abs(values[0]! - values[1]!), 6)
    expect((high + low) / 2).toBeCloseTo((await Fid.fromFeatures(a, b)).value, 10)
  })
  test("a bootstrap interval contains the FID, is the same for the same seed, and is narrower for more images", async () => {
    const width = async (n: number): Promise<number> => {
      const [a, b] = [normal(n, 80, 7), normal(n, 80, 8)]
      const { value } = await Fid.fromFeatures(a, b)
      const interval = await Fid.bootstrap(a, b, { resamples: 40 })
      expect(interval).toEqual(await Fid.bootstrap(a, b, { resamples: 40 }))
      expect(interval.low).toBeLessThan(value)
      expect(interval.high).toBeGreaterThan(value)
      return interval.high - interval.low
    }
    expect(await width(64)).toBeLessThan(await width(16))
  })

  test("the extrapolated FID of samples of one Gaussian is near 0", async () => {
    const [a, b] = [normal(1500, 16, 5), normal(6000, 16, 6)]
    const plain = (await Fid.fromFeatures(a, b)).value
    const extrapolated = await Fid.infinity(a, b, 0)
    expect(plain).toBeGreaterThan(0.04)
    expect(Math.abs(extrapolated)).toBeLessThan(plain / 2)
  })
})

const [FEATURES, EXPECTED] = ["data/inception/daisy-roses-600-features.safetensors", "data/inception/fid.expected.json"]
interface Golden {
  readonly fid: number
  readonly fid_sqrtm: number
  readonly mean_term: number
  readonly trace_sqrt: number
  readonly mmd2_unbiased: number
  readonly kid?: {
    readonly block: number
    readonly values: readonly number[]
    readonly mean: number
    readonly std_population: number
  }
}

describe.skipIf(Shared.missing(FEATURES, EXPECTED))("stored features of photographs, within 1e-6", async () => {
  const file = Shared.path(FEATURES)
  const read = file === undefined ? undefined : await Safetensors.read(file)()
  const tensors = read && E.isRight(read) ? read.right.tensors : {}
  const expected = file === undefined ? {} : JSON.parse(readFileSync(Shared.path(EXPECTED)!, "utf8")).flowers160
  const range = (name: string, from: number, count: number): Matrix.Matrix =>
    Matrix.rows(
      Matrix.of(tensors[name] as NdArray.NdArray<"float32">),
      Array.from({ length: count }, (_, i) => from + i),
    )
  const cases = ["64", "192", "768"].flatMap(
    (d) =>
      [
        { set: "daisy_vs_roses", d, a: ["daisy", 0, 300], b: ["roses", 0, 300] },
        { set: "daisy_first150_vs_daisy_next150", d, a: ["daisy", 0, 150], b: ["daisy", 150, 150] },
        { set: "first16_daisy_vs_first16_roses", d, a: ["daisy", 0, 16], b: ["roses", 0, 16] },
      ] as const,
  )

  test.each(cases)("$set at $d dimensions: FID and KID", async ({ set, d, a: [an, af, ac], b: [bn, bf, bc] }) => {
    const golden = expected[set][d] as Golden
    const [a, b] = [range(`${an}.${d}`, af, ac), range(`${bn}.${d}`, bf, bc)]
    const terms = await Fid.fromFeatures(a, b)
    const relative = (got: number, want: number): number => Math.abs(got / want - 1)
    expect(relative(terms.value, golden.fid)).toBeLessThan(1e-6)
    expect(relative(terms.meanTerm, golden.mean_term)).toBeLessThan(1e-6)
    expect(relative(terms.traceRoot, golden.trace_sqrt)).toBeLessThan(1e-6)
    expect(relative(await Kid.unbiased(a, b), golden.mmd2_unbiased)).toBeLessThan(1e-6)
    if (golden.kid) {
      const blocks = await Kid.blocks(a, b, golden.kid.block)
      for (const [i, value] of blocks.values.entries())
        expect(relative(value, golden.kid.values[i]!)).toBeLessThan(1e-6)
      expect(relative(blocks.mean, golden.kid.mean)).toBeLessThan(1e-6)
      expect(relative(blocks.deviation, golden.kid.std_population)).toBeLessThan(1e-6)
    }
  })

  test("a bootstrap interval contains the estimate, and not 0 for different flowers", async () => {
    const [a, b] = [range("daisy.768", 0, 150), range("roses.768", 0, 150)]
    const [value, { low, high }] = [await Kid.unbiased(a, b), await Kid.bootstrap(a, b, { resamples: 100 })]
    expect(low).toBeLessThan(value)
    expect(high).toBeGreaterThan(value)
    expect(low).toBeGreaterThan(0)
  })
})
