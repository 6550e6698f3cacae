/** Flattens images in compute layout to vectors, and back. */
import { Layout } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"

/** The order of a vector's entries: PyTorch's (C, H, W) or TensorFlow's (H, W, C). */
export type Order = "chw" | "hwc"

/** `[B, C·H·W] → [B, H, W, C]` */
export const inverse = (
  x: tf.Tensor,
  [height, width, channels]: readonly [number, number, number],
  order: Order = "chw",
): tf.Tensor4D =>
  order === "hwc"
    ? tf.reshape(x, [-1, height, width, channels])
    : tf.transpose(tf.reshape(x, [-1, channels, height, width]) as tf.Tensor4D, [...Layout.axes.images.toCompute])

/** `[B, H, W, C] → [B, C·H·W]` */
export const apply = (x: tf.Tensor, order: Order = "chw"): tf.Tensor2D =>
  tf.reshape(order === "hwc" ? x : tf.transpose(x, [...Layout.axes.images.toFile]), [x.shape[0]!, -1])
