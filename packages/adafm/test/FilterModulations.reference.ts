/** Every kind on one convolution, implemented again in float64 and the file's layout: the reference for gradients. */
import { Derivatives } from "@adafm/testkit"
import type * as Modulate from "../src/Modulate.ts"

const [SAMPLES, IN, OUT, SIDE, TAPS] = [3, 3, 2, 4, 9]

/** `[OUT, IN, 3, 3]`, `[OUT]`, `[SAMPLES, IN, SIDE, SIDE]` */
export const weight = Derivatives.noise(OUT * IN * TAPS, 1)
export const bias = Derivatives.noise(OUT, 2)
export const x = Derivatives.noise(SAMPLES * IN * SIDE * SIDE, 3)
const direction = Derivatives.noise(SAMPLES * SIDE * SIDE * OUT, 8)

type Extra = Readonly<Record<string, Float64Array>>
interface Layer {
  /** W'[o, i, tap] */
  readonly weight: (o: number, i: number, tap: number) => number
  readonly bias?: (o: number) => number
}

const W = (o: number, i: number, tap: number): number => weight[(o * IN + i) * TAPS + tap]!
const range = (n: number): readonly number[] => [...Array(n).keys()]
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)

const normalised = (o: number, i: number, tap: number): number => {
  const plane = range(TAPS).map((t) => W(o, i, t))
  const mean = sum(plane) / TAPS
  return (W(o, i, tap) - mean) / Math.sqrt(sum(plane.map((w) => (w - mean) ** 2)) / (TAPS - 1))
}

const layer = (kind: Modulate.Config["kind"], e: Extra): Layer => {
  const at = (name: string, o: number, i: number): number => e[name]![o * IN + i]!
  switch (kind) {
    case "scale":
      return { weight: (o, i, t) => at("gamma", o, i) * W(o, i, t) }
    case "shift":
      return { weight: (o, i, t) => W(o, i, t) + at("beta", o, i) }
    case "filter-selection":
      return { weight: (o, i, t) => e.gamma![o]! * W(o, i, t) }
    case "feature-statistics":
      return {
        weight: (o, i, t) => e.gamma![o]! * W(o, i, t),
        bias: (o) => e.gamma![o]! * bias[o]! + e.beta![o]!,
      }
    case "rank-one":
      return { weight: (o, i, t) => e.eta![o]! * e.s![i]! * W(o, i, t) }
    case "kml":
      return { weight: (o, i, t) => (1 + e.u![o]! * e.v![i]!) * W(o, i, t) }
    case "low-rank":
      return {
        weight: (o, i, t) => W(o, i, t) + sum(range(2).map((k) => e.u![o * 2 + k]! * e.v![(k * IN + i) * TAPS + t]!)),
      }
    case "mfilm":
      return {
        weight: (o, i, t) => at("gamma", o, i) * normalised(o, i, t) + at("beta", o, i),
        bias: (o) => bias[o]! + e.delta![o]!,
      }
    case "fine-tuning":
      return { weight: (o, i, t) => W(o, i, t) + e.delta![(o * IN + i) * TAPS + t]! }
    default:
      return { weight: (o, i, t) => at("gamma", o, i) * W(o, i, t) + at("beta", o, i) }
  }
}

/** Log deviations of the channels, then their normalised means. `[2·IN]` */
const statistics = (sample: number): readonly number[] => {
  const channels = range(IN).map((c) => {
    const pixels = range(SIDE * SIDE).map((p) => x[(sample * IN + c) * SIDE * SIDE + p]!)
    const mean = sum(pixels) / pixels.length
    return { mean, power: sum(pixels.map((v) => (v - mean) ** 2)) / pixels.length + 1e-5 }
  })
  return [
    ...channels.map(({ power }) => Math.log(Math.sqrt(power))),
    ...channels.map((c) => c.mean / Math.sqrt(c.power)),
  ]
}

/** u and v of one sample; ones for kinds that are not input-conditioned. */
const scales = (
  kind: Modulate.Config["kind"],
  e: Extra,
  sample: number,
): { u: readonly number[]; v: readonly number[] } => {
  if (!kind.startsWith("input-conditioned")) return { u: Array<number>(OUT).fill(1), v: Array<number>(IN).fill(1) }
  const s =
    kind === "input-conditioned-constant"
      ? [...e.constant!]
      : statistics(kind === "input-conditioned" ? sample : (sample + 1) % SAMPLES)
  const of = (name: string, n: number): readonly number[] =>
    range(n).map((r) => {
      const y = e[`${name}.bias`]![r]! + sum(s.map((value, k) => e[`${name}.weight`]![r * 2 * IN + k]! * value))
      return Math.exp(0.5 * Math.tanh(y))
    })
  return { u: of("u", OUT), v: of("v", IN) }
}

/** `Σ direction ⊙ (u ⊙ conv(W', v ⊙ x) + b')`; the direction is `[SAMPLES, SIDE, SIDE, OUT]`. */
export const loss = (kind: Modulate.Config["kind"], e: Extra): number => {
  const { weight, bias: shifted = (o) => bias[o]! } = layer(kind, e)
  let total = 0
  for (const n of range(SAMPLES)) {
    const { u, v } = scales(kind, e, n)
    for (const o of range(OUT))
      for (const row of range(SIDE))
        for (const column of range(SIDE)) {
          let y = 0
          for (const i of range(IN))
            for (const tap of range(TAPS)) {
              const [r, c] = [row + Math.floor(tap / 3) - 1, column + (tap % 3) - 1]
              if (r < 0 || c < 0 || r >= SIDE || c >= SIDE) continue
              y += weight(o, i, tap) * v[i]! * x[((n * IN + i) * SIDE + r) * SIDE + c]!
            }
          total += direction[((n * SIDE + row) * SIDE + column) * OUT + o]! * (u[o]! * y + shifted(o))
        }
  }
  return total
}

/** Largest difference over largest value. */
export const relative = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  const largest = Math.max(...Array.from(b, Math.abs))
  return Math.max(...Array.from(b, (value, i) => Math.abs(value - a[i]!))) / largest
}
