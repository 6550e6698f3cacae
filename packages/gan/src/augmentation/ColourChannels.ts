/** Augmentations of colour for images with other channels than RGB. */
import * as tf from "@tensorflow/tfjs-core"
import type { Images } from "../Network.ts"

/** Changes the colours; the fourth channel of RGBA images, their transparency, stays. `[B, H, W, C]` */
export const change = (x: Images, colours: (x: Images) => Images): Images => {
  const [batch, height, width, channels] = x.shape
  if (channels !== 4) return colours(x)
  const part = (from: number, count: number): Images =>
    tf.slice(x, [0, 0, 0, from], [batch, height, width, count]) as Images
  return tf.concat([colours(part(0, 3)), part(3, 1)], 3) as Images
}
