/** Convolution and transposed convolution with PyTorch's names, shapes and defaults. */
import * as tf from "@tensorflow/tfjs-core"
import * as Ops from "../Ops.ts"
import * as Leaf from "./Leaf.ts"
import * as Response from "./Response.ts"

export interface Conv<A> {
  /** `[out, in, k, k]` in files, `[in, out, k, k]` if transposed. */
  readonly weight: A
  /** `[out]` */
  readonly bias?: A
  /** Channel scales that depend on the input. Only a modulation adds them; no network's spec has them. */
  readonly response?: Response.Response<A>
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

type Convolution = (x: tf.Tensor, filter: tf.Tensor) => tf.Tensor4D

/** `u ⊙ conv(v ⊙ x) + bias`, or `conv(x) + bias` without a response. */
const around = ({ weight, bias, response }: Conv<tf.Tensor>, x: tf.Tensor, convolve: Convolution): tf.Tensor4D => {
  const y = response === undefined ? convolve(x, weight) : scaled(Response.scales(response, x), x, weight, convolve)
  return bias === undefined ? y : tf.add(y, bias)
}

const scaled = ({ u, v }: Response.Scales, x: tf.Tensor, weight: tf.Tensor, convolve: Convolution): tf.Tensor4D =>
  tf.mul(convolve(tf.mul(x, v), weight), u)

/** `[B, H, W, in] → [B, H', W', out]`, `H' = ⌊(H + 2·pad - k)/stride⌋ + 1`. */
export const apply = (p: Conv<tf.Tensor>, x: tf.Tensor, geometry?: Ops.Geometry): tf.Tensor4D =>
  around(p, x, (x, filter) => Ops.conv2d(x, filter, geometry))

/** `[B, H, W, in] → [B, H', W', out]`, `H' = (H - 1)·stride - 2·pad + k + outputPad`. */
export const applyTransposed = (p: Conv<tf.Tensor>, x: tf.Tensor, geometry?: Ops.TransposedGeometry): tf.Tensor4D =>
  around(p, x, (x, filter) => Ops.conv2dTranspose(x, filter, geometry))
