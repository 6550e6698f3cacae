/**
 * Every case of the conformance table at extreme inputs, on every engine: where nothing on the way leaves the range of float32, the
 * result is a number, and the right one. A saturated tanh or sigmoid that becomes NaN on one provider is found here.
 */
import { NdArray } from "@adafm/core"
import { PortableRandom } from "@adafm/testkit"
import { beforeAll, describe, expect, test } from "vitest"
import * as Eager from "../src/backends/Eager.ts"
import * as Onnx from "../src/backends/Onnx.ts"
import * as Wasm from "../src/backends/Wasm.ts"
import type { Engine } from "../src/Engine.ts"
import * as Ir from "../src/trace/Ir.ts"
import * as Trace from "../src/trace/Trace.ts"
import * as Case from "./conformance/Case.ts"
import * as Cases from "./conformance/cases/index.ts"
import * as Oracle from "./conformance/Oracle.ts"

/** Of the largest value of a tensor: at 88, the exponential magnifies the rounding of its argument 88 times. */
const TOLERANCE = 1e-3
/** Of what the result changes by if every input and the result of every operation is rounded another way. */
const CONDITION = 50
/** Relative size of a rounding: a few last bits of float32, for sums of many terms round more than once. */
const ROUNDING = 1e-6
/** Smaller numbers than the smallest normal one may be flushed to 0. */
const SMALLEST = 2 ** -126
/** Beyond it a sum in another order may overflow. */
const REPRESENTABLE = 1e30

/** TensorFlow.js computes these by polynomials with an absolute error. */
const POLYNOMIALS: ReadonlySet<string> = new Set(["Sin", "Cos", "Erf"])
const POLYNOMIAL_ERROR = 1e-6

const SIZES: Readonly<Record<string, readonly number[]>> = {
  "saturating numbers": [30, -30, 1e4, -1e4, 88, -88, 5, -5],
  "huge numbers": [1e6, -1e6, 1e7, -1e7],
  "numbers near 0": [1e-20, -1e-20, 1e-30, 1e-10, -1e-10],
}

/** The case with its numbers replaced; inputs that must be positive stay so. */
const at = (c: Case.Case, sizes: readonly number[]): Case.Case => ({
  ...c,
  inputs: Object.fromEntries(
    Object.entries(c.inputs).map(([name, input]): readonly [string, Case.Input] => {
      const given = input.numbers(name)
      if (given.dtype !== "float32") return [name, input]
      const isPositive = given.data.every((x) => x > 0)
      const numbers = given.data.map((_, i) => {
        const x = sizes[(7 * i + (i >> 3)) % sizes.length]!
        return isPositive ? Math.abs(x) : x
      })
      return [name, { ...input, numbers: () => NdArray.float32(given.shape, Float32Array.from(numbers)) }]
    }),
  ),
})

const engines: Record<string, Engine> = {}
beforeAll(async () => {
  engines["onnx, blocked"] = await Onnx.create({ threads: 1 })
  engines["onnx, plain"] = await Onnx.create({ threads: 1, blocked: false })
  engines.wasm = await Wasm.create()
  engines.cpu = await Eager.cpu()
  const provider = process.env.ADAFM_PROVIDER
  if (provider !== undefined) engines[`onnx, ${provider}`] = await Onnx.create({ provider })
})

interface Expected {
  readonly values: Float32Array
  /** Largest error that counts as right. */
  readonly tolerance: number
}

/** Numbers as float32 may hold them: off by a rounding to either side, or flushed to 0. */
const rounding = (name: string): ((x: number) => number) => {
  const draws = PortableRandom.numbers(name, 1009)
  let next = 0
  return (x) => {
    const draw = draws[next++ % draws.length]!
    return Math.abs(x) < SMALLEST ? (draw > 0 ? x : 0) : Math.fround(x * (1 + ROUNDING * Math.sign(draw)))
  }
}

/** Expected results by name, of those whose whole way is in the range of float32. */
const expectedOf = (c: Case.Case): Readonly<Record<string, Expected>> => {
  const { stats } = Trace.step(Case.derivatives(c), Case.specs(c))
  const evaluate = Oracle.evaluator(Object.values(stats))
  const arrays = Case.arrays(c)
  const point = Object.fromEntries(Object.entries(arrays).map(([name, { data }]) => [name, Float64Array.from(data)]))
  const values = evaluate(point)
  const isFloat = (name: string): boolean => arrays[name]!.dtype === "float32"
  const rounded = ["first", "second", "third"].map((name) => {
    const round = rounding(name)
    const inputs = Object.entries(point).map(([input, x]) => [input, isFloat(input) ? x.map(round) : x] as const)
    return evaluate(Object.fromEntries(inputs), { round })
  })
  const inRange = (v: Ir.Value): boolean => Array.from(values.get(v)!).every((x) => Math.abs(x) <= REPRESENTABLE)
  return Object.fromEntries(
    Object.entries(stats)
      .filter(([, value]) => Ir.reachable([value]).every(inRange))
      .map(([name, value]) => {
        const right = values.get(value)!
        const most = Math.max(...right.map(Math.abs))
        const moved = Math.max(
          ...rounded.flatMap((other) => [...other.get(value)!].map((v, i) => Math.abs(v - right[i]!))),
        )
        const usesPolynomial = Ir.reachable([value]).some((v) => v.kind === "op" && POLYNOMIALS.has(v.op))
        const absolute = usesPolynomial ? POLYNOMIAL_ERROR : SMALLEST
        return [name, { values: Float32Array.from(right), tolerance: TOLERANCE * most + CONDITION * moved + absolute }]
      }),
  )
}

let checked = 0
describe.each(Object.entries(SIZES))("%s", (_, sizes) => {
  const cases = Object.values(Cases.groups).flat()
  test.each(cases.map((c) => [Case.title(c), at(c, sizes)] as const))("%s", async (_, c) => {
    const expected = expectedOf(c)
    for (const [name, engine] of Object.entries(engines)) {
      const program = await engine.compile(Case.derivatives(c), Case.specs(c))
      program.write(Case.stateOf(c))
      const stats = await program.run(Case.batchOf(c))
      await program.dispose()
      for (const [path, { values, tolerance }] of Object.entries(expected)) {
        const found = stats[path]!.data as Float32Array
        expect.soft(found.findIndex(Number.isNaN), `${name}: ${path} is NaN at`).toBe(-1)
        const error = Math.max(...values.map((right, i) => Math.abs(found[i]! - right)))
        expect.soft(error, `${name}: ${path}`).toBeLessThanOrEqual(tolerance)
        checked++
      }
    }
  })
})

test("most results of most cases stay in range and are checked", () => {
  expect(checked).toBeGreaterThan(1000)
})
