import { NdArray } from "@adafm/core"
import { describe, expect, test } from "vitest"
import * as Colours from "../src/Colours.ts"

/** Two images of 2×2 pixels with three channels; the values of channel c are c/10 ± (c + 1)/10. */
const images = NdArray.float32(
  [2, 3, 2, 2],
  [...Array(24).keys()].map((i) => {
    const channel = Math.floor(i / 4) % 3
    return channel / 10 + ((i % 2 === 0 ? 1 : -1) * (channel + 1)) / 10
  }),
)

describe("colours", () => {
  test("moments are computed for each channel over all images", () => {
    const { mean, deviation } = Colours.moments(images)
    for (const c of [0, 1, 2]) {
      expect(mean[c]).toBeCloseTo(c / 10, 6)
      expect(deviation[c]).toBeCloseTo((c + 1) / 10, 6)
    }
  })

  test("a matched set has the target's moments, and its pixels keep their order", () => {
    const target = { mean: [0.1, 0, -0.2], deviation: [0.3, 0.05, 0.1] }
    const matched = Colours.match(images, target)
    const { mean, deviation } = Colours.moments(matched)
    for (const c of [0, 1, 2]) {
      expect(mean[c]).toBeCloseTo(target.mean[c]!, 6)
      expect(deviation[c]).toBeCloseTo(target.deviation[c]!, 6)
    }
    expect(matched.data[0]! > matched.data[1]!).toBe(true)
  })

  test("a set matched to itself is unchanged", () => {
    const same = Colours.match(images, Colours.moments(images))
    for (const [i, value] of same.data.entries()) expect(value).toBeCloseTo(images.data[i]!, 6)
  })
})
