import { expect, test } from "vitest"
import * as Flat from "../src/Flat.ts"

const isNumber = (node: unknown): node is number => typeof node === "number"

test("unflatten after flatten is the identity", () => {
  const tree = { fc: { weight: 1, bias: 2 }, resnet_0_0: { conv_0: { weight: 3 } }, scale: 4 }
  const flat = Flat.flatten<number>(tree, isNumber)
  expect({ ...flat }).toEqual({ "fc.weight": 1, "fc.bias": 2, "resnet_0_0.conv_0.weight": 3, scale: 4 })
  expect(JSON.parse(JSON.stringify(Flat.unflatten(flat)))).toEqual(tree)
})

test("a path that is both a leaf and a branch is refused", () => {
  expect(() => Flat.unflatten({ a: 1, "a.b": 2 })).toThrow("a.b")
  expect(() => Flat.unflatten({ "a.b": 2, a: 1 })).toThrow("both a leaf and a branch")
})

test("every path of a foreign file is an ordinary key, `__proto__` too", () => {
  const flat = Flat.fromEntries([["__proto__", 1] as const, ["constructor", 2] as const])
  expect(Object.keys(flat)).toEqual(["__proto__", "constructor"])
  expect(Object.keys(Flat.unflatten(Flat.fromEntries([["constructor.weight", 1] as const])))).toEqual(["constructor"])
})

test("under removes what prefix adds, and later records win a merge", () => {
  const params = { "fc.weight": 1 }
  const state = Flat.merge(Flat.prefix(params, "generator"), Flat.prefix({ "fc.weight": 2 }, "generator_ema"))
  expect({ ...Flat.under(state, "generator") }).toEqual(params)
  expect({ ...Flat.merge(params, { "fc.weight": 5 }) }).toEqual({ "fc.weight": 5 })
})
