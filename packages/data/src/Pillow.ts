/**
 * Pillow's antialiased resize, bit for bit (libImaging/Resample.c). When an image shrinks, the filter widens in proportion. Weights are
 * normalised. 8-bit images are computed in fixed point and rounded after the horizontal pass. Images are HWC.
 */
import { NdArray } from "@adafm/core"
import * as Pixels from "./Pixels.ts"

export type Filter = "box" | "bilinear" | "hamming" | "bicubic" | "lanczos"
type Uint8 = NdArray.NdArray<"uint8">
type Float32 = NdArray.NdArray<"float32">

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI))

interface Kernel {
  /** Half width in source pixels at scale 1. */
  readonly support: number
  readonly at: (x: number) => number
}

const kernels: Readonly<Record<Filter, Kernel>> = {
  box: { support: 0.5, at: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    at: (x) => {
      const a = Math.abs(x)
      return a >= 1 ? 0 : sinc(a) * (0.54 + 0.46 * Math.cos(a * Math.PI))
    },
  },
  bicubic: {
    support: 2,
    at: (x) => {
      const a = Math.abs(x)
      if (a < 1) return (1.5 * a - 2.5) * a * a + 1
      return a < 2 ? ((-0.5 * a + 2.5) * a - 4) * a + 2 : 0
    },
  },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
}

/** The weights of one axis: output `o` reads `count[o]` samples from `first[o]`; its weights start at `o · stride`. */
interface Taps<W extends Float64Array | Int32Array = Float64Array> {
  readonly stride: number
  readonly first: Int32Array
  readonly count: Int32Array
  readonly weights: W
}

const memo = <K extends string, V>(make: (key: K) => V, limit = 64): ((key: K) => V) => {
  const known = new Map<K, V>()
  return (key) => {
    const hit = known.get(key)
    if (hit !== undefined) return hit
    const value = make(key)
    if (known.size >= limit) known.delete(known.keys().next().value as K)
    known.set(key, value)
    return value
  }
}

/** `precompute_coeffs`: the samples within the filter's scaled support; the weights of an output sum to 1. */
const pillowTaps = memo((key: `${Filter}/${number}/${number}`): Taps => {
  const [filter, from, to] = key.split("/") as [Filter, string, string]
  const [size, out] = [Number(from), Number(to)]
  const { support, at } = kernels[filter]
  const scale = size / out
  const stretch = Math.max(1, scale)
  const reach = support * stretch
  const stride = Math.ceil(reach) * 2 + 1
  const taps = {
    stride,
    first: new Int32Array(out),
    count: new Int32Array(out),
    weights: new Float64Array(out * stride),
  }
  for (let o = 0; o < out; o++) {
    const centre = (o + 0.5) * scale
    const begin = Math.max(0, Math.trunc(centre - reach + 0.5))
    const end = Math.min(size, Math.trunc(centre + reach + 0.5))
    let sum = 0
    for (let i = begin; i < end; i++) {
      const w = at((i - centre + 0.5) / stretch)
      taps.weights[o * stride + i - begin] = w
      sum += w
    }
    if (sum !== 0) for (let k = 0; k < end - begin; k++) taps.weights[o * stride + k]! /= sum
    taps.first[o] = begin
    taps.count[o] = end - begin
  }
  return taps
})

/** Fractional bits of Pillow's 8-bit arithmetic. */
const PRECISION = 22

const fixedPointTaps = memo((key: `${Filter}/${number}/${number}`): Taps<Int32Array> => {
  const taps = pillowTaps(key)
  return {
    ...taps,
    weights: Int32Array.from(taps.weights, (w) => Math.trunc(w * 2 ** PRECISION + (w < 0 ? -0.5 : 0.5))),
  }
})

/**
 * One axis of a separable resize. The source is viewed as `[outer, size, inner]`, the target as `[outer, out, inner]`:
 * along the width of an HWC image `inner` is C, along the height W·C.
 */
const along = <A extends Uint8Array | Float32Array>(
  source: A,
  target: A,
  outer: number,
  size: number,
  inner: number,
  { stride, first, count, weights }: Taps<Float64Array | Int32Array>,
): void => {
  const out = first.length
  const rounded = source instanceof Uint8Array
  const start = rounded ? 2 ** (PRECISION - 1) : 0
  for (let r = 0; r < outer; r++) {
    for (let o = 0; o < out; o++) {
      const from = (r * size + first[o]!) * inner
      const to = (r * out + o) * inner
      const taps = count[o]!
      const w = o * stride
      for (let c = 0; c < inner; c++) {
        let sum = start
        for (let k = 0, at = from + c; k < taps; k++, at += inner) sum += source[at]! * weights[w + k]!
        target[to + c] = rounded ? clip(sum >> PRECISION) : sum
      }
    }
  }
}

const clip = (v: number): number => Math.min(255, Math.max(0, v))

const separable = <A extends Uint8Array | Float32Array>(
  data: A,
  [h, w, c]: readonly [number, number, number],
  [height, width]: readonly [number, number],
  make: (n: number) => A,
  taps: (from: number, to: number) => Taps<Float64Array | Int32Array>,
): A => {
  let current = data
  if (width !== w) {
    const next = make(h * width * c)
    along(current, next, h, w, c, taps(w, width))
    current = next
  }
  if (height !== h) {
    const next = make(height * width * c)
    along(current, next, 1, h, width * c, taps(h, height))
    current = next
  }
  return current === data ? (data.slice() as A) : current
}

/** Pillow's `RGBA` → `RGBa`: colours are multiplied by their alpha before the resize. */
const premultiplied = (pixels: Uint8Array): Uint8Array => {
  const out = pixels.slice()
  for (let i = 0; i < out.length; i += 4) {
    for (let c = 0; c < 3; c++) {
      const t = out[i + c]! * out[i + 3]! + 128
      out[i + c] = ((t >> 8) + t) >> 8
    }
  }
  return out
}

const unmultiplied = (pixels: Uint8Array): Uint8Array => {
  for (let i = 0; i < pixels.length; i += 4) {
    const alpha = pixels[i + 3]!
    if (alpha === 0 || alpha === 255) continue
    for (let c = 0; c < 3; c++) pixels[i + c] = clip(Math.trunc((255 * pixels[i + c]!) / alpha))
  }
  return pixels
}

/**
 * `Image.resize((width, height), filter)` of an 8-bit image: horizontal pass first, rounded, then vertical.
 * `[H, W, C] → [height, width, C]`; four channels are RGBA.
 */
export const resize = (image: Uint8, height: number, width: number, filter: Filter): Uint8 => {
  const [h, w, c] = Pixels.shapeOf(image)
  const pixels = (data: Uint8Array): Uint8Array =>
    separable(
      data,
      [h, w, c],
      [height, width],
      (n) => new Uint8Array(n),
      (a, b) => fixedPointTaps(`${filter}/${a}/${b}`),
    )
  const alpha = c === 4 && (h !== height || w !== width)
  const data = alpha ? unmultiplied(pixels(premultiplied(image.data))) : pixels(image.data)
  return NdArray.make("uint8", [height, width, c], data)
}

/** The same for each channel in mode `F`: float32 between the passes, without rounding or clipping (clean-fid's resize). */
export const resizeFloat = (image: Float32, height: number, width: number, filter: Filter): Float32 => {
  const [h, w, c] = Pixels.shapeOf(image)
  const data = separable(
    image.data,
    [h, w, c],
    [height, width],
    (n) => new Float32Array(n),
    (a, b) => pillowTaps(`${filter}/${a}/${b}`),
  )
  return NdArray.float32([height, width, c], data)
}
