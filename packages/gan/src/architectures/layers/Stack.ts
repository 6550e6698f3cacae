/**
 * A network as data: a list of layers that are applied in order. The `path` of a layer is its name in the checkpoint. Examples are
 * DCGANs and multi-layer perceptrons.
 */
import { BatchNorm, Conv, Flat, Leaf, Linear, Ops } from "@adafm/core"
import type * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"

import type { Tensors } from "../../Network.ts"
import * as Flatten from "./Flatten.ts"

const size = z.number().int().positive()
const path = z.string().min(1)
const convolution = {
  path,
  in: size,
  out: size,
  kernel: size,
  stride: size.default(1),
  pad: z.number().int().nonnegative().default(0),
  bias: z.boolean().default(true),
}

export const Layer = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("conv"), ...convolution }),
  z.strictObject({ kind: z.literal("convTranspose"), ...convolution }),
  z.strictObject({ kind: z.literal("linear"), path, in: size, out: size, bias: z.boolean().default(true) }),
  z.strictObject({
    kind: z.literal("batchNorm"),
    path,
    channels: size,
    epsilon: z.number().positive().default(1e-5),
    momentum: z.number().min(0).max(1).default(0.1),
  }),
  z.strictObject({ kind: z.literal("leakyRelu"), slope: z.number().positive().default(0.2) }),
  z.strictObject({ kind: z.literal(["relu", "tanh", "sigmoid", "flatten", "upsample2", "avgPool2"]) }),
  /** Reshapes vectors to images: channels, height, width. */
  z.strictObject({ kind: z.literal("view"), shape: z.tuple([size, size, size]) }),
])
export type Layer = z.output<typeof Layer>
export type Stack = readonly Layer[]

const layerSpec = (layer: Layer): object | undefined => {
  switch (layer.kind) {
    case "conv":
      return Conv.spec(layer)
    case "convTranspose":
      return Conv.transposedSpec(layer)
    case "linear":
      return Linear.spec(layer)
    case "batchNorm":
      return BatchNorm.spec(layer.channels)
    default:
      return undefined
  }
}

export const spec = (stack: Stack): Flat.Flat<Leaf.Leaf> =>
  Flat.merge(
    ...stack.flatMap((layer) => {
      const own = layerSpec(layer)
      if (own === undefined || !("path" in layer)) return []
      return [Flat.fromEntries(Object.entries(Leaf.flatten(own)).map(([p, leaf]) => [`${layer.path}.${p}`, leaf]))]
    }),
  )

/** The parameters of one layer, without the layer's path. */
const at = <P>(params: Tensors, path: string): P => {
  const prefix = `${path}.`
  const own = Object.entries(params).flatMap(([p, tensor]) =>
    p.startsWith(prefix) ? [[p.slice(prefix.length), tensor] as const] : [],
  )
  return Flat.unflatten(Flat.fromEntries(own)) as P
}

export interface Result {
  readonly y: tf.Tensor
  /** The running statistics after this batch; empty if `norm` is `stored`. */
  readonly statistics: Tensors
}

/** @param norm which statistics batch norm uses: the stored ones or this batch's */
export const apply = (stack: Stack, params: Tensors, x: tf.Tensor, norm: "stored" | "batch"): Result => {
  const statistics: Record<string, tf.Tensor> = {}
  const step = (h: tf.Tensor, layer: Layer): tf.Tensor => {
    switch (layer.kind) {
      case "conv":
        return Conv.apply(at(params, layer.path), h, layer)
      case "convTranspose":
        return Conv.applyTransposed(at(params, layer.path), h, layer)
      case "linear":
        return Linear.apply(at(params, layer.path), h)
      case "batchNorm": {
        const p = at<BatchNorm.BatchNorm<tf.Tensor>>(params, layer.path)
        if (norm === "stored") return BatchNorm.applyStored(p, h, layer)
        const { y, running } = BatchNorm.applyBatch(p, h, layer)
        statistics[`${layer.path}.running_mean`] = running.running_mean
        statistics[`${layer.path}.running_var`] = running.running_var
        return y
      }
      case "leakyRelu":
        return Ops.leakyRelu(h, layer.slope)
      case "relu":
        return Ops.relu(h)
      case "tanh":
        return Ops.tanh(h)
      case "sigmoid":
        return Ops.sigmoid(h)
      case "flatten":
        return Flatten.apply(h)
      case "upsample2":
        return Ops.upsample2(h)
      case "avgPool2":
        return Ops.avgPool2(h)
      case "view": {
        const [channels, height, width] = layer.shape
        return Flatten.inverse(h, [height, width, channels])
      }
    }
  }
  return { y: stack.reduce(step, x), statistics }
}
