/** Networks whose outputs other frameworks have computed, and ours for the same inputs. */
import "@tensorflow/tfjs-backend-cpu"
import { join } from "node:path"
import { Failure, Flat, Layout, NdArray, Safetensors } from "@adafm/core"
import { Stack } from "@adafm/gan"
import * as tf from "@tensorflow/tfjs-core"
import type * as StackReading from "../../src/stacks/StackReading.ts"

export const folder = join(import.meta.dirname, "../fixtures")

type Tensors = Flat.Flat<NdArray.NdArray>

export const expected = async (name: string): Promise<Tensors> =>
  (await Failure.orThrow(Safetensors.read(join(folder, `${name}.expected.safetensors`)))).tensors

/** Weights of the classes, from labels or one-hot rows. */
const classesOf = (y: NdArray.NdArray, n: number): tf.Tensor => {
  const rows = NdArray.toFloat32(y)
  return rows.shape.at(-1) === n
    ? tf.tensor2d(rows.data, [rows.shape[0]!, n])
    : tf.oneHot(tf.tensor1d(Int32Array.from(rows.data), "int32"), n, 1, 0, "float32")
}

/** What a reading makes of the inputs of a fixture, in the file's layout. */
export const outputs = (reading: StackReading.StackReading, wanted: Tensors): NdArray.NdArray<"float32"> => {
  const params = Flat.map(reading.parameters, ({ compute }) => {
    const array = Layout.toCompute(compute!())
    return tf.tensor(array.data, [...array.shape], "float32")
  })
  const given = NdArray.toFloat32((wanted.z ?? wanted.x)!)
  const isImage = reading.input.length === 3
  const x = isImage ? Layout.imagesToCompute(given) : NdArray.reshape(given, [given.shape[0]!, reading.input[0]!])
  const n = Stack.labels(reading.layers)
  const classes = n > 1 ? { classes: classesOf(wanted.y!, n) } : {}
  const { y } = Stack.apply(reading.layers, params, tf.tensor(x.data, [...x.shape]), { norm: "stored", ...classes })
  const made = NdArray.float32(y.shape, y.dataSync() as Float32Array)
  return y.rank === 4 ? Layout.imagesToFile(made) : made
}

export const distance = (a: NdArray.NdArray, b: NdArray.NdArray): number => {
  const [x, y] = [NdArray.toFloat64(a).data, NdArray.toFloat64(b).data]
  if (x.length !== y.length) return Number.POSITIVE_INFINITY
  return x.reduce((most, v, i) => Math.max(most, Math.abs(v - y[i]!)), 0)
}
