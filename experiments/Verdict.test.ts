import { expect, test } from "vitest"
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
  const judged = Verdict.of(pairs)
  expect(judged.verdict).toBe(verdict)
  expect(judged.pairs).toBe(pairs.length)
  if (effect === null) expect(judged.effect).toBeNull()
  else expect(judged.effect).toBeCloseTo(effect, 10)
})
