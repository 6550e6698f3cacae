import { Rng } from "@adafm/core"
import { describe, expect, test } from "vitest"
import * as Verdict from "./Verdict.ts"

/** Differences other - ours; the deviation of the mean is s / √n. */
test.each([
  { name: "no pair: not tested", pairs: [], verdict: "not-tested", effect: null },
  { name: "one pair says nothing yet", pairs: [[1, 2]], verdict: "undecided", effect: 1 },
  {
    name: "equal differences hold",
    pairs: [
      [1, 2],
      [2, 3],
      [3, 4],
    ],
    verdict: "holds",
    effect: 1,
  },
  {
    name: "the other sign contradicts",
    pairs: [
      [2, 1],
      [3, 2],
      [4, 3],
    ],
    verdict: "contradicted",
    effect: -1,
  },
  {
    name: "one pair of another sign leaves it open",
    pairs: [
      [0, 5],
      [0, 5],
      [0, -0.1],
    ],
    verdict: "undecided",
    effect: 3.3,
  },
  // 1, 1, 10: mean 4, s = 5.196, s/√3 = 3: 4 < 6
  {
    name: "one sign, but a mean within twice its deviation",
    pairs: [
      [0, 1],
      [0, 1],
      [0, 10],
    ],
    verdict: "undecided",
    effect: 4,
  },
] as const)("$name", ({ pairs, verdict, effect }) => {
  const judged = Verdict.of(pairs.map(([ours, other]) => ({ ours, other })))
  expect(judged.verdict).toBe(verdict)
  expect(judged.pairs).toBe(pairs.length)
  if (effect === null) expect(judged.effect).toBeNull()
  else expect(judged.effect).toBeCloseTo(effect, 10)
})

test("noise of the scores themselves can leave open what the spread over pairs would decide", () => {
  const pairs = [1, 1.1, 0.9].map((d) => ({ ours: 0, other: d }))
  expect(Verdict.of(pairs).verdict).toBe("holds")
  const noisy = Verdict.of(pairs.map((pair) => ({ ...pair, noise: 1 })))
  // s² = 0.01 of a mean of three, noise² = 1 that all have in common: twice that is more than 1
  expect(noisy.deviation).toBeCloseTo(Math.sqrt(0.01 / 3 + 1), 10)
  expect(noisy.verdict).toBe("undecided")
})

test("differences are the other's score less ours, pair by pair", () => {
  expect(
    Verdict.differences([
      { ours: 1, other: 3 },
      { ours: 5, other: 4 },
    ]),
  ).toEqual([2, -1])
  expect(Verdict.variance([2, -1])).toBeCloseTo(4.5, 12)
  expect(Verdict.variance([7])).toBe(0)
})

describe("the bootstrap of a mean", () => {
  test("of equal values is that value", () => expect(Verdict.bootstrap([2, 2, 2])).toEqual([2, 2]))

  test("of two values ends at both, each drawn twice in a quarter of the resamples", () => {
    expect(Verdict.bootstrap([0, 1])).toEqual([0, 1])
    // the middle half lies at the mean of one of each
    expect(Verdict.bootstrap([0, 1], { level: 0.4 })).toEqual([0.5, 0.5])
  })

  test("of many normal values is about 1.96 s / √n to either side", () => {
    const values = [...Rng.normal(Rng.at(3, "test"), [400]).data]
    const [low, high] = Verdict.bootstrap(values)
    const half = 1.96 * Math.sqrt(Verdict.variance(values) / values.length)
    expect((high - low) / 2 / half).toBeGreaterThan(0.9)
    expect((high - low) / 2 / half).toBeLessThan(1.1)
    expect((high + low) / 2).toBeCloseTo(Verdict.mean(values), 1)
  })

  test("follows from its seed alone", () => {
    const values = [1, 5, 2, 8, 3]
    expect(Verdict.bootstrap(values)).toEqual(Verdict.bootstrap(values))
    expect(Verdict.bootstrap(values, { seed: 1, resamples: 50 })).not.toEqual(
      Verdict.bootstrap(values, { resamples: 50 }),
    )
  })
})
