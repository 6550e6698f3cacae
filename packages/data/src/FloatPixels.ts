/** Pictures whose pixels are floating-point numbers, which TIFF allows: what a number means is not in the file. */
import { Failure, NdArray } from "@adafm/core"

const bad = (message: string): never =>
  Failure.raise("BadImage", `${message}; convert the picture to 8 bits, 0 black and 255 white`)

/** 1 for numbers on the scale 0 to 255, 255 for those on the scale 0 to 1, which most programs write. */
const scaleOf = (values: Float32Array): number => {
  let [low, high] = [0, 0]
  for (const value of values) {
    if (Number.isNaN(value)) bad("a pixel is NaN")
    low = Math.min(low, value)
    high = Math.max(high, value)
  }
  if (low < 0 || high > 255)
    bad(`the pixels are floating-point numbers from ${low} to ${high}; expected 0 to 1, or 0 to 255`)
  return high <= 1 ? 255 : 1
}

/**
 * Floating-point pixels as 8 bits: those up to 1 count from 0 (black) to 1 (white), larger ones from 0 to 255. Nothing is taken
 * as linear light. Grey, with or without alpha, becomes RGB. `[H, W, C] → [H, W, 3 or 4]`
 */
export const toBytes = (
  values: Float32Array,
  [h, w, c]: readonly [number, number, number],
): NdArray.NdArray<"uint8"> => {
  const scale = scaleOf(values)
  const [colours, alpha] = [c < 3 ? 1 : 3, c % 2 === 0]
  const to = alpha ? 4 : 3
  const out = new Uint8Array(h * w * to)
  for (let p = 0; p < h * w; p++) {
    for (let k = 0; k < 3; k++) out[p * to + k] = Math.round(values[p * c + (colours === 1 ? 0 : k)]! * scale)
    if (alpha) out[p * to + 3] = Math.round(values[p * c + c - 1]! * scale)
  }
  return NdArray.make("uint8", [h, w, to], out)
}
