/** The shape of an image. */
import type { NdArray } from "@adafm/core"

/** `[H, W, C]`. Throws for another rank or an empty image. */
export const shapeOf = (image: NdArray.NdArray): readonly [number, number, number] => {
  const [h, w, c] = image.shape
  if (image.shape.length !== 3 || !h || !w || !c)
    throw new Error(`expected an image [H, W, C], got [${image.shape.join(", ")}]`)
  return [h, w, c]
}
