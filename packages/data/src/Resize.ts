/** Resizing with the results of Pillow, PyTorch and TensorFlow 1, and torchvision's resize and crop. Images are HWC. */
import { NdArray } from "@adafm/core"
import * as Pillow from "./Pillow.ts"
import * as Pixels from "./Pixels.ts"

export { tf1, torch } from "./Bilinear.ts"
export { type Filter, resize as pillow, resizeFloat as pillowFloat } from "./Pillow.ts"

type Uint8 = NdArray.NdArray<"uint8">

/** Python's `round`: halves are rounded to the even neighbour. */
const roundHalfEven = (x: number): number => {
  const floor = Math.floor(x)
  return x - floor === 0.5 ? floor + (floor % 2) : Math.round(x)
}

/** `CenterCrop(size)` of torchvision, on an image of at least that size. `[H, W, C] → [height, width, C]` */
export const centreCrop = (image: Uint8, height: number, width = height): Uint8 => {
  const [h, w, c] = Pixels.shapeOf(image)
  if (h < height || w < width) throw new Error(`cannot crop ${height}×${width} from ${h}×${w}`)
  const [top, left] = [roundHalfEven((h - height) / 2), roundHalfEven((w - width) / 2)]
  const out = new Uint8Array(height * width * c)
  for (let r = 0; r < height; r++) {
    const from = ((top + r) * w + left) * c
    out.set(image.data.subarray(from, from + width * c), r * width * c)
  }
  return NdArray.make("uint8", [height, width, c], out)
}

/**
 * `Compose([Resize(size), CenterCrop(size)])` of torchvision on a PIL image: the shorter side becomes `size`, the length
 * of the other is truncated to whole pixels, and the square in the middle is kept (the paper's `gan_training/inputs.py`).
 */
export const fit = (image: Uint8, size: number, filter: Pillow.Filter = "bilinear"): Uint8 => {
  const [h, w] = Pixels.shapeOf(image)
  const [height, width] = w <= h ? [Math.trunc((size * h) / w), size] : [size, Math.trunc((size * w) / h)]
  return centreCrop(Pillow.resize(image, height, width, filter), size)
}
