/** A tensor that a graph holds: its shape now, its values when they are asked for. */
import { NdArray } from "@adafm/core"

type Float64 = NdArray.NdArray<"float64">

export interface Constant {
  readonly shape: readonly number[]
  /** Paths of the file's tensors that it is computed from. */
  readonly from: readonly string[]
  readonly read: () => Float64
}

/** Numbers of a constant that steers the graph (shapes, pads, scales); larger ones are weights. */
const MAX_NUMBERS = 4096

export const of = (shape: readonly number[], values: readonly number[]): Constant => ({
  shape,
  from: [],
  read: () => NdArray.make("float64", shape, Float64Array.from(values)),
})

/** The numbers of a small constant; undefined for weights. */
export const numbers = ({ shape, read }: Constant): readonly number[] | undefined =>
  NdArray.sizeOf(shape) > MAX_NUMBERS ? undefined : [...read().data]

/** All values where they are equal. */
export const uniform = (constant: Constant): number | undefined => {
  const { data } = constant.read()
  return data.length > 0 && data.every((v) => v === data[0]) ? data[0] : undefined
}

export const permute = (a: Constant, order: readonly number[]): Constant => ({
  shape: order.map((axis) => a.shape[axis]!),
  from: a.from,
  read: () => NdArray.permute(a.read(), order),
})

export const reshape = (a: Constant, shape: readonly number[]): Constant => ({
  shape,
  from: a.from,
  read: () => NdArray.reshape(a.read(), shape),
})

export const map = (a: Constant, f: (value: number) => number): Constant => ({
  shape: a.shape,
  from: a.from,
  read: () => NdArray.make("float64", a.shape, a.read().data.map(f)),
})

/** One result of two constants, with NumPy's broadcasting. */
export const combine = (a: Constant, b: Constant, f: (x: number, y: number) => number): Constant => {
  const rank = Math.max(a.shape.length, b.shape.length)
  const wide = ({ shape }: Constant): readonly number[] => [...Array(rank - shape.length).fill(1), ...shape]
  const [p, q] = [wide(a), wide(b)]
  const shape = p.map((n, k) => Math.max(n, q[k]!))
  const strides = (own: readonly number[]): readonly number[] =>
    own.map((n, k) => (n === 1 ? 0 : own.slice(k + 1).reduce((m, d) => m * d, 1)))
  return {
    shape,
    from: [...a.from, ...b.from],
    read: () => {
      const left = NdArray.gather("float64", a.read().data, shape, strides(p))
      const right = NdArray.gather("float64", b.read().data, shape, strides(q))
      return NdArray.make("float64", shape, left.data.map((v, i) => f(v, right.data[i]!)))
    },
  }
}
