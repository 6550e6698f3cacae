/** One layer of a stack: its schema, its parameters, its function, and the shape of its output. */
import { BatchNorm, Conv, Leaf, Linear, Ops, Resampling } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import type { Tensors } from "../../Network.ts"
import * as Activation from "./Activation.ts"
import * as Flatten from "./Flatten.ts"
import * as SampleNorm from "./SampleNorm.ts"

const size = z.number().int().positive()
const count = z.number().int().nonnegative()
const flag = z.boolean().default(true)
const path = z.string().min(1)
const epsilon = z.number().nonnegative().default(1e-5)
const convolution = {
  path,
  in: size,
  out: size,
  kernel: size,
  stride: size.default(1),
  pad: count.default(0),
  bias: flag,
}
/** Top, left, bottom, right, in pixels. */
const sides = z.tuple([count, count, count, count])
/** Absent: PyTorch's. */
const order = z.exactOptional(z.enum(["chw", "hwc"]))

export const schemas = [
  z.strictObject({ kind: z.literal("conv"), ...convolution }),
  z.strictObject({ kind: z.literal("convTranspose"), ...convolution, outputPad: z.exactOptional(count) }),
  z.strictObject({ kind: z.literal("linear"), path, in: size, out: size, bias: flag }),
  z.strictObject({
    kind: z.literal("batchNorm"),
    path,
    channels: size,
    epsilon: z.number().positive().default(1e-5),
    momentum: z.number().min(0).max(1).default(0.1),
  }),
  z.strictObject({ kind: z.literal("instanceNorm"), path, channels: size, epsilon, affine: flag }),
  /** Over the whole sample (`shape` is `[C, H, W]` or `[N]`), or over the channels of each pixel (`[C]`). */
  z.strictObject({
    kind: z.literal("layerNorm"),
    path,
    over: z.enum(["sample", "channels"]).default("sample"),
    shape: z.array(size).min(1).max(3),
    epsilon,
    affine: flag,
  }),
  z.strictObject({ kind: z.literal("groupNorm"), path, channels: size, groups: size, epsilon, affine: flag }),
  /** Divides by the root mean square of the channels. */
  z.strictObject({ kind: z.literal("pixelNorm"), epsilon: z.number().positive().default(1e-8) }),
  /** A scale and a shift for every channel. */
  z.strictObject({ kind: z.literal("scaleShift"), path, channels: size, weight: flag, bias: flag }),
  /** Leaky ReLU with trained slopes, one or one a channel. */
  z.strictObject({ kind: z.literal("prelu"), path, channels: size }),
  /** `scale · x + shift` with fixed numbers, e.g. from [0, 1] to [-1, 1]. */
  z.strictObject({ kind: z.literal("affine"), scale: z.number(), shift: z.number() }),
  z.strictObject({ kind: z.literal("upsample2") }),
  z.strictObject({ kind: z.literal("avgPool2") }),
  z.strictObject({
    kind: z.literal("upsample"),
    factor: size,
    mode: z.enum(["nearest", "bilinear"]).default("nearest"),
    alignCorners: z.boolean().default(false),
  }),
  z.strictObject({
    kind: z.literal("pool"),
    of: z.enum(["max", "average"]),
    kernel: size,
    stride: size,
    pad: sides.default([0, 0, 0, 0]),
    /** Whether added pixels count as zeros in an average. */
    countsPad: flag,
  }),
  /** The mean over height and width. */
  z.strictObject({ kind: z.literal("globalAverage") }),
  z.strictObject({ kind: z.literal("pad"), sides, mode: z.enum(["zero", "reflect"]).default("zero") }),
  z.strictObject({ kind: z.literal("crop"), sides }),
  z.strictObject({ kind: z.literal("pixelShuffle"), factor: size, order: z.enum(["crd", "dcr"]).default("crd") }),
  z.strictObject({ kind: z.literal("flatten"), order }),
  /** Reshapes vectors to images: channels, height, width. */
  z.strictObject({ kind: z.literal("view"), shape: z.tuple([size, size, size]), order }),
  /** A row of a table for each class, in the layers of a label. */
  z.strictObject({ kind: z.literal("embedding"), path, classes: size, width: size }),
  z.strictObject({ kind: z.literal("oneHot"), classes: size }),
] as const

type Own = z.output<(typeof schemas)[number]>
export type Layer = Own | Activation.Activation
export type Input = z.input<(typeof schemas)[number]> | z.input<(typeof Activation.schemas)[number]>

/** The parameters by the names of PyTorch; undefined where there are none. */
export const spec = (layer: Layer): object | undefined => {
  switch (layer.kind) {
    case "conv":
      return Conv.spec(layer)
    case "convTranspose":
      return Conv.transposedSpec(layer)
    case "linear":
      return Linear.spec(layer)
    case "batchNorm":
      return BatchNorm.spec(layer.channels)
    case "instanceNorm":
    case "groupNorm":
      return layer.affine ? SampleNorm.spec([layer.channels]) : undefined
    case "layerNorm":
      return layer.affine ? SampleNorm.spec(layer.shape) : undefined
    case "scaleShift":
      return SampleNorm.spec([layer.channels], layer)
    case "prelu":
      return { weight: Leaf.constant([layer.channels], 0.25) }
    case "embedding":
      return { weight: Leaf.normal([layer.classes, layer.width]) }
    default:
      return undefined
  }
}

export interface Result {
  readonly y: tf.Tensor
  /** Batch norm's running statistics after this batch. */
  readonly running?: Tensors
}

const affine = (params: Tensors): SampleNorm.Affine<tf.Tensor> => params

/** @param params of this layer, by the names of `spec` */
const own = (layer: Own, params: Tensors, x: tf.Tensor): tf.Tensor => {
  switch (layer.kind) {
    case "conv":
      return Conv.apply(params as never, x, layer)
    case "convTranspose":
      return Conv.applyTransposed(params as never, x, layer)
    case "linear":
      return Linear.apply(params as never, x)
    case "batchNorm":
      return BatchNorm.applyStored(params as never, x, layer)
    case "instanceNorm":
      return SampleNorm.instance(affine(params), x, layer.epsilon)
    case "layerNorm":
      return SampleNorm.layer(affine(params), x, layer.epsilon, layer.over)
    case "groupNorm":
      return SampleNorm.group(affine(params), x, layer.groups, layer.epsilon)
    case "pixelNorm":
      return Ops.pixelNorm(x, layer.epsilon)
    case "scaleShift":
      return SampleNorm.affine(affine(params), x)
    case "prelu":
      return Activation.prelu(params.weight!, x)
    case "affine":
      return tf.add(tf.mul(x, layer.scale), layer.shift)
    case "upsample2":
      return Ops.upsample2(x)
    case "avgPool2":
      return Ops.avgPool2(x)
    case "upsample":
      return layer.mode === "nearest"
        ? Resampling.repeat(x, layer.factor)
        : Resampling.bilinear(x, layer.factor, layer.alignCorners)
    case "pool":
      return layer.of === "max" ? Resampling.maxPool(x, layer) : Resampling.averagePool(x, layer, layer.countsPad)
    case "globalAverage":
      return Resampling.globalAverage(x)
    case "pad":
      return layer.mode === "zero" ? Resampling.pad(x, layer.sides) : Resampling.reflect(x, layer.sides)
    case "crop":
      return Resampling.crop(x, layer.sides)
    case "pixelShuffle":
      return Resampling.pixelShuffle(x, layer.factor, layer.order)
    case "flatten":
      return Flatten.apply(x, layer.order)
    case "view": {
      const [channels, height, width] = layer.shape
      return Flatten.inverse(x, [height, width, channels], layer.order)
    }
    case "embedding":
      return tf.matMul(x as tf.Tensor2D, params.weight as tf.Tensor2D)
    case "oneHot":
      return x
  }
}

const isActivation = (layer: Layer): layer is Activation.Activation =>
  Activation.schemas.some(({ shape: { kind } }) => (kind.values as ReadonlySet<string>).has(layer.kind))

/** @param norm which statistics batch norm uses: the stored ones or this batch's */
export const apply = (layer: Layer, params: Tensors, x: tf.Tensor, norm: "stored" | "batch"): Result => {
  if (layer.kind === "batchNorm" && norm === "batch") {
    const { y, running } = BatchNorm.applyBatch(params as never, x, layer)
    return { y, running: { running_mean: running.running_mean, running_var: running.running_var } }
  }
  return { y: isActivation(layer) ? Activation.apply(layer, x) : own(layer, params, x) }
}
