/**
 * Bilinear resizing without antialiasing, as PyTorch and TensorFlow 1 compute it. FID's networks resize their inputs with it; a shift
 * of half a pixel changes FID by several per cent. Images are HWC.
 */
import { NdArray } from "@adafm/core"
import * as Pixels from "./Pixels.ts"

type Float32 = NdArray.NdArray<"float32">

/** The two source samples next to every output sample along one axis. Positions are computed in float32, as in the references. */
interface Neighbours {
  readonly low: Int32Array
  readonly high: Int32Array
  /** Weight of `high`. */
  readonly part: Float32Array
}

const f = Math.fround

const neighbours =
  (source: (o: number, size: number, out: number) => number) =>
  (size: number, out: number): Neighbours => {
    const [low, high, part] = [new Int32Array(out), new Int32Array(out), new Float32Array(out)]
    for (let o = 0; o < out; o++) {
      const at = source(o, size, out)
      low[o] = Math.min(Math.trunc(at), size - 1)
      high[o] = Math.min(low[o]! + 1, size - 1)
      part[o] = Math.min(Math.max(f(at - low[o]!), 0), 1)
    }
    return { low, high, part }
  }

const cornersAligned = neighbours((o, size, out) => (out > 1 ? f(o * f((size - 1) / (out - 1))) : 0))
const halfPixel = neighbours((o, size, out) => Math.max(0, f(f(f(size / out) * f(o + 0.5)) - 0.5)))
const topLeft = neighbours((o, size, out) => f(o * f(size / out)))

const lerped = (
  image: NdArray.NdArray<"uint8" | "float32">,
  height: number,
  width: number,
  places: (size: number, out: number) => Neighbours,
): Float32 => {
  const [h, w, c] = Pixels.shapeOf(image)
  const [y, x] = [places(h, height), places(w, width)]
  const data = image.data
  // each source row is resized horizontally once: `low` never decreases, so only two rows are needed at a time
  const rows = new Map<number, Float32Array>()
  const stretched = (r: number): Float32Array => {
    const known = rows.get(r)
    if (known) return known
    const row = new Float32Array(width * c)
    for (let o = 0, to = 0; o < width; o++) {
      const a = (r * w + x.low[o]!) * c
      const b = (r * w + x.high[o]!) * c
      const t = x.part[o]!
      const s = 1 - t
      for (let k = 0; k < c; k++) row[to++] = data[a + k]! * s + data[b + k]! * t
    }
    if (rows.size > 3) rows.delete(rows.keys().next().value as number)
    rows.set(r, row)
    return row
  }
  const out = new Float32Array(height * width * c)
  for (let o = 0, to = 0; o < height; o++) {
    const [top, bottom, t] = [stretched(y.low[o]!), stretched(y.high[o]!), y.part[o]!]
    const s = 1 - t
    for (let i = 0; i < width * c; i++) out[to++] = top[i]! * s + bottom[i]! * t
  }
  return NdArray.float32([height, width, c], out)
}

/** `interpolate(mode="bilinear", antialias=False)` of PyTorch, without scaling of the values. `[H, W, C] → [height, width, C]` */
export const torch = (
  image: NdArray.NdArray<"uint8" | "float32">,
  height: number,
  width: number,
  alignCorners = false,
): Float32 => lerped(image, height, width, alignCorners ? cornersAligned : halfPixel)

/** `tf.image.resize_bilinear` of TensorFlow 1, without half-pixel centres. */
export const tf1 = (
  image: NdArray.NdArray<"uint8" | "float32">,
  height: number,
  width: number,
  alignCorners = false,
): Float32 => lerped(image, height, width, alignCorners ? cornersAligned : topLeft)
