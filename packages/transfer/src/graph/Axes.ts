/**
 * How the axes of a value in a graph relate to the axes that a stack knows: batch and channels, height, width of an image, or the
 * entries of a vector. Transposes, reshapes and flattenings of a graph change only this relation; layers are added where it must be
 * carried out. An axis is a list of digits: a flattened feature map's axis is (c, h, w) or (h, w, c).
 */

export type Base = "b" | "c" | "h" | "w" | "n"

/** Part of an index: it counts `size` values in steps of `stride` of its base. */
export interface Digit {
  readonly base: Base
  readonly size: number
  readonly stride: number
}
export type Axis = readonly Digit[]
export type Axes = readonly Axis[]

export const whole = (base: Base, size: number): Axis => (size === 1 ? [] : [{ base, size, stride: 1 }])

export const sizeOf = (axis: Axis): number => axis.reduce((n, { size }) => n * size, 1)
export const shapeOf = (axes: Axes): readonly number[] => axes.map(sizeOf)

/** Neighbouring digits of one base as one, where they continue each other. */
const fused = (axis: Axis): Axis => {
  const out: Digit[] = []
  for (const digit of axis) {
    const last = out.at(-1)
    if (digit.size === 1) continue
    if (last !== undefined && last.base === digit.base && last.stride === digit.stride * digit.size)
      out[out.length - 1] = { base: digit.base, size: last.size * digit.size, stride: digit.stride }
    else out.push(digit)
  }
  return out
}

export const equal = (a: Axes, b: Axes): boolean =>
  a.length === b.length &&
  a.every((axis, i) => {
    const [p, q] = [fused(axis), fused(b[i]!)]
    return (
      p.length === q.length &&
      p.every(({ base, size, stride }, k) => base === q[k]!.base && size === q[k]!.size && stride === q[k]!.stride)
    )
  })

/** The axes after a reshape; undefined where a dimension would cut through an index. */
export const reshape = (axes: Axes, shape: readonly number[]): Axes | undefined => {
  const digits = [...axes.flatMap(fused)]
  const made: Digit[][] = []
  for (const size of shape) {
    const axis: Digit[] = []
    let left = size
    while (left > 1) {
      const digit = digits.shift()
      if (digit === undefined) return undefined
      if (left % digit.size === 0) {
        axis.push(digit)
        left /= digit.size
      } else if (digit.size % left === 0) {
        const inner = digit.size / left
        axis.push({ ...digit, size: left, stride: digit.stride * inner })
        digits.unshift({ ...digit, size: inner })
        left = 1
      } else return undefined
    }
    made.push(axis)
  }
  return digits.length === 0 ? made : undefined
}

export const image = (batch: number, [c, h, w]: readonly [number, number, number]): Axes => [
  whole("b", batch),
  whole("c", c),
  whole("h", h),
  whole("w", w),
]

/** A vector that was reshaped to an image, in the order (C, H, W) or (H, W, C), and is read as `[B, C, H, W]`. */
export const viewed = (batch: number, [c, h, w]: readonly [number, number, number], order: "chw" | "hwc"): Axes => {
  const part = (size: number, stride: number): Axis => (size === 1 ? [] : [{ base: "n", size, stride }])
  return order === "chw"
    ? [whole("b", batch), part(c, h * w), part(h, w), part(w, 1)]
    : [whole("b", batch), part(c, 1), part(h, w * c), part(w, c)]
}

/** Channels that were moved to pixels, read as `[B, C, H·r, W·r]`. */
export const shuffled = (
  batch: number,
  [all, h, w]: readonly [number, number, number],
  factor: number,
  order: "crd" | "dcr",
): Axes => {
  const c = all / factor ** 2
  const part = (base: Base, size: number, stride: number): Axis => (size === 1 ? [] : [{ base, size, stride }])
  const step =
    order === "crd" ? { channel: factor ** 2, row: factor, column: 1 } : { channel: 1, row: factor * c, column: c }
  return [
    whole("b", batch),
    part("c", c, step.channel),
    [...whole("h", h), ...part("c", factor, step.row)],
    [...whole("w", w), ...part("c", factor, step.column)],
  ]
}

/** A feature map as one axis. */
export const flattened = (batch: number, [c, h, w]: readonly [number, number, number], order: "chw" | "hwc"): Axes => {
  const [C, H, W] = [whole("c", c), whole("h", h), whole("w", w)]
  return [whole("b", batch), order === "chw" ? [...C, ...H, ...W] : [...H, ...W, ...C]]
}

export const vector = (batch: number, n: number): Axes => [whole("b", batch), whole("n", n)]
