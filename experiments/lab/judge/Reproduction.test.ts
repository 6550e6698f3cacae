import { describe, expect, test } from "vitest"
import type * as CellRunner from "../run/CellRunner.ts"
import * as Reproduction from "./Reproduction.ts"
import type * as ResultsFile from "./ResultsFile.ts"

test.each([
  { committed: 0.5, again: 0.5, noise: 0, verdict: "equal" },
  // three deviations of 0.01
  { committed: 0.5, again: 0.529, noise: 0.01, verdict: "within noise" },
  { committed: 0.5, again: 0.531, noise: 0.01, verdict: "different" },
  { committed: 0.5, again: 0.469, noise: 0.01, verdict: "different" },
  { committed: 0.5, again: 0.5000001, noise: undefined, verdict: "different" },
] as const)("$committed and then $again with noise $noise is $verdict", ({ committed, again, noise, verdict }) => {
  expect(Reproduction.verdictOf({ metric: "kid", committed, again, ...(noise !== undefined && { noise }) })).toBe(
    verdict,
  )
})

describe("a committed cell and the same cell run again", () => {
  const curve = (kid: number) => [{ step: 1, seconds: 1, kid, fid: 0 }]
  const committed = {
    curve: curve(3),
    metrics: { kid: { value: 1 }, prdc: { value: { recall: 0.5 } }, gone: { value: 2 } },
  }
  const again = {
    curve: curve(4),
    // the interval is 2 · 1.96 deviations of 0.25 wide
    metrics: {
      kid: { value: 1.5, label: "KID", interval: { low: 1, high: 1 + 2 * 1.96 * 0.25 } },
      prdc: { value: { recall: 0.4 }, label: "" },
    },
  }

  test("are compared in every score that both have, and at the end of the curve", () => {
    const lines = Reproduction.lines(
      committed as unknown as ResultsFile.ResultsFile["cells"][number],
      again as unknown as CellRunner.Result,
    )
    expect(lines.map(({ metric }) => metric)).toEqual(["kid", "last point of the curve"])
    expect(lines[0]).toMatchObject({ committed: 1, again: 1.5 })
    expect(lines[0]!.noise).toBeCloseTo(0.25, 10)
    expect(lines[1]).toEqual({ metric: "last point of the curve", committed: 3, again: 4 })
  })
})
