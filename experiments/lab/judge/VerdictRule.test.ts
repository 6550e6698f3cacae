/** How often the rule decides: what `experiments/README.md` says of its errors and its power. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Rng } from "@adafm/core"
import { expect, test } from "vitest"
import * as Verdict from "./Verdict.ts"

const TRIALS = 20_000
const PAIRS = 3

interface World {
  /** The true difference. */
  readonly effect: number
  /** Deviation of what all pairs have in common: the choice of photographs and latents. */
  readonly common: number
  /** Deviation from pair to pair: the draw of training images and the seed. */
  readonly spread: number
  /** Whether the rule is told `common`. */
  readonly isKnown: boolean
}

/** Shares of trials that hold and that contradict. */
const decided = ({ effect, common, spread, isKnown }: World): readonly [holds: number, contradicted: number] => {
  const draws = Rng.normal(Rng.at(0, "test/verdict-rule"), [TRIALS * (PAIRS + 1)]).data
  let [holds, contradicted] = [0, 0]
  for (let t = 0; t < TRIALS; t++) {
    const [shared, ...own] = draws.subarray(t * (PAIRS + 1), (t + 1) * (PAIRS + 1))
    const pairs = own.map((x) => ({
      ours: 0,
      other: effect + common * shared! + spread * x,
      ...(isKnown && { noise: common }),
    }))
    const { verdict } = Verdict.decide(pairs)
    if (verdict === "holds") holds++
    if (verdict === "contradicted") contradicted++
  }
  return [holds / TRIALS, contradicted / TRIALS]
}

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`
const text = readFileSync(join(fileURLToPath(new URL("../..", import.meta.url)), "README.md"), "utf8")
const isSaid = (line: string): void =>
  expect(text.replaceAll("\n", " ").includes(line), `experiments/README.md should say: ${line}`).toBe(true)

test("of differences that are 0, few are decided where the noise is known", () => {
  const falseShare = (common: number, spread: number, isKnown = true): number => {
    const [holds, contradicted] = decided({ effect: 0, common, spread, isKnown })
    // neither side is favoured
    expect(Math.abs(holds - contradicted)).toBeLessThan(0.012)
    return holds + contradicted
  }
  const [same, double, none] = [falseShare(1, 1), falseShare(1, 2), falseShare(0, 1)]
  expect(same).toBeLessThan(double)
  expect(double).toBeLessThan(none)
  isSaid(
    `decides ${percent(same)} of the claims about nothing where the spread over pairs is as large as the noise of the scores, ${percent(double)} where it is twice as large, and ${percent(none)} where the noise is 0`,
  )
  isSaid(
    `Told of no noise where there is some as large as the spread, it would decide ${percent(falseShare(1, 1, false))}`,
  )
})

test("of true differences it decides more, the larger they are", () => {
  const power = [2, 3, 4].map((effect) => decided({ effect, common: 1, spread: 1, isKnown: true }))
  for (const [, contradicted] of power) expect(contradicted).toBeLessThan(0.001)
  isSaid(
    `A true difference of 2, 3 and 4 times the noise (spread as large as the noise) is decided in ${power.map(([holds]) => percent(holds)).join(", ")} of the cases`,
  )
})
