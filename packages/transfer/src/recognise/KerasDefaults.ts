/** Settings that weights saved by Keras do not contain and whose defaults differ from PyTorch's. */
import type { Checkpoint } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"
import type { Dcgan, Stack } from "@adafm/gan"

/** Whether weights are stored as TensorFlow computes: HWIO kernels, feature maps in the order (H, W, C). */
export const isKeras = ({ format }: Pick<Checkpoint.Checkpoint, "format">): boolean =>
  format === "tfjs" || format === "keras" || format === "tf-checkpoint"

/** https://keras.io/api/layers/normalization_layers/batch_normalization (Keras' momentum is 1 − PyTorch's) and LeakyReLU. */
const EPSILON = 1e-3
const MOMENTUM = 0.01
const SLOPE = 0.3

/** With `padding="same"`, an odd kernel at stride 2 is padded more on one side, which a stack cannot express. */
const layer = (l: Stack.Layer, file: string): Stack.Layer => {
  if ((l.kind === "conv" || l.kind === "convTranspose") && l.stride > 1 && l.kernel % 2 === 1)
    return Failure.raise(
      "UnsupportedLayout",
      `a ${l.kernel} × ${l.kernel} ${l.kind} of stride ${l.stride}, saved by TensorFlow, is padded more on one side, which is not supported: export the model as ONNX or from PyTorch`,
      { file, path: l.path },
    )
  if (l.kind === "batchNorm") return { ...l, epsilon: EPSILON, momentum: MOMENTUM }
  return l.kind === "leakyRelu" ? { ...l, slope: SLOPE } : l
}

export const defaults = (config: Dcgan.Config, file: string): Dcgan.Config => ({
  ...config,
  generator: config.generator.map((l) => layer(l, file)),
  discriminator: config.discriminator.map((l) => layer(l, file)),
})
