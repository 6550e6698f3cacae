/**
 * A wider network that computes the same function: Net2WiderNet (Chen, Goodfellow, Shlens: "Net2Net: Accelerating Learning via
 * Knowledge Transfer", ICLR 2016, section 2.2) for a whole network at once. Training of a large GAN continues from a small one.
 *
 * Every channel is repeated r times: channel `c` of the wide layer is a copy of channel `c mod n`, and a filter divides its weight
 * for an input among the copies of that input. Exact copies would receive equal gradients and stay copies, so each filter also gets
 * noise that sums to zero over the copies of an input. This leaves the function unchanged and gives a filter the variance of a layer
 * with r times the inputs (1/r of the narrow one's).
 */
import { Flat, type Leaf, NdArray, Rng } from "@adafm/core"
import type { Params } from "../training/State.ts"

type Float32 = NdArray.NdArray<"float32">

/** Throws unless the numbers of outputs and inputs are whole multiples and all other dimensions are equal. */
const check = (path: Flat.Path, narrow: readonly number[], wide: readonly number[]): void => {
  const fits = (n: number, axis: number): boolean => (axis < 2 ? wide[axis]! % n === 0 : wide[axis] === n)
  if (narrow.length !== wide.length || !narrow.every(fits))
    throw new Error(`${path}: [${narrow.join(", ")}] cannot be widened to [${wide.join(", ")}]`)
}

const deviation = (data: Float32Array): number => {
  const mean = data.reduce((sum, v) => sum + v, 0) / data.length
  return Math.sqrt(data.reduce((sum, v) => sum + (v - mean) ** 2, 0) / data.length)
}

/** `[out, in, …]` to `[r·out, s·in, …]`; a bias `[out]` has no inputs. */
const widenArray = (path: Flat.Path, narrow: Float32, shape: readonly number[], key: Rng.Key): Float32 => {
  const [out, ins = 1, ...kernel] = narrow.shape as readonly [number, ...number[]]
  check(path, narrow.shape, shape)
  const copies = (shape[1] ?? 1) / ins
  const size = kernel.reduce((a, b) => a * b, 1)
  const wide = new Float32Array(NdArray.sizeOf(shape))
  // noise of a single copy would have to be zero: none if inputs are not repeated
  const noise = copies === 1 ? undefined : Rng.normal(key, shape).data
  const scale = deviation(narrow.data) / Math.sqrt(copies)
  for (let o = 0; o < shape[0]!; o++)
    for (let i = 0; i < ins; i++)
      for (let k = 0; k < size; k++) {
        const at = (copy: number): number => (o * ins * copies + copy * ins + i) * size + k
        const value = narrow.data[((o % out) * ins + i) * size + k]! / copies
        let mean = 0
        if (noise !== undefined) for (let copy = 0; copy < copies; copy++) mean += noise[at(copy)]! / copies
        for (let copy = 0; copy < copies; copy++)
          wide[at(copy)] = value + (noise === undefined ? 0 : scale * (noise[at(copy)]! - mean))
      }
  return NdArray.float32(shape, wide)
}

/**
 * @param narrow parameters in the file's layout (OIHW, `[out, in]`, `[out]`)
 * @param leaves the wide network's parameter specs; outputs and inputs are whole multiples of the narrow ones
 * @param seed   seed of the noise
 * @returns parameters of the wide network: equal outputs for equal inputs, up to rounding
 */
export const params = (narrow: Params, leaves: Flat.Flat<Leaf.Leaf>, seed: number): Params =>
  Flat.map(leaves, ({ shape }, path) => {
    const from = narrow[path]
    if (from === undefined) throw new Error(`${path}: the narrow network has no such parameter`)
    return from.shape.join() === shape.join() ? from : widenArray(path, from, shape, Rng.at(seed, `widen/${path}`))
  })
