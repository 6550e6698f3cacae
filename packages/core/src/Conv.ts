/** Convolution and transposed convolution with PyTorch's names, shapes and defaults. */
import * as tf from "@tensorflow/tfjs-core"
import * as Leaf from "./Leaf.ts"
import * as Ops from "./Ops.ts"

export interface Conv<A> {
  readonly weight: A
  readonly bias?: A
}

export interface Config {
  readonly in: number
  readonly out: number
  readonly kernel: number
  readonly bias?: boolean
}

export const spec = ({ in: cin, out, kernel, bias = true }: Config): Conv<Leaf.Leaf> => {
  const fanIn = cin * kernel * kernel
  return { weight: Leaf.fan([out, cin, kernel, kernel], fanIn), ...(bias && { bias: Leaf.fan([out], fanIn) }) }
}

/** PyTorch counts a transposed convolution's fan-in over its *outputs*. */
export const transposedSpec = ({ in: cin, out, kernel, bias = true }: Config): Conv<Leaf.Leaf> => {
  const fanIn = out * kernel * kernel
  return { weight: Leaf.fan([cin, out, kernel, kernel], fanIn), ...(bias && { bias: Leaf.fan([out], fanIn) }) }
}

const shift = (x: tf.Tensor4D, bias: tf.Tensor | undefined): tf.Tensor4D => (bias === undefined ? x : tf.add(x, bias))

/** `[B, H, W, in] → [B, H', W', out]`, `H' = ⌊(H + 2·pad - k)/stride⌋ + 1`. */
export const apply = ({ weight, bias }: Conv<tf.Tensor>, x: tf.Tensor, geometry?: Ops.Geometry): tf.Tensor4D =>
  shift(Ops.conv2d(x, weight, geometry), bias)

/** `[B, H, W, in] → [B, H', W', out]`, `H' = (H - 1)·stride - 2·pad + k`. */
export const applyTransposed = (
  { weight, bias }: Conv<tf.Tensor>,
  x: tf.Tensor,
  geometry?: Ops.Geometry,
): tf.Tensor4D => shift(Ops.conv2dTranspose(x, weight, geometry), bias)
