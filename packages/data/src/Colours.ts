/** Matches the mean and deviation of each colour channel of one set of images to those of another: a baseline without any transfer. */
import { NdArray } from "@adafm/core"

/** Mean and standard deviation of each channel over all pixels of all images. */
export interface Moments {
  readonly mean: readonly number[]
  readonly deviation: readonly number[]
}

type Images = NdArray.NdArray<"float32">

const eachChannel = ({ shape }: Images, f: (channel: number, from: number, to: number) => void): void => {
  const [n, channels, height, width] = shape as [number, number, number, number]
  const area = height * width
  for (let i = 0; i < n * channels; i++) f(i % channels, i * area, (i + 1) * area)
}

/** @param images `[N, C, H, W]` */
export const moments = (images: Images): Moments => {
  const channels = images.shape[1]!
  const count = images.data.length / channels
  const sums = new Float64Array(channels)
  const squares = new Float64Array(channels)
  eachChannel(images, (c, from, to) => {
    for (let i = from; i < to; i++) {
      sums[c]! += images.data[i]!
      squares[c]! += images.data[i]! ** 2
    }
  })
  const mean = [...sums].map((sum) => sum / count)
  return { mean, deviation: [...squares].map((square, c) => Math.sqrt(Math.max(0, square / count - mean[c]! ** 2))) }
}

/** The images with the moments of `target`, clipped to [-1, 1]. `own` are the moments of the set to which the images belong. `[N, C, H, W]` */
export const match = (images: Images, target: Moments, own: Moments = moments(images)): Images => {
  const out = images.data.slice()
  eachChannel(images, (c, from, to) => {
    const scale = target.deviation[c]! / Math.max(own.deviation[c]!, 1e-12)
    for (let i = from; i < to; i++) {
      out[i] = Math.min(1, Math.max(-1, (out[i]! - own.mean[c]!) * scale + target.mean[c]!))
    }
  })
  return NdArray.float32(images.shape, out)
}
