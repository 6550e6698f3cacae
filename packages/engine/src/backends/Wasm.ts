/**
 * TensorFlow.js's WebAssembly backend. Kernels that training needs and that the backend lacks or computes slowly
 * (https://github.com/tensorflow/tfjs/issues/8474) are composed of kernels that it has.
 */
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import * as tf from "@tensorflow/tfjs-core"
import type { Engine } from "../Engine.ts"
import * as ComposedKernels from "./ComposedKernels.ts"
import * as Eager from "./Eager.ts"

type Images = tf.Tensor4D

const geometry = (
  xShape: readonly number[],
  filterShape: readonly number[],
  { strides, pad, dimRoundingMode }: ComposedKernels.Attributes,
) =>
  tf.backend_util.computeConv2DInfo(
    xShape as Images["shape"],
    filterShape as Images["shape"],
    strides as [number, number],
    1,
    pad as number,
    dimRoundingMode as "floor" | undefined,
  )

/** A convolution of the transposed operands: samples become channels, and the stride of the original becomes a dilation. */
const filterGradient: ComposedKernels.Compose = ({ x, dy }, attrs) => {
  const [kh, kw, cin, cout] = attrs.filterShape as Images["shape"]
  const { padInfo: p, strideHeight, strideWidth } = geometry(x!.shape, attrs.filterShape as number[], attrs)
  const samples = tf.pad(tf.transpose(x as Images, [3, 1, 2, 0]), [
    [0, 0],
    [p.top, p.bottom],
    [p.left, p.right],
    [0, 0],
  ])
  const filter = tf.transpose(dy as Images, [1, 2, 0, 3])
  const product = tf.conv2d(samples as Images, filter as Images, 1, "valid", "NHWC", [strideHeight, strideWidth])
  return tf.transpose(tf.slice(product, [0, 0, 0, 0], [cin, kh, kw, cout]), [1, 2, 0, 3])
}

/** With stride 1, a convolution with the rotated filter, which is many times faster than the backend's own kernel. */
const inputGradient =
  (native: ComposedKernels.Compose): ComposedKernels.Compose =>
  ({ dy, filter }, attrs) => {
    const inputShape = attrs.inputShape as Images["shape"]
    const { padInfo: p, strideHeight, strideWidth } = geometry(inputShape, filter!.shape, attrs)
    if (strideHeight !== 1 || strideWidth !== 1) return native({ dy: dy!, filter: filter! }, attrs)
    const [kh, kw] = filter!.shape as Images["shape"]
    const rotated = tf.transpose(tf.reverse(filter as Images, [0, 1]), [0, 1, 3, 2])
    const pads: [[0, 0], [number, number], [number, number], [0, 0]] = [
      [0, 0],
      [kh - 1 - p.top, kh - 1 - p.bottom],
      [kw - 1 - p.left, kw - 1 - p.right],
      [0, 0],
    ]
    return tf.conv2d(tf.pad(dy as Images, pads) as Images, rotated as Images, 1, "valid")
  }

const softplus: ComposedKernels.Compose = ({ x }) => tf.add(tf.relu(x!), tf.log(tf.add(tf.exp(tf.neg(tf.abs(x!))), 1)))

/** The backend's own kernel returns 0 for numbers below 1e-6. */
const sign: ComposedKernels.Compose = ({ x }) =>
  tf.sub(tf.cast(tf.greater(x!, 0), "float32"), tf.cast(tf.less(x!, 0), "float32"))

/** The backend's own kernel writes integers into an output of type float32. */
const oneHot: ComposedKernels.Compose = ({ indices }, attrs) => {
  const { depth, onValue, offValue, dtype } = attrs as unknown as tf.OneHotAttrs
  const hit = tf.equal(tf.expandDims(indices!, -1), tf.range(0, depth, 1, "int32"))
  return tf.cast(tf.where(hit, tf.scalar(onValue), tf.scalar(offValue)), dtype)
}

const complete = (): void => {
  if (tf.getKernel("Conv2DBackpropFilter", "wasm") !== undefined) return
  ComposedKernels.register("wasm", "Conv2DBackpropFilter", filterGradient)
  if (tf.getKernel("Softplus", "wasm") === undefined) ComposedKernels.register("wasm", "Softplus", softplus)
  ComposedKernels.register(
    "wasm",
    "Conv2DBackpropInput",
    inputGradient(ComposedKernels.own("wasm", "Conv2DBackpropInput")),
  )
  ComposedKernels.register("wasm", "OneHot", oneHot)
  ComposedKernels.register("wasm", "Sign", sign)
}

export const create = async (): Promise<Engine> => {
  tf.enableProdMode()
  const wasm = await import("@tensorflow/tfjs-backend-wasm")
  wasm.setWasmPaths(
    join(dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json")), "dist/"),
  )
  if (!(await tf.setBackend("wasm")))
    throw new Error("the WebAssembly backend of TensorFlow.js does not start on this machine")
  complete()
  return Eager.engine("wasm", "wasm")
}
