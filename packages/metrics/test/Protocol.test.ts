import { NdArray } from "@adafm/core"
import { describe, expect, test } from "vitest"
import * as Protocol from "../src/Protocol.ts"

const solid = (r: number, g: number, b: number): NdArray.NdArray<"uint8"> =>
  NdArray.make(
    "uint8",
    [5, 4, 3],
    Uint8Array.from({ length: 60 }, (_, i) => [r, g, b][i % 3]!),
  )

/** The network's input for one colour; `which` 1 is the input for the Inception Score. */
const input = (mode: Protocol.Mode, which = 0): readonly number[] => {
  const planes = Protocol.inputs(Protocol.of(mode), solid(255, 128, 0), [7, 6])[which]!
  expect(planes.length).toBe(3 * 7 * 6)
  return [0, 1, 2].map((c) => {
    const channel = new Set(planes.subarray(c * 42, (c + 1) * 42))
    expect(channel.size).toBe(1)
    return [...channel][0]!
  })
}

describe("the input for red 255, green 128, blue 0", () => {
  test.each([
    { mode: "pytorch-fid", want: [1, (2 * 128) / 255 - 1, -1] },
    { mode: "tf-compat", want: [127 / 128, 0, -1] },
    { mode: "clean", want: [127 / 128, 0, -1] },
    // spec, section 5: R x·0.458 - 0.030, G x·0.448 - 0.088, B x·0.450 - 0.188 on x in [-1, 1]
    { mode: "authors", want: [0.428, (256 / 255 - 1) * 0.448 - 0.088, -0.638] },
  ] as const)("$mode", ({ mode, want }) => {
    for (const [c, v] of input(mode).entries()) expect(v).toBeCloseTo(want[c]!, 6)
  })
  test("the authors' Inception Score has no second normalisation", () => {
    expect(input("authors", 1)).toEqual([1, expect.closeTo(256 / 255 - 1, 6), -1])
  })
})
