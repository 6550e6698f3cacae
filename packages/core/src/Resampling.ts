/**
 * Pooling, upsampling, padding and cropping of feature maps with any window, written with operations that are twice
 * differentiable: slices, concatenations and products with constant matrices. Images are `[B, H, W, C]`.
 */
import * as tf from "@tensorflow/tfjs-core"
import * as Ops from "./Ops.ts"

type Images = tf.Tensor4D
/** Pixels on each side. */
export type Sides = readonly [top: number, left: number, bottom: number, right: number]

const AXES = [1, 2] as const

/** Zeros around the image. Kernels: PadV2; gradient Slice. */
export const pad = (x: tf.Tensor, [top, left, bottom, right]: Sides, value = 0): Images =>
  top + left + bottom + right === 0
    ? (x as Images)
    : tf.pad(
        x as Images,
        [
          [0, 0],
          [top, bottom],
          [left, right],
          [0, 0],
        ],
        value,
      )

/** The image without a border. Kernels: Slice; gradient PadV2. */
export const crop = (x: tf.Tensor, [top, left, bottom, right]: Sides): Images => {
  const [batch, height, width, channels] = (x as Images).shape
  return top + left + bottom + right === 0
    ? (x as Images)
    : tf.slice(x as Images, [0, top, left, 0], [batch, height - top - bottom, width - left - right, channels])
}

/** `size` entries of one axis from `begin` on. */
const part = (x: Images, axis: number, begin: number, size: number): Images => {
  const along = (own: number, other: (n: number) => number): [number, number, number, number] =>
    x.shape.map((n, k) => (k === axis ? own : other(n))) as [number, number, number, number]
  return tf.slice(
    x,
    along(begin, () => 0),
    along(size, (n) => n),
  )
}

/** Border pixels in mirrored order, without the edge itself, as PyTorch's `ReflectionPad2d`. Kernels: Slice, Concat. */
export const reflect = (x: tf.Tensor, [top, left, bottom, right]: Sides): Images => {
  const along = (y: Images, axis: number, before: number, after: number): Images => {
    const n = y.shape[axis]!
    const at = (i: number): Images => part(y, axis, i, 1)
    const first = Array.from({ length: before }, (_, i) => at(before - i))
    const last = Array.from({ length: after }, (_, i) => at(n - 2 - i))
    return before + after === 0 ? y : tf.concat([...first, y, ...last], axis)
  }
  return along(along(x as Images, 1, top, bottom), 2, left, right)
}

/** Every `stride`-th entry of one axis, `count` of them. */
const every = (x: Images, axis: number, stride: number, count: number): Images => {
  if (stride === 1) return part(x, axis, 0, count)
  const missing = count * stride - x.shape[axis]!
  const more: Sides = axis === 1 ? [0, 0, Math.max(0, missing), 0] : [0, 0, 0, Math.max(0, missing)]
  const whole = part(pad(x, more), axis, 0, count * stride)
  const [batch, height, width, channels] = whole.shape
  const split: [number, number, number, number] =
    axis === 1 ? [batch * count, stride, width, channels] : [batch * height * count, stride, channels, 1]
  const first = part(tf.reshape(whole, split), 1, 0, 1)
  return tf.reshape(first, axis === 1 ? [batch, count, width, channels] : [batch, height, count, channels])
}

/** Windows that fit into `n` entries. */
const windows = (n: number, kernel: number, stride: number): number => Math.floor((n - kernel) / stride) + 1

/** Combines the entries of every window, along one axis after the other. */
const reduceWindows = (x: Images, kernel: number, stride: number, combine: (a: Images, b: Images) => Images): Images =>
  AXES.reduce((y: Images, axis) => {
    const count = windows(y.shape[axis]!, kernel, stride)
    const length = (count - 1) * stride + 1
    const shifted = Array.from({ length: kernel }, (_, k) => every(part(y, axis, k, length), axis, stride, count))
    return shifted.reduce(combine)
  }, x)

const larger = (a: Images, b: Images): Images => tf.where(tf.greaterEqual(a, b), a, b)

export interface Window {
  readonly kernel: number
  readonly stride: number
  /** Pixels that are added on each side before pooling. */
  readonly pad?: Sides
}

const NONE: Sides = [0, 0, 0, 0]

/**
 * The largest value of every window; `[B, H, W, C] → [B, H', W', C]` with `H' = ⌊(H + top + bottom - kernel) / stride⌋ + 1`. Of
 * equal values the first receives the gradient. Kernels: Slice, Reshape, GreaterEqual, Select.
 */
export const maxPool = (x: tf.Tensor, { kernel, stride, pad: sides = NONE }: Window): Images =>
  reduceWindows(pad(x, sides, -3e38), kernel, stride, larger)

/**
 * The mean of every window, shapes as `maxPool`. Kernels: Slice, Reshape, Add, Multiply.
 * @param countsPad whether added pixels count as zeros (PyTorch's default) or not at all (Keras, ONNX)
 */
export const averagePool = (
  x: tf.Tensor,
  { kernel, stride, pad: sides = NONE }: Window,
  countsPad: boolean,
): Images => {
  if (kernel === 2 && stride === 2 && sides.every((n) => n === 0) && x.shape[1]! % 2 === 0 && x.shape[2]! % 2 === 0)
    return Ops.avgPool2(x)
  const sum = reduceWindows(pad(x, sides), kernel, stride, (a, b) => tf.add(a, b))
  if (countsPad || sides.every((n) => n === 0)) return tf.mul(sum, 1 / (kernel * kernel))
  const counts = (axis: 1 | 2): number[] => {
    const [before, after] = axis === 1 ? [sides[0], sides[2]] : [sides[1], sides[3]]
    const n = x.shape[axis]!
    return Array.from({ length: windows(n + before + after, kernel, stride) }, (_, i) => {
      const begin = i * stride - before
      return Math.min(n, begin + kernel) - Math.max(0, begin)
    })
  }
  const [rows, columns] = [counts(1), counts(2)]
  const scale = Float32Array.from(
    { length: rows.length * columns.length },
    (_, i) => 1 / (rows[Math.floor(i / columns.length)]! * columns[i % columns.length]!),
  )
  return tf.mul(sum, tf.tensor4d(scale, [1, rows.length, columns.length, 1]))
}

/** The mean over height and width, `[B, H, W, C] → [B, 1, 1, C]`. Kernels: Mean. */
export const globalAverage = (x: tf.Tensor): Images => tf.mean(x as Images, [1, 2], true)

/** Repeats every pixel `factor` times in both directions. Kernels: Concat, Reshape. */
export const repeat = (x: tf.Tensor, factor: number): Images => {
  if (factor === 1) return x as Images
  if (factor === 2) return Ops.upsample2(x)
  const [batch, height, width, channels] = (x as Images).shape
  const copies = (y: tf.Tensor, rows: number, size: number): tf.Tensor => {
    const one = tf.reshape(y, [rows, 1, size])
    return tf.concat(
      Array.from({ length: factor }, () => one),
      1,
    )
  }
  const tall = copies(x, batch * height, width * channels)
  const wide = copies(tall, batch * height * factor * width, channels)
  return tf.reshape(wide, [batch, height * factor, width * factor, channels])
}

/** Rows of linear interpolation: `size · factor` positions over `size` entries. */
const interpolation = (size: number, factor: number, alignCorners: boolean): tf.Tensor2D => {
  const out = size * factor
  const data = new Float32Array(out * size)
  for (let i = 0; i < out; i++) {
    const at = alignCorners ? (out === 1 ? 0 : (i * (size - 1)) / (out - 1)) : Math.max(0, (i + 0.5) / factor - 0.5)
    const low = Math.min(size - 1, Math.floor(at))
    const high = Math.min(size - 1, low + 1)
    data[i * size + low]! += 1 - (at - low)
    data[i * size + high]! += at - low
  }
  return tf.tensor2d(data, [out, size])
}

/**
 * Bilinear upsampling, as PyTorch's `interpolate(mode="bilinear")`; without `alignCorners` also as Keras' `UpSampling2D`.
 * Kernels: BatchMatMul with constant matrices, Transpose, Reshape.
 */
export const bilinear = (x: tf.Tensor, factor: number, alignCorners: boolean): Images => {
  const [batch, height, width, channels] = (x as Images).shape
  const rows = interpolation(height, factor, alignCorners)
  const columns = interpolation(width, factor, alignCorners)
  const first = tf.reshape(tf.transpose(x as Images, [1, 0, 2, 3]), [height, batch * width * channels])
  const tall = tf.reshape(tf.matMul(rows, first as tf.Tensor2D), [height * factor, batch, width, channels])
  const second = tf.reshape(tf.transpose(tall, [2, 1, 0, 3]), [width, batch * height * factor * channels])
  const wide = tf.reshape(tf.matMul(columns, second as tf.Tensor2D), [width * factor, batch, height * factor, channels])
  return tf.transpose(wide, [1, 2, 0, 3]) as Images
}

/**
 * Channels become pixels, `[B, H, W, C·r²] → [B, H·r, W·r, C]`. Kernels: Reshape, Transpose.
 * @param order which of the `C·r²` channels belongs to which pixel: `crd` as PyTorch's `PixelShuffle`, `dcr` as TensorFlow's
 * `depth_to_space`
 */
export const pixelShuffle = (x: tf.Tensor, factor: number, order: "crd" | "dcr"): Images => {
  const [batch, height, width, all] = (x as Images).shape
  const channels = all / factor ** 2
  const split = order === "crd" ? [channels, factor, factor] : [factor, factor, channels]
  const cells = tf.reshape(x, [batch * height, width, ...split] as [number, number, number, number, number])
  // [B·H, W, …] → [B·H, row, W, column, C]
  const moved = tf.transpose(cells, order === "crd" ? [0, 3, 1, 4, 2] : [0, 2, 1, 3, 4])
  return tf.reshape(moved, [batch, height * factor, width * factor, channels])
}
