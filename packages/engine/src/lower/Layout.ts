/**
 * Physical layouts of rank-4 values. A step computes in NHWC and HWIO. ONNX convolves NCHW with OIHW. ONNX Runtime's CPU provider
 * is fastest on blocked layouts, in which 8 or 16 channels are contiguous (Georganas et al. 2018, "Anatomy of high-performance deep
 * learning convolutions on SIMD architectures").
 */
import { NdArray } from "@adafm/core"

export type Layout =
  /** The step's own layout: NHWC, HWIO, or a value of another rank. */
  | "plain"
  | "nchw"
  /** NCHW with the channels in blocks: `[N, C/b, H, W, b]`. */
  | "blocked"
  | "oihw"
  /** Filters in blocks: `[O/b, I/b, kh, kw, b of I, b of O]`; with fewer inputs than a block `[O/b, I, kh, kw, b of O]`. */
  | "blockedFilter"

/** One physical dimension: the axis of the value that it runs along, its size and its step on that axis. */
interface Dim {
  readonly axis: number
  readonly size: number
  readonly step: number
}

const whole = (shape: readonly number[], axis: number): Dim => ({ axis, size: shape[axis]!, step: 1 })
const outer = (shape: readonly number[], axis: number, block: number): Dim => ({
  axis,
  size: shape[axis]! / block,
  step: block,
})
const inner = (axis: number, block: number): Dim => ({ axis, size: block, step: 1 })

/** The physical dimensions of a value of the given shape, outermost first. */
export const dims = (layout: Layout, shape: readonly number[], block: number): readonly Dim[] => {
  switch (layout) {
    case "plain":
      return shape.map((_, axis) => whole(shape, axis))
    case "nchw":
      return [0, 3, 1, 2].map((axis) => whole(shape, axis))
    case "oihw":
      return [3, 2, 0, 1].map((axis) => whole(shape, axis))
    case "blocked":
      return [whole(shape, 0), outer(shape, 3, block), whole(shape, 1), whole(shape, 2), inner(3, block)]
    case "blockedFilter":
      return shape[2]! < block
        ? [outer(shape, 3, block), whole(shape, 2), whole(shape, 0), whole(shape, 1), inner(3, block)]
        : [
            outer(shape, 3, block),
            outer(shape, 2, block),
            whole(shape, 0),
            whole(shape, 1),
            inner(2, block),
            inner(3, block),
          ]
  }
}

/** The shape in ONNX: blocked values have the shapes of NCHW and OIHW, as their operators expect. */
export const onnxShape = (layout: Layout, [a, b, c, d, ...rest]: readonly number[]): readonly number[] => {
  if (layout === "nchw" || layout === "blocked") return [a!, d!, b!, c!]
  if (layout === "oihw" || layout === "blockedFilter") return [d!, c!, a!, b!]
  return [a, b, c, d, ...rest].filter((n) => n !== undefined)
}

export const blocksActivation = (shape: readonly number[], block: number): boolean =>
  shape.length === 4 && shape[3]! % block === 0
export const blocksFilter = (shape: readonly number[], block: number): boolean =>
  shape.length === 4 && shape[3]! % block === 0 && (shape[2]! % block === 0 || shape[2]! < block)

const strides = (shape: readonly number[]): readonly number[] => shape.map((_, i) => NdArray.sizeOf(shape.slice(i + 1)))

/** Converts from the step's layout to a physical one, on the host. */
export const pack = (
  a: NdArray.NdArray<"float32" | "int32">,
  layout: Layout,
  block: number,
): NdArray.NdArray<"float32" | "int32"> => {
  if (layout === "plain") return a
  const step = strides(a.shape)
  const d = dims(layout, a.shape, block)
  const packed = NdArray.gather(
    a.dtype,
    a.data,
    d.map((p) => p.size),
    d.map((p) => p.step * step[p.axis]!),
  )
  return NdArray.reshape(packed, onnxShape(layout, a.shape))
}

/** The inverse of `pack`. */
export const unpack = (
  a: NdArray.NdArray<"float32" | "int32">,
  layout: Layout,
  shape: readonly number[],
  block: number,
): NdArray.NdArray<"float32" | "int32"> => {
  if (layout === "plain") return NdArray.reshape(a, shape)
  const d = dims(layout, shape, block)
  const physical = strides(d.map((p) => p.size))
  // physical dimensions in the order of the value's axes; an outer block dimension comes before its inner one
  const order = [...d.keys()].sort((i, j) => d[i]!.axis - d[j]!.axis || d[j]!.step - d[i]!.step)
  return NdArray.reshape(
    NdArray.gather(
      a.dtype,
      a.data,
      order.map((i) => d[i]!.size),
      order.map((i) => physical[i]!),
    ),
    shape,
  )
}
