/** Pictures with the channels that a network has: 1 grey, 3 RGB, 4 RGBA. 8 bits each. */
import { NdArray } from "@adafm/core"
import * as Pixels from "./Pixels.ts"

type Uint8 = NdArray.NdArray<"uint8">

export const COUNTS = [1, 3, 4] as const
export type Count = (typeof COUNTS)[number]

export const isCount = (channels: number): channels is Count => COUNTS.some((count) => count === channels)

const each = (image: Uint8, to: Count, write: (from: Uint8Array, out: Uint8Array) => void): Uint8 => {
  const [h, w, c] = Pixels.shapeOf(image)
  const out = new Uint8Array(h * w * to)
  for (let p = 0; p < h * w; p++) write(image.data.subarray(p * c, (p + 1) * c), out.subarray(p * to, (p + 1) * to))
  return NdArray.make("uint8", [h, w, to], out)
}

/** Pillow's mode `L`: 0.299 R + 0.587 G + 0.114 B in 16-bit fixed point. Grey pictures keep their values. `[H, W, 3] → [H, W, 1]` */
export const luma = (image: Uint8): Uint8 =>
  each(image, 1, ([r, g, b], out) => {
    out[0] = (r! * 19595 + g! * 38470 + b! * 7471 + 0x8000) >> 16
  })

/** Grey as RGB. `[H, W, 1] → [H, W, 3]` */
export const spread = (image: Uint8): Uint8 => each(image, 3, ([v], out) => out.fill(v!))

/** Opaque. `[H, W, 3] → [H, W, 4]` */
export const opaque = (image: Uint8): Uint8 =>
  each(image, 4, (rgb, out) => {
    out.set(rgb)
    out[3] = 255
  })

/** Transparency on a white background. `[H, W, 4] → [H, W, 3]` */
export const onWhite = (image: Uint8): Uint8 =>
  each(image, 3, (rgba, out) => {
    for (let k = 0; k < 3; k++) out[k] = Math.round(255 + ((rgba[k]! - 255) * rgba[3]!) / 255)
  })

/** A picture of any of these channels as RGB: grey spread, transparency on white. */
export const rgb = (image: Uint8): Uint8 => {
  const channels = image.shape[2]
  if (channels === 3) return image
  return channels === 1 ? spread(image) : onWhite(image)
}
