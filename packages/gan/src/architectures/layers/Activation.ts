/** Activations of a stack, all twice differentiable. */
import { Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"

const positive = z.number().positive()

export const schemas = [
  z.strictObject({ kind: z.literal("leakyRelu"), slope: positive.default(0.2) }),
  /** `x > 0 ? x : alpha · (eˣ - 1)` */
  z.strictObject({ kind: z.literal("elu"), alpha: positive.default(1) }),
  z.strictObject({ kind: z.literal("clip"), min: z.number(), max: z.number() }),
  z.strictObject({ kind: z.literal(["relu", "tanh", "sigmoid", "selu", "silu", "softplus"]) }),
] as const
export type Activation = z.output<(typeof schemas)[number]>

/** Klambauer et al., "Self-Normalizing Neural Networks" (2017). */
const SELU = { alpha: 1.6732632423543772, scale: 1.0507009873554805 }

/** `x > 0 ? x : alpha · (eˣ - 1)`; the exponential of a positive number is never computed. */
const elu = (x: tf.Tensor, alpha: number): tf.Tensor =>
  tf.add(Ops.relu(x), tf.mul(tf.sub(tf.exp(tf.neg(Ops.relu(tf.neg(x)))), 1), alpha))

export const apply = (layer: Activation, x: tf.Tensor): tf.Tensor => {
  switch (layer.kind) {
    case "leakyRelu":
      return Ops.leakyRelu(x, layer.slope)
    case "relu":
      return Ops.relu(x)
    case "tanh":
      return Ops.tanh(x)
    case "sigmoid":
      return Ops.sigmoid(x)
    case "softplus":
      return Ops.softplus(x)
    case "silu":
      return tf.mul(x, Ops.sigmoid(x))
    case "elu":
      return elu(x, layer.alpha)
    case "selu":
      return tf.mul(elu(x, SELU.alpha), SELU.scale)
    case "clip":
      return tf.clipByValue(x, layer.min, layer.max)
  }
}

/** `max(x, 0) - weight · max(-x, 0)`, with one weight or one a channel. */
export const prelu = (weight: tf.Tensor, x: tf.Tensor): tf.Tensor =>
  tf.sub(Ops.relu(x), tf.mul(Ops.relu(tf.neg(x)), weight))
