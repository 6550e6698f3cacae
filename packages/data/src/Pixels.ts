/** Shapes of pixel arrays. */
import type { NdArray } from "@adafm/core"

/** `[H, W, C]` of an image; anything else is a bug. */
export const shapeOf = (image: NdArray.NdArray): readonly [number, number, number] => {
  const [h, w, c] = image.shape
  if (image.shape.length !== 3 || !h || !w || !c) throw new Error(`expected an image [H, W, C], got [${image.shape}]`)
  return [h, w, c]
}
