import { expect, test } from "vitest"
import * as Rng from "../src/Rng.ts"

/** Known answers of Random123 (`tests/kat_vectors`, philox4x32 10): counter, key, output. */
test.each([
  [
    [0, 0, 0, 0],
    [0, 0],
    [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  ],
  [
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  ],
  [
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  ],
])("philox4x32-10 of counter %j gives the published words", (counter, key, expected) => {
  const block = Uint32Array.from(counter)
  Rng.philox(block, key as [number, number])
  expect([...block]).toEqual(expected)
})

test("a draw depends on seed, purpose and step only", () => {
  const draw = (seed: number, purpose: string, step: number) => [...Rng.uniform(Rng.at(seed, purpose, step), [6]).data]
  expect(draw(1, "z", 5)).toEqual(draw(1, "z", 5))
  for (const other of [draw(2, "z", 5), draw(1, "noise", 5), draw(1, "z", 6)])
    expect(other).not.toEqual(draw(1, "z", 5))
})

test("a longer draw begins with the shorter one", () => {
  const key = Rng.at(0, "prefix")
  expect([...Rng.normal(key, [101]).data].slice(0, 100)).toEqual([...Rng.normal(key, [100]).data])
})

/** With n = 10⁵ the mean of a standard normal has deviation 0.0032, its mean square 0.0045, its mean fourth power 0.031. */
test("normal has the moments 0, 1, 0, 3", () => {
  const { data } = Rng.normal(Rng.at(3, "moments"), [100_000])
  const moment = (p: number) => data.reduce((sum, x) => sum + x ** p, 0) / data.length
  expect(Math.abs(moment(1))).toBeLessThan(0.02)
  expect(Math.abs(moment(2) - 1)).toBeLessThan(0.03)
  expect(Math.abs(moment(3))).toBeLessThan(0.08)
  expect(Math.abs(moment(4) - 3)).toBeLessThan(0.2)
})

test("uniform stays in its half-open interval and has the interval's mean and variance", () => {
  const { data } = Rng.uniform(Rng.at(4, "uniform"), [100_000], -1, 1)
  expect(data.every((x) => x >= -1 && x < 1)).toBe(true)
  expect(Math.abs(data.reduce((a, x) => a + x, 0) / data.length)).toBeLessThan(0.01)
  expect(Math.abs(data.reduce((a, x) => a + x * x, 0) / data.length - 1 / 3)).toBeLessThan(0.01)
})

test("int reaches every value of its range about equally often", () => {
  const counts = new Array<number>(7).fill(0)
  for (const value of Rng.int(Rng.at(5, "int"), [70_000], -3, 4).data) counts[value + 3]!++
  for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500)
})

test("a permutation holds every number once", () => {
  const order = Rng.permutation(Rng.at(6, "shuffle", 2), 1000)
  expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, i) => i))
  expect([...order]).not.toEqual(Array.from({ length: 1000 }, (_, i) => i))
})
