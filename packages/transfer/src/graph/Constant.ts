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
      return NdArray.make(
        "float64",
        shape,
        left.data.map((v, i) => f(v, right.data[i]!)),
      )
    },
  }
}

/** Part of a constant: a start, a step and a count for each axis. */
export const slice = (
  a: Constant,
  ranges: readonly { readonly start: number; readonly step: number; readonly count: number }[],
): Constant => {
  const shape = ranges.map(({ count }) => count)
  return {
    shape,
    from: a.from,
    read: () => {
      const strides = a.shape.map((_, k) => a.shape.slice(k + 1).reduce((n, d) => n * d, 1))
      const { data } = a.read()
      const out = new Float64Array(NdArray.sizeOf(shape))
      const index = shape.map(() => 0)
      for (let i = 0; i < out.length; i++) {
        out[i] = data[ranges.reduce((n, { start, step }, k) => n + (start + step * index[k]!) * strides[k]!, 0)]!
        for (let k = shape.length - 1; k >= 0 && ++index[k]! === shape[k]; k--) index[k] = 0
      }
      return NdArray.make("float64", shape, out)
    },
  }
}

/** A product of matrices or of a matrix and a vector, as NumPy's `@`. */
export const product = (a: Constant, b: Constant): Constant => {
  const [rows, inner, columns] = [
    a.shape.length === 1 ? 1 : a.shape[0]!,
    a.shape.at(-1)!,
    b.shape.length === 1 ? 1 : b.shape[1]!,
  ]
  const shape = [...(a.shape.length === 1 ? [] : [rows]), ...(b.shape.length === 1 ? [] : [columns])]
  return {
    shape,
    from: [...a.from, ...b.from],
    read: () => {
      const [x, y] = [a.read().data, b.read().data]
      const out = new Float64Array(rows * columns)
      for (let i = 0; i < rows; i++)
        for (let k = 0; k < inner; k++) {
          const v = x[i * inner + k]!
          for (let j = 0; j < columns; j++) out[i * columns + j]! += v * y[k * columns + j]!
        }
      return NdArray.make("float64", shape, out)
    },
  }
}

/** The root of the sum of squares over some axes. */
export const norm = (a: Constant, axes: readonly number[], keep: boolean): Constant => {
  const kept = a.shape.map((n, k) => (axes.includes(k) ? 1 : n))
  return {
    shape: keep ? kept : kept.filter((_, k) => !axes.includes(k)),
    from: a.from,
    read: () => {
      const strides = kept.map((n, k) => (n === 1 ? 0 : kept.slice(k + 1).reduce((m, d) => m * d, 1)))
      const out = new Float64Array(NdArray.sizeOf(kept))
      const index = a.shape.map(() => 0)
      for (const value of a.read().data) {
        out[index.reduce((n, i, k) => n + i * strides[k]!, 0)]! += value * value
        for (let k = a.shape.length - 1; k >= 0 && ++index[k]! === a.shape[k]; k--) index[k] = 0
      }
      return NdArray.make("float64", keep ? kept : kept.filter((_, k) => !axes.includes(k)), out.map(Math.sqrt))
    },
  }
}
