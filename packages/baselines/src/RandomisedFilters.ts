/** Controls for what frozen filters carry over: filters with the source's statistics and without its content. */
import { NdArray, Rng } from "@adafm/core"

type Array32 = NdArray.NdArray<"float32">

/** `random`: normal numbers with each tensor's mean and standard deviation; `shuffled`: the source's kernels in another order. */
export const KINDS = ["random", "shuffled"] as const
export type Kind = (typeof KINDS)[number]

/** Normal numbers with the tensor's mean and (population) standard deviation. */
export const random = (key: Rng.Key, { shape, data }: Array32): Array32 => {
  const mean = data.reduce((sum, v) => sum + v, 0) / data.length
  const variance = data.reduce((sum, v) => sum + (v - mean) ** 2, 0) / data.length
  return Rng.normal(key, shape, mean, Math.sqrt(variance))
}

/** The `[kh, kw]` kernels of a filter `[a, b, kh, kw]` in random order; other tensors are returned unchanged. */
export const shuffled = (key: Rng.Key, array: Array32): Array32 => {
  if (array.shape.length !== 4) return array
  const [a = 0, b = 0, kh = 1, kw = 1] = array.shape
  const out = new Float32Array(array.data.length)
  Rng.permutation(key, a * b).forEach((from, to) => {
    out.set(array.data.subarray(from * kh * kw, (from + 1) * kh * kw), to * kh * kw)
  })
  return NdArray.float32(array.shape, out)
}

export const randomise: Readonly<Record<Kind, typeof random>> = { random, shuffled }
