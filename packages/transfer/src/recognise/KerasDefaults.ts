/** Settings that weights saved by Keras do not contain and whose defaults differ from PyTorch's. */
import type { Checkpoint } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"
import type { Dcgan, Stack } from "@adafm/gan"

/** Whether weights are stored as TensorFlow computes: HWIO kernels, feature maps in the order (H, W, C). */
export const isKeras = ({ format }: Pick<Checkpoint.Checkpoint, "format">): boolean =>
  format === "tfjs" || format === "keras" || format === "tf-checkpoint"

/** What a person can do where weights alone do not tell the network. */
export const NEEDED =
  'save the whole model (model.save("NAME.keras")) and import that, or write the layers down (inspect --suggest, then import --layers)'

/** Whether layers are named after their kinds alone, as Keras 3 does in a file of weights, so that their order is lost. */
export const isNamedByKind = ({
  format,
  isSorted,
  topology,
}: Pick<Checkpoint.Checkpoint, "format" | "isSorted" | "topology">): boolean =>
  format === "keras" && isSorted && topology === undefined

export const refuseOrder = ({ file }: Pick<Checkpoint.Checkpoint, "file">): never =>
  Failure.raise(
    "UnknownOrder",
    `it holds weights alone, whose layers are named after their kinds (dense, conv2d_1, …): the order of layers of different kinds is not in the file; ${NEEDED}`,
    { file },
  )

/** https://keras.io/api/layers/normalization_layers/batch_normalization (Keras' momentum is 1 − PyTorch's) and LeakyReLU. */
const EPSILON = 1e-3
const MOMENTUM = 0.01
const SLOPE = 0.3

/** With `padding="same"`, an odd kernel at stride 2 is padded more on one side, which a stack cannot express. */
export const layer = (l: Stack.Layer, file: string): Stack.Layer => {
  if ((l.kind === "conv" || l.kind === "convTranspose") && l.stride > 1 && l.kernel % 2 === 1)
    return Failure.raise(
      "UnsupportedLayout",
      `a ${l.kernel} × ${l.kernel} ${l.kind} of stride ${l.stride}, saved by TensorFlow, is padded more on one side, which weights alone do not show: ${NEEDED}`,
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
