import { NdArray, Rng } from "@adafm/core"
import { describe, expect, test } from "vitest"
import * as RandomisedFilters from "../src/RandomisedFilters.ts"

const key = Rng.at(3, "filters")
const shape = [24, 16, 3, 3]
const source = NdArray.float32(
  shape,
  Rng.normal(Rng.at(0, "source"), shape, 0.02, 0.11).data.map((x, i) => (i % 9 === 4 ? 3 * x : x)),
)
const moments = ({ data }: typeof source): readonly [number, number] => {
  const mean = data.reduce((sum, x) => sum + x, 0) / data.length
  return [mean, Math.sqrt(data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / data.length)]
}
const kernels = ({ data }: typeof source): readonly string[] =>
  Array.from({ length: data.length / 9 }, (_, i) => data.subarray(9 * i, 9 * i + 9).join()).sort()

describe("filters in place of the source's", () => {
  test("random: each tensor's mean and deviation, other values", () => {
    const random = RandomisedFilters.random(key, source)
    const [[mean, deviation], [m, d]] = [moments(source), moments(random)]
    // 3,456 draws: the mean has a standard error of 0.002, the deviation of 1.2 %
    expect(Math.abs(m - mean)).toBeLessThan(0.01)
    expect(Math.abs(d / deviation - 1)).toBeLessThan(0.05)
    const known = new Set(source.data)
    expect(random.data.filter((x) => known.has(x)).length).toBeLessThan(random.data.length / 100)
  })

  test("shuffled: the same kernels in another order, so every statistic of the layer stays", () => {
    const shuffled = RandomisedFilters.shuffled(key, source)
    expect(kernels(shuffled)).toEqual(kernels(source))
    expect(shuffled.data).not.toEqual(source.data)
    const bias = NdArray.float32([3], [1, 2, 3])
    expect(RandomisedFilters.shuffled(key, bias)).toBe(bias)
  })

  test.each(RandomisedFilters.KINDS)("%s: equal keys give equal filters, other keys others", (kind) => {
    const make = RandomisedFilters.randomise[kind]
    expect(make(key, source)).toEqual(make(key, source))
    expect(make(Rng.at(4, "filters"), source)).not.toEqual(make(key, source))
  })
})
