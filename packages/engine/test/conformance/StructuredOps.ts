/** The oracle's operations that are not elementwise: convolutions, matrix products, pooling, reductions, slices, … */
import * as Ir from "../../src/trace/Ir.ts"

export type Numbers = Float64Array
/** An operation on the elements of its inputs; `at` are the inputs at the base point. */
export type Run = (x: readonly Numbers[], at: readonly Numbers[]) => Numbers

type Quad = readonly [number, number, number, number]
type Pair = readonly [number, number]
type Pairs = readonly [Pair, Pair, Pair]
const ints = (a: Ir.Attrs[string]): readonly number[] => a as readonly number[]
const stridesOf = (shape: readonly number[]): readonly number[] => shape.map((_, i) => Ir.size(shape.slice(i + 1)))

/** `offset + Σ index_k · strides_k` for every index into `shape`, the last axis fastest. */
const walk = (shape: readonly number[], strides: readonly number[], offset = 0): Int32Array => {
  let reached = Int32Array.of(offset)
  for (const [axis, d] of shape.entries()) {
    const next = new Int32Array(reached.length * d)
    for (let i = 0; i < next.length; i++) next[i] = reached[Math.floor(i / d)]! + (i % d) * strides[axis]!
    reached = next
  }
  return reached
}
/** For each element of `shape`, the index of its operand in an array that is broadcast to `shape`. */
export const broadcast = (from: readonly number[], shape: readonly number[]): Int32Array => {
  const padded = [...Array<number>(shape.length - from.length).fill(1), ...from]
  const strides = stridesOf(padded)
  return walk(
    shape,
    padded.map((d, i) => (d === 1 ? 0 : strides[i]!)),
  )
}

/** Each element is the input's element at the index in the table, or `fill` for index -1. */
const moved =
  (table: Int32Array, fill = 0): Run =>
  ([x]) =>
    Float64Array.from(table, (from) => (from < 0 ? fill : x![from]!))

/** The table of `moved` over `shape`, from a function that maps an index along an axis to the input's; -1 outside the input. */
const indexTable = (
  shape: readonly number[],
  from: readonly number[],
  source: (index: number, axis: number) => number,
): Int32Array => {
  const [strides, steps] = [stridesOf(shape), stridesOf(from)]
  return Int32Array.from({ length: Ir.size(shape) }, (_, flat) => {
    let at = 0
    for (const [axis, d] of shape.entries()) {
      const index = source(Math.floor(flat / strides[axis]!) % d, axis)
      if (index < 0 || index >= from[axis]!) return -1
      at += index * steps[axis]!
    }
    return at
  })
}

/** Each element of the result is the weighted sum of a group of the input's elements (`gathered`), or one of them, chosen at the base point (`chosen`). */
const gathered =
  (groups: readonly (readonly number[])[], weight: (group: readonly number[]) => number): Run =>
  ([x]) =>
    Float64Array.from(groups, (group) => weight(group) * group.reduce((sum, i) => sum + x![i]!, 0))
const chosen =
  (groups: readonly (readonly number[])[], better: (p: number, q: number) => boolean): Run =>
  ([x], [at]) =>
    Float64Array.from(groups, (group) => x![group.reduce((i, j) => (better(at![j]!, at![i]!) ? j : i))]!)

/** The elements of x that a reduction combines, for each element of the result. */
const reduced = (v: Ir.Op): readonly (readonly number[])[] => {
  const shape = v.inputs[0]!.shape
  const kept = shape.map((d, axis) => (ints(v.attrs.axes).includes(axis) ? 1 : d))
  const groups: number[][] = Array.from({ length: Ir.size(kept) }, () => [])
  for (const [from, to] of broadcast(kept, shape).entries()) groups[to]!.push(from)
  return groups
}

/** The elements of x in each pooling window, without padding. */
const pooled = (v: Ir.Op): readonly (readonly number[])[] => {
  if (v.attrs.includePad === true) throw new Error("the oracle evaluates traced programs before any rule rewrites them")
  const [batch, height, width, channels] = v.inputs[0]!.shape as Quad
  const [[kh, kw], [sy, sx], [top, left]] = [v.attrs.kernel, v.attrs.strides, v.attrs.pads].map(
    ints,
  ) as unknown as Pairs
  const [, rows, columns] = v.shape as Quad
  const groups: number[][] = []
  for (let n = 0; n < batch; n++)
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++)
        for (let c = 0; c < channels; c++) {
          const group: number[] = []
          for (let i = y * sy - top; i < y * sy - top + kh; i++)
            for (let j = x * sx - left; j < x * sx - left + kw; j++)
              if (i >= 0 && i < height && j >= 0 && j < width) group.push(((n * height + i) * width + j) * channels + c)
          groups.push(group)
        }
  return groups
}

/**
 * `y[n, i, j, o] = Σ x[n, i·s + ky·d - top, j·s + kx·d - left, c] · w[ky, kx, c, o]`, and its gradients, which sum over the same
 * terms. `term` adds the products of one pixel and tap, whose first elements are at `x`, `w` and `y`.
 */
const convolution = (
  attrs: Ir.Attrs,
  [batch, height, width, cin]: Quad,
  [kh, kw, , cout]: Quad,
  [, rows, columns]: Quad,
  term: (x: number, w: number, y: number) => void,
): void => {
  const [[sy, sx], [dy, dx], [top, left]] = [attrs.strides, attrs.dilations, attrs.pads].map(ints) as unknown as Pairs
  for (let n = 0; n < batch; n++)
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < columns; j++)
        for (let ky = 0; ky < kh; ky++)
          for (let kx = 0; kx < kw; kx++) {
            const [row, column] = [i * sy + ky * dy - top, j * sx + kx * dx - left]
            if (row < 0 || row >= height || column < 0 || column >= width) continue
            const x = ((n * height + row) * width + column) * cin
            term(x, (ky * kw + kx) * cin * cout, ((n * rows + i) * columns + j) * cout)
          }
}
const convolve =
  (v: Ir.Op, x: Ir.Value, w: Ir.Value, y: Ir.Value): Run =>
  ([first, second]) => {
    const result = new Float64Array(Ir.size(v.shape))
    const of = (value: Ir.Value): Numbers => (value === v ? result : value === v.inputs[0] ? first! : second!)
    const [X, W, Y] = [of(x), of(w), of(y)]
    const [cin, cout] = [w.shape[2]!, w.shape[3]!]
    convolution(v.attrs, x.shape as Quad, w.shape as Quad, y.shape as Quad, (x, w, y) => {
      for (let c = 0; c < cin; c++)
        for (let o = 0; o < cout; o++) {
          if (result === Y) Y[y + o]! += X[x + c]! * W[w + c * cout + o]!
          else if (result === X) X[x + c]! += Y[y + o]! * W[w + c * cout + o]!
          else W[w + c * cout + o]! += X[x + c]! * Y[y + o]!
        }
    })
    return result
  }

const matMul = (v: Ir.Op): Run => {
  const [a, b] = v.inputs as [Ir.Value, Ir.Value]
  const lead = v.shape.slice(0, -2)
  const [rows, columns] = v.shape.slice(-2) as [number, number]
  const inner = a.shape.at(v.attrs.transposeA === true ? -2 : -1)!
  const [rowA, stepA] = v.attrs.transposeA === true ? [1, rows] : [inner, 1]
  const [columnB, stepB] = v.attrs.transposeB === true ? [inner, 1] : [1, columns]
  const [startA, startB] = [a, b].map((x) => broadcast(x.shape.slice(0, -2), lead)) as [Int32Array, Int32Array]
  return ([A, B]) =>
    Float64Array.from({ length: Ir.size(v.shape) }, (_, flat) => {
      const [matrix, i, j] = [Math.floor(flat / (rows * columns)), Math.floor(flat / columns) % rows, flat % columns]
      const [p, q] = [startA[matrix]! * rows * inner + i * rowA, startB[matrix]! * inner * columns + j * columnB]
      let sum = 0
      for (let k = 0; k < inner; k++) sum += A![p + k * stepA]! * B![q + k * stepB]!
      return sum
    })
}

export const table: Readonly<Record<string, (v: Ir.Op, x: Ir.Value, y: Ir.Value) => Run>> = {
  Conv: (v, x, w) => convolve(v, x, w, v),
  ConvInputGrad: (v, dy, w) => convolve(v, v, w, dy),
  ConvFilterGrad: (v, x, dy) => convolve(v, x, v, dy),
  MatMul: matMul,
  AvgPool: (v) => gathered(pooled(v), (window) => 1 / window.length),
  MaxPool: (v) => chosen(pooled(v), (p, q) => p > q),
  ReduceSum: (v) => gathered(reduced(v), () => 1),
  ReduceMean: (v) => gathered(reduced(v), (group) => 1 / group.length),
  ReduceMax: (v) => chosen(reduced(v), (p, q) => p > q),
  ReduceMin: (v) => chosen(reduced(v), (p, q) => p < q),
  Reshape:
    () =>
    ([x]) =>
      x!,
  Cast:
    ({ dtype }) =>
    ([x], [at]) =>
      dtype === "float32" ? x! : dtype === "int32" ? at!.map(Math.trunc) : at!.map((p) => (p === 0 ? 0 : 1)),
  Broadcast: (v, x) => moved(broadcast(x.shape, v.shape)),
  Transpose: (v, x) =>
    moved(
      walk(
        v.shape,
        ints(v.attrs.perm).map((axis) => stridesOf(x.shape)[axis]!),
      ),
    ),
  Slice: (v, x) => moved(indexTable(v.shape, x.shape, (i, axis) => i + ints(v.attrs.begin)[axis]!)),
  Tile: (v, x) => moved(indexTable(v.shape, x.shape, (i, axis) => i % x.shape[axis]!)),
  Pad: (v, x) =>
    moved(
      indexTable(v.shape, x.shape, (i, axis) => i - ints(v.attrs.before)[axis]!),
      v.attrs.value as number,
    ),
  Reverse: (v, x) =>
    moved(indexTable(v.shape, x.shape, (i, axis) => (ints(v.attrs.axes).includes(axis) ? x.shape[axis]! - 1 - i : i))),
  ChannelAffine: (v, _, scale) => {
    const channels = v.shape.at(-1)!
    const at = (w: Ir.Value, i: number): number => (Ir.size(w.shape) === 1 ? 0 : i % channels)
    return ([x, s, t]) => x!.map((value, i) => value * s![at(scale, i)]! + t![at(v.inputs[2]!, i)]!)
  },
  Upsample: (v, x) =>
    moved(indexTable(v.shape, x.shape, (i, axis) => Math.floor(i / [1, ...ints(v.attrs.scales), 1][axis]!))),
  Concat: (v) => {
    const axis = v.attrs.axis as number
    let before = 0
    const tables = v.inputs.map((x) => {
      const at = before
      before += x.shape[axis]!
      return indexTable(v.shape, x.shape, (i, k) => (k === axis ? i - at : i))
    })
    return (xs) =>
      Float64Array.from({ length: Ir.size(v.shape) }, (_, i) => {
        const part = tables.findIndex((t) => t[i]! >= 0)
        return xs[part]![tables[part]![i]!]!
      })
  },
  Gather: (v, x, indices) => {
    const axis = v.attrs.axis as number
    const [rows, inner] = [Ir.size(indices.shape), Ir.size(x.shape.slice(axis + 1))]
    return ([from], [, at]) =>
      Float64Array.from({ length: Ir.size(v.shape) }, (_, flat) => {
        const [outer, row, rest] = [Math.floor(flat / (rows * inner)), Math.floor(flat / inner) % rows, flat % inner]
        return from![(outer * x.shape[axis]! + at![row]!) * inner + rest]!
      })
  },
  Select: (v) => {
    const [condition, yes, no] = v.inputs.map((x) => broadcast(x.shape, v.shape)) as [
      Int32Array,
      Int32Array,
      Int32Array,
    ]
    return ([, a, b], [at]) =>
      Float64Array.from({ length: Ir.size(v.shape) }, (_, i) => (at![condition[i]!] ? a![yes[i]!]! : b![no[i]!]!))
  },
}
