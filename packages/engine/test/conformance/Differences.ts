/** First and second derivatives of a traced function by central differences in float64. */
import { PortableRandom } from "@adafm/testkit"
import type * as Ir from "../../src/trace/Ir.ts"
import * as Case from "./Case.ts"
import type { Point } from "./Oracle.ts"
import * as Oracle from "./Oracle.ts"
import type { Numbers } from "./StructuredOps.ts"

const STEP = 1e-3

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}
const moved = (p: Point, d: Point, t: number): Point =>
  Object.fromEntries(
    Object.entries(p).map(([name, x]) => [name, d[name] === undefined ? x : x.map((v, i) => v + t * d[name]![i]!)]),
  )

/** `L - L(base)` for `L = ⟨c, y⟩ + ½‖y‖²` of the value y, on the pieces of `base`; summed so that little precision is lost to cancellation. */
const lossOf = (value: Ir.Value, base: Point): ((point: Point) => number) => {
  const evaluate = Oracle.evaluator([value])
  const pieces = evaluate(base)
  const y0 = pieces.get(value)!
  const c = Case.weights("value", y0.length)
  return (point) => {
    const y = evaluate(point, { base: pieces }).get(value)!
    return y.reduce((sum, v, i) => sum + (v - y0[i]!) * (c[i]! + (v + y0[i]!) / 2), 0)
  }
}

type Along = (t: number) => number
const remembered = (f: Along): Along => {
  const known = new Map<number, number>()
  return (t) => {
    const value = known.get(t) ?? f(t)
    known.set(t, value)
    return value
  }
}

interface Slopes {
  readonly first: number
  readonly second: number
}
/** d/dt and d²/dt² at t = 0 from t = ±h and ±2h, exact for polynomials up to degree 4. */
const slopes = (f: Along, h: number): Slopes => {
  const [far, near, at, nearer, farther] = [-2 * h, -h, 0, h, 2 * h].map(f) as [number, number, number, number, number]
  return {
    first: (8 * (nearer - near) - (farther - far)) / (12 * h),
    second: (16 * (near + nearer) - (far + farther) - 30 * at) / (12 * h * h),
  }
}

export interface Disagreement {
  readonly gradient: number
  readonly second: number
  /** Error of the differences themselves: how much they change with a step twice as long. */
  readonly own: number
}

/**
 * Distance of the given derivatives from differences along two directions for each input, relative to the derivatives' length. With w
 * the weights of the second loss, differences along w + d and w - d give both `∇L·d` and `w·∇²L·d`.
 */
export const disagreement = (
  value: Ir.Value,
  base: Point,
  given: { readonly gradient: Point; readonly second?: Point },
): Disagreement => {
  const loss = lossOf(value, base)
  const w: Point = Object.fromEntries(
    Object.entries(given.gradient).map(([name, g]) => [
      name,
      Float64Array.from(Case.weights(`gradient ${name}`, g.length)),
    ]),
  )
  const along = (d: Point): ((h: number) => Slopes) => {
    const [f, g] = [1, -1].map((sign) => {
      const direction = moved(w, d, sign)
      return remembered((t) => loss(moved(base, direction, t)))
    }) as [Along, Along]
    return (h) => {
      const [plus, minus] = [slopes(f, h), slopes(g, h)]
      return { first: (plus.first - minus.first) / 2, second: (plus.second - minus.second) / 4 }
    }
  }
  const length = (x: Numbers): number => Math.max(Math.sqrt(dot(x, x)), 1e-6)
  const found = Object.keys(w).flatMap((name) =>
    [1, 2].map((n): Disagreement => {
      const g = given.gradient[name]!
      const s = given.second?.[name]
      const d = Float64Array.from(PortableRandom.numbers(`direction ${n} of ${name}`, g.length))
      const [near, far] = [STEP, 2 * STEP].map(along({ [name]: d })) as [Slopes, Slopes]
      const first = {
        error: Math.abs(near.first - dot(g, d)),
        own: Math.abs(near.first - far.first),
        length: length(g),
      }
      const second =
        s === undefined
          ? { error: 0, own: 0, length: 1 }
          : { error: Math.abs(near.second - dot(s, d)), own: Math.abs(near.second - far.second), length: length(s) }
      return {
        gradient: first.error / first.length,
        second: second.error / second.length,
        own: Math.max(first.own / first.length, second.own / second.length),
      }
    }),
  )
  const worst = (of: (d: Disagreement) => number): number => Math.max(0, ...found.map(of))
  return { gradient: worst((d) => d.gradient), second: worst((d) => d.second), own: worst((d) => d.own) }
}
