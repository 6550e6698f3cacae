/** Pictures for the page. */
import type { NdArray } from "@adafm/core"
import { Image } from "@adafm/data"
import type { Picture } from "../protocol/Protocol.ts"

/** `[H, W, 3]` as RGBA. */
export const ofRgb = ({ shape, data }: Image.Rgb): Picture => {
  const [height, width] = shape as readonly [number, number, number]
  const out = new Uint8ClampedArray(width * height * 4).fill(255)
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    out[to] = data[from]!
    out[to + 1] = data[from + 1]!
    out[to + 2] = data[from + 2]!
  }
  return { width, height, data: out }
}

/** The pictures of a batch `[N, C, H, W]` in [-1, 1]. */
export const ofBatch = (batch: NdArray.NdArray<"float32">): readonly Picture[] => Image.fromNchw(batch).map(ofRgb)
