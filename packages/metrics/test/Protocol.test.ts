import { NdArray } from "@adafm/core"
import { describe, expect, test } from "vitest"
import * as Protocol from "../src/Protocol.ts"

const solid = (r: number, g: number, b: number): NdArray.NdArray<"uint8"> =>
  NdArray.make(
    "uint8",
    [5, 4, 3],
    Uint8Array.from({ length: 60 }, (_, i) => [r, g, b][i % 3]!),
  )

const input = (mode: Protocol.Mode, map?: Pick<Protocol.Protocol, "scale" | "shift">): readonly number[] => {
  const batch = NdArray.zeros("float32", [2, 3, 7, 6])
  Protocol.prepare({ ...Protocol.of(mode), ...map }, solid(255, 128, 0), batch, 1)
  expect(
    batch.data.slice(0, 3 * 42).every((v) => v === 0),
    "only its own place is written",
  ).toBe(true)
  return [0, 1, 2].map((c) => {
    const channel = batch.data.slice((3 + c) * 42, (4 + c) * 42)
    expect(new Set(channel).size).toBe(1)
    return channel[0]!
  })
}

describe("what red 255, green 128, blue 0 become", () => {
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
    expect(input("authors", Protocol.of("authors").scoreInput)).toEqual([1, expect.closeTo(256 / 255 - 1, 6), -1])
  })
})
