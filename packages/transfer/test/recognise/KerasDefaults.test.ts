/** Weights in TensorFlow's order, compared with TensorFlow.js itself. */
import "@tensorflow/tfjs-backend-cpu"
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Flat, Layout, NdArray, Rng } from "@adafm/core"
import { ModelFolder } from "@adafm/gan"
import { Close } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, expect, test } from "vitest"
import * as Import from "../../src/import/Import.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

type Weights = Readonly<Record<string, NdArray.NdArray<"float32">>>

const drawn = (shapes: Readonly<Record<string, readonly number[]>>): Weights =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const array = Rng.normal(Rng.at(3, name), shape)
      return [
        name,
        name.endsWith("variance")
          ? NdArray.float32(
              shape,
              array.data.map((v) => v * v + 0.5),
            )
          : array,
      ]
    }),
  )

/** A `model.json` with one shard. */
const save = (folder: string, weights: Weights): string => {
  mkdirSync(folder)
  writeFileSync(join(folder, "shard.bin"), Buffer.concat(Object.values(weights).map((a) => NdArray.toBytes(a))))
  const manifest = Object.entries(weights).map(([name, { shape }]) => ({ name, shape, dtype: "float32" }))
  const file = join(folder, "model.json")
  writeFileSync(
    file,
    JSON.stringify({ format: "layers-model", weightsManifest: [{ paths: ["shard.bin"], weights: manifest }] }),
  )
  return file
}

const tensor = <T extends tf.Tensor = tf.Tensor>({ data, shape }: NdArray.NdArray<"float32">): T =>
  tf.tensor(data, [...shape], "float32") as T

const generator = {
  "dense/kernel": [3, 2 * 2 * 3],
  "batch_normalization/gamma": [12],
  "batch_normalization/beta": [12],
  "batch_normalization/moving_mean": [12],
  "batch_normalization/moving_variance": [12],
  "conv2d_transpose/kernel": [4, 4, 5, 3],
  "conv2d_transpose/bias": [5],
  "conv2d_transpose_1/kernel": [4, 4, 2, 5],
  "conv2d_transpose_1/bias": [2],
}
const discriminator = {
  "conv2d/kernel": [4, 4, 2, 3],
  "conv2d/bias": [3],
  "conv2d_1/kernel": [4, 4, 3, 5],
  "conv2d_1/bias": [5],
  "dense_1/kernel": [2 * 2 * 5, 1],
  "dense_1/bias": [1],
}

test("linear layers and a batch norm next to feature maps compute the same as in TensorFlow (1e-5)", async () => {
  const here = mkdtempSync(join(tmpdir(), "adafm-keras-"))
  const [g, d] = [drawn(generator), drawn(discriminator)]
  const at = (name: keyof typeof generator): tf.Tensor => tensor(g[name]!)
  const judge = (name: keyof typeof discriminator): tf.Tensor => tensor(d[name]!)
  const z = tensor<tf.Tensor2D>(Rng.normal(Rng.at(4, "z"), [2, 3]))

  // as Keras computes it: channels last, `same` padding, Keras' epsilon and slope
  const dense = tf.matMul(z, at("dense/kernel") as tf.Tensor2D)
  const normal = tf.batchNorm(
    dense,
    at("batch_normalization/moving_mean") as tf.Tensor1D,
    at("batch_normalization/moving_variance") as tf.Tensor1D,
    at("batch_normalization/beta") as tf.Tensor1D,
    at("batch_normalization/gamma") as tf.Tensor1D,
    1e-3,
  )
  const up = (x: tf.Tensor4D, name: "conv2d_transpose" | "conv2d_transpose_1"): tf.Tensor4D => {
    const [n, h, w] = x.shape
    const kernel = at(`${name}/kernel`) as tf.Tensor4D
    const made = tf.conv2dTranspose(x, kernel, [n, 2 * h, 2 * w, kernel.shape[2]], 2, "same")
    return tf.add(made, at(`${name}/bias`))
  }
  const map = tf.reshape(tf.relu(normal), [2, 2, 2, 3]) as tf.Tensor4D
  const images = tf.tanh(up(tf.relu(up(map, "conv2d_transpose")), "conv2d_transpose_1"))
  const down = (x: tf.Tensor4D, name: "conv2d" | "conv2d_1"): tf.Tensor4D =>
    tf.leakyRelu(
      tf.add(tf.conv2d(x, judge(`${name}/kernel`) as tf.Tensor4D, 2, "same"), judge(`${name}/bias`)),
      0.3,
    ) as tf.Tensor4D
  const rows = tf.reshape(down(down(images, "conv2d"), "conv2d_1"), [2, 20]) as tf.Tensor2D
  const scores = tf.add(tf.matMul(rows, judge("dense_1/kernel") as tf.Tensor2D), judge("dense_1/bias"))

  const files = { generator: save(join(here, "g"), g), discriminator: save(join(here, "d"), d) }
  const imported = await Failure.orThrow(Import.importModel({ ...files, out: join(here, "model") }))
  expect(imported).toMatchObject({ architecture: "dcgan", config: { image: [2, 8, 8], latent: { dim: 3 } } })
  const model = await Failure.orThrow(ModelFolder.read(join(here, "model")))
  const params = (net: "generator" | "discriminator") => Flat.map(model[net], (a) => tensor(Layout.toCompute(a)))
  const made = model.gan.generate(params("generator"), { z })
  const close = (a: tf.Tensor, b: tf.Tensor): void =>
    expect(Close.relative(a.dataSync() as Float32Array, b.dataSync() as Float32Array)).toBeLessThan(1e-5)
  close(made, images)
  close(model.gan.discriminate(params("discriminator"), images), tf.reshape(scores, [2]))
})

test("layers that TensorFlow pads more on one side are refused", async () => {
  const here = mkdtempSync(join(tmpdir(), "adafm-keras-"))
  const odd = { ...discriminator, "conv2d/kernel": [5, 5, 2, 3] }
  const files = { generator: save(join(here, "g"), drawn(generator)), discriminator: save(join(here, "d"), drawn(odd)) }
  expect(await Import.importModel({ ...files, out: join(here, "model") })()).toMatchObject({
    left: { _tag: "UnsupportedLayout", path: "conv2d" },
  })
})
