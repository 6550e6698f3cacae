/** Colours alone: a set of images given the mean and deviation of each channel of another. The least that counts as no transfer. */
import { NdArray } from "@adafm/core"

/** Mean and deviation over all pixels of all images, one of each for R, G, B. */
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

/** The images with the moments of `target`, clipped to [-1, 1]. `own` are those of the set that they belong to. `[N, C, H, W]` */
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
