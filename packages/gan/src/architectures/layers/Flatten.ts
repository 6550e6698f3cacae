/** Flattens images in compute layout to vectors in PyTorch's order (C, H, W), and back. */
import { Layout } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"

/** `[B, C·H·W]`, in the order (C, H, W), `→ [B, H, W, C]` */
export const inverse = (x: tf.Tensor, [height, width, channels]: readonly [number, number, number]): tf.Tensor4D =>
  tf.transpose(tf.reshape(x, [-1, channels, height, width]) as tf.Tensor4D, [...Layout.axes.images.toCompute])

/** `[B, H, W, C] → [B, C·H·W]`, in the order (C, H, W) */
export const apply = (x: tf.Tensor): tf.Tensor2D =>
  tf.reshape(tf.transpose(x, [...Layout.axes.images.toFile]), [x.shape[0]!, -1])
