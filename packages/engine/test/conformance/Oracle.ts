/**
 * The reference for compiled steps: evaluates the operations of a traced program in float64, by their definitions. It shares only
 * the graph with the engines, rearranges no operation, and writes every loop in the obvious way.
 *
 * Piecewise functions (ReLU, maximum, comparisons, …) choose their piece by the values at a *base point*. At the base point this is
 * the function itself; elsewhere it is the smooth continuation of that piece, so differences never cross a kink.
 */
import * as Ir from "../../src/trace/Ir.ts"

import type { Numbers, Run } from "./StructuredOps.ts"
import * as StructuredOps from "./StructuredOps.ts"

/** The elements of the inputs, by name. */
export type Point = Readonly<Record<string, Numbers>>
export type Values = ReadonlyMap<Ir.Value, Numbers>

/** Unary functions of x; `at` is x at the base point. */
const unary: Readonly<Record<string, (x: number, at: number, attrs: Ir.Attrs) => number>> = {
  Neg: (x) => -x,
  Sqrt: Math.sqrt,
  Exp: Math.exp,
  Log: Math.log,
  Sin: Math.sin,
  Cos: Math.cos,
  Tanh: Math.tanh,
  Reciprocal: (x) => 1 / x,
  Sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  // log(1 + eˣ), which overflows for no x in this form
  Softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  Erf: (x) => {
    // 1 to the last bit, and the series needs more than its 80 terms
    if (Math.abs(x) > 6) return Math.sign(x)
    let [sum, term] = [0, x]
    for (let n = 0; n < 80; n++) {
      sum += term / (2 * n + 1)
      term *= -(x * x) / (n + 1)
    }
    return (2 / Math.sqrt(Math.PI)) * sum
  },
  Relu: (x, at) => (at > 0 ? x : 0),
  LeakyRelu: (x, at, { alpha }) => (at > 0 ? x : x * Math.fround(alpha as number)),
  SlopeMask: (_, at, { slope }) => (at > 0 ? 1 : Math.fround(slope as number)),
  Abs: (x, at) => Math.sign(at) * x,
  Sign: (_, at) => Math.sign(at),
  Floor: (_, at) => Math.floor(at),
  Not: (_, at) => (at === 0 ? 1 : 0),
}
const isTrue = (condition: boolean): number => (condition ? 1 : 0)
/** Binary functions of a and b; p and q are a and b at the base point. */
const binary: Readonly<Record<string, (a: number, b: number, p: number, q: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Pow: (a, b) => a ** b,
  Max: (a, b, p, q) => (p > q ? a : b),
  Min: (a, b, p, q) => (p < q ? a : b),
  Greater: (_, __, p, q) => isTrue(p > q),
  GreaterOrEqual: (_, __, p, q) => isTrue(p >= q),
  Less: (_, __, p, q) => isTrue(p < q),
  LessOrEqual: (_, __, p, q) => isTrue(p <= q),
  Equal: (_, __, p, q) => isTrue(p === q),
  And: (_, __, p, q) => isTrue(p !== 0 && q !== 0),
  Or: (_, __, p, q) => isTrue(p !== 0 || q !== 0),
}

const runOf = (v: Ir.Op): Run => {
  const [one, two] = [unary[v.op], binary[v.op]]
  if (one !== undefined) return ([x], [at]) => x!.map((value, i) => one(value, at![i]!, v.attrs))
  if (two !== undefined) {
    const [left, right] = v.inputs.map((x) => StructuredOps.broadcast(x.shape, v.shape)) as [Int32Array, Int32Array]
    return ([a, b], [p, q]) => {
      const result = new Float64Array(left.length)
      for (let n = 0; n < result.length; n++) {
        const [i, j] = [left[n]!, right[n]!]
        result[n] = two(a![i]!, b![j]!, p![i]!, q![j]!)
      }
      return result
    }
  }
  const lowered = StructuredOps.table[v.op]
  if (lowered === undefined) throw new Error(`the oracle does not know the operation ${v.op}`)
  return lowered(v, v.inputs[0]!, v.inputs[1]!)
}

export interface Options {
  /** Where pieces are chosen; by default at the point itself. */
  readonly base?: Values
  /** Rounds the result of every operation; by default nothing is rounded. */
  readonly round?: (x: number) => number
}

/** Evaluates the outputs, and all values they depend on, at a point. */
export const evaluator = (outputs: Iterable<Ir.Value>): ((point: Point, options?: Options) => Values) => {
  const order = Ir.reachable(outputs)
  const runs = new Map(order.flatMap((v) => (v.kind === "op" ? [[v, runOf(v)] as const] : [])))
  return (point, { base, round } = {}) => {
    const values = new Map<Ir.Value, Numbers>()
    const numbers = (v: Ir.Value): Numbers => {
      if (v.kind === "input") return point[v.name]!
      if (v.kind === "op") {
        const exact = runs.get(v)!(
          v.inputs.map((x) => values.get(x)!),
          v.inputs.map((x) => (base ?? values).get(x)!),
        )
        return round === undefined ? exact : exact.map(round)
      }
      // constants reach the engines in float32
      return typeof v.data === "number"
        ? new Float64Array(Ir.size(v.shape)).fill(Math.fround(v.data))
        : Float64Array.from(v.data)
    }
    for (const v of order) values.set(v, numbers(v))
    return values
  }
}
