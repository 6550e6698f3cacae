/** The GP-GAN fixtures as tensors in compute layout. */
import { Failure, Flat, Layout, NdArray, Safetensors } from "@adafm/core"
import { Shared } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"

export interface Fixture {
  readonly config: Readonly<Record<string, number | string>>
  readonly metadata: Readonly<Record<string, string>>
  readonly arrays: Flat.Flat<NdArray.NdArray>
}

export const read = async (relative: string): Promise<Fixture> => {
  const { tensors, metadata } = await Failure.orThrow(Safetensors.read(Shared.path(relative)!))
  return { config: JSON.parse(metadata.config ?? "{}"), metadata, arrays: tensors }
}

/** Parameters under a prefix, as tensors. */
export const params = ({ arrays }: Pick<Fixture, "arrays">, prefix: string): Flat.Flat<tf.Tensor> =>
  Flat.map(Flat.under(arrays, prefix), (array) => {
    const { data, shape } = Layout.toCompute(NdArray.toFloat32(array))
    return tf.tensor(data, [...shape], "float32")
  })

/** Images `[B, H, W, C]`. */
export const images = ({ arrays }: Pick<Fixture, "arrays">, name: string): tf.Tensor => {
  const { data, shape } = Layout.imagesToCompute(NdArray.toFloat32(arrays[name]!))
  return tf.tensor(data, [...shape], "float32")
}

export const vector = ({ arrays }: Pick<Fixture, "arrays">, name: string): tf.Tensor => {
  const array = arrays[name]!
  const { data, shape } = NdArray.toFloat32(array)
  return array.dtype === "int64"
    ? tf.tensor(Int32Array.from(data), [...shape], "int32")
    : tf.tensor(data, [...shape], "float32")
}

export const values = (tensor: tf.Tensor): Float32Array => tensor.dataSync() as Float32Array
