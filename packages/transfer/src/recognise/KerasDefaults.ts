/** What weights saved by Keras leave unsaid, where its defaults are not PyTorch's. */
import { Failure } from "@adafm/core"
import type { Dcgan, Stack } from "@adafm/gan"

/** https://keras.io/api/layers/normalization_layers/batch_normalization (momentum counts the other way round) and LeakyReLU. */
const EPSILON = 1e-3
const MOMENTUM = 0.01
const SLOPE = 0.3

/** `padding="same"` of an odd kernel at stride 2 pads one side more than the other, which a stack cannot say. */
const layer = (l: Stack.Layer, file: string): Stack.Layer => {
  if ((l.kind === "conv" || l.kind === "convTranspose") && l.stride > 1 && l.kernel % 2 === 1)
    return Failure.raise(
      "UnsupportedLayout",
      `a ${l.kernel} × ${l.kernel} ${l.kind} of stride ${l.stride}, saved by TensorFlow, is padded on one side: export the model as ONNX or from PyTorch`,
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
