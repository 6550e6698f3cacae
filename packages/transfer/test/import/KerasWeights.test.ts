/** Files of Keras and TensorFlow with weights alone: what is imported by names and shapes, and what is refused with which words. */
import "@tensorflow/tfjs-backend-cpu"
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ByteSource, Checkpoint, ZipReader } from "@adafm/checkpoint"
import { Failure, Flat, Layout, NdArray } from "@adafm/core"
import { ModelFolder } from "@adafm/gan"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as Bundle from "../../../checkpoint/test/tensorBundle.ts"
import * as Import from "../../src/import/Import.ts"
import * as Inspect from "../../src/import/Inspect.ts"
import * as Suggestion from "../../src/stacks/Suggestion.ts"
import * as Fixtures from "../stacks/Fixtures.ts"

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend("cpu")
})

const scratch = (): string => mkdtempSync(join(tmpdir(), "keras-weights-"))
const keras2 = join(Fixtures.folder, "stacks/keras-weights.h5")

const tensorsOf = (file: string): Promise<Flat.Flat<NdArray.NdArray>> => Failure.orThrow(Checkpoint.readAll(file))

/** `save_weights("NAME.weights.h5")` of Keras 3 writes what a `.keras` file holds under this name. */
const keras3 = (folder: string, name: string): string => {
  const zip = ZipReader.read(ByteSource.ofBytes(readFileSync(join(Fixtures.folder, "graphs", name))))
  const { content } = zip.members.get("model.weights.h5")!
  const file = join(folder, "network.weights.h5")
  writeFileSync(file, content.read(0, content.size))
  return file
}

const images = async (out: string, z: NdArray.NdArray): Promise<NdArray.NdArray> => {
  const { gan, generator } = await Failure.orThrow(ModelFolder.read(out))
  const params = Flat.map(generator, (array) => {
    const own = Layout.toCompute(array)
    return tf.tensor(own.data, [...own.shape], "float32")
  })
  const y = gan.generate(params, { z: tf.tensor2d(NdArray.toFloat32(z).data, z.shape as [number, number]) })
  return Layout.imagesToFile(NdArray.float32(y.shape, y.dataSync() as Float32Array))
}

describe("weights of Keras 2, which keep the order of the layers", () => {
  test("become the network that the same weights of TensorFlow.js become", async () => {
    const folder = scratch()
    const tensors = await tensorsOf(keras2)
    writeFileSync(join(folder, "1.bin"), Buffer.concat(Object.values(tensors).map((a) => NdArray.toBytes(a))))
    const weights = Object.entries(tensors).map(([name, { shape }]) => ({ name, shape, dtype: "float32" }))
    const model = { format: "layers-model", weightsManifest: [{ paths: ["1.bin"], weights }] }
    writeFileSync(join(folder, "model.json"), JSON.stringify(model))
    const [a, b] = await Promise.all(
      [keras2, join(folder, "model.json")].map(async (generator, k) => {
        const out = join(folder, `model-${k}`)
        const imported = await Failure.orThrow(Import.importModel({ generator, out }))
        return { imported, model: await Failure.orThrow(ModelFolder.read(out)) }
      }),
    )
    expect(a!.imported.image).toEqual([3, 16, 16])
    expect(a!.imported.assumptions.join()).toContain("relu between the layers")
    expect(a!.imported.notVerified).toContain("weights without the network")
    expect(a!.model.generator).toEqual(b!.model.generator)
    expect(a!.imported.config).toEqual(b!.imported.config)
  })
})

const said = `
latent: normal
generator:
  - { kind: linear, path: layers.dense }
  - { kind: batchNorm, path: layers.batch_normalization, epsilon: 0.001 }
  - { kind: leakyRelu, slope: 0.3 }
  - { kind: view, shape: [8, 7, 7], order: hwc }
  - { kind: convTranspose, path: layers.conv2d_transpose, stride: 1, pad: 2 }
  - { kind: batchNorm, path: layers.batch_normalization_1, epsilon: 0.001 }
  - { kind: leakyRelu, slope: 0.3 }
  - { kind: convTranspose, path: layers.conv2d_transpose_1, stride: 2, pad: 1 }
  - { kind: crop, sides: [0, 0, 1, 1] }
  - { kind: batchNorm, path: layers.batch_normalization_2, epsilon: 0.001 }
  - { kind: leakyRelu, slope: 0.3 }
  - { kind: convTranspose, path: layers.conv2d_transpose_2, stride: 2, pad: 1 }
  - { kind: crop, sides: [0, 0, 1, 1] }
  - { kind: tanh }
`

describe("weights of Keras 3, whose layers are sorted by kind", () => {
  test("are listed by what they are", async () => {
    const { tensors, readFrom } = await Failure.orThrow(Inspect.inspect(keras3(scratch(), "tf-tutorial-g.keras")))
    expect(tensors.map(({ path }) => path)).toEqual([
      ...["", "_1", "_2"].flatMap((n) =>
        ["gamma", "beta", "moving_mean", "moving_variance"].map((v) => `layers/batch_normalization${n}/${v}`),
      ),
      ...["", "_1", "_2"].map((n) => `layers/conv2d_transpose${n}/kernel`),
      "layers/dense/kernel",
    ])
    expect(readFrom).toBeNull()
  })

  test("are refused with what is missing", async () => {
    const folder = scratch()
    const result = await Import.importModel({ generator: keras3(folder, "nested-g.keras"), out: join(folder, "m") })()
    expect(result).toMatchObject({
      left: {
        _tag: "UnknownOrder",
        message: expect.stringMatching(
          /order of layers of different kinds is not in the file; save the whole model .*--layers/,
        ),
      },
    })
  })

  test("make Keras' pictures with the layers that a person says", async () => {
    const folder = scratch()
    const [generator, layers, out] = [keras3(folder, "tf-tutorial-g.keras"), join(folder, "n.yaml"), join(folder, "m")]
    writeFileSync(layers, said)
    await Failure.orThrow(Import.importModel({ generator, layers, out }))
    const wanted = await Fixtures.expected("graphs/tf-tutorial-g")
    expect(Fixtures.distance(await images(out, wanted.z!), wanted.image!)).toBeLessThan(1e-5)
  })

  test("are suggested in a likely order, with padding as Keras does it", async () => {
    const { text } = await Failure.orThrow(Checkpoint.use(keras3(scratch(), "tf-tutorial-g.keras"), Suggestion.of))
    const lines = text.split("\n").filter((line) => line.startsWith("  - "))
    const paths = (all: readonly string[]): readonly string[] => all.flatMap((l) => /path: ([\w.]+)/.exec(l)?.[1] ?? [])
    expect(paths(lines)).toEqual(paths(said.split("\n")))
    expect(text).toContain("{ kind: view, shape: [8, 7, 7], order: hwc }")
    expect(text).toContain('stride: "? 2", pad: "? 1" }\n  - { kind: "? crop", sides: [0, 0, 1, 1] }')
  })
})

/** As `tf.train.Checkpoint(generator=…, generator_optimizer=…)` saves it: sorted by name, with the optimizer's state. */
const checkpointed = async (folder: string): Promise<string> => {
  const place = ["dense", "conv2d_transpose", "batch_normalization", "conv2d_transpose_1"]
  const end = "/.ATTRIBUTES/VARIABLE_VALUE"
  const saved: Record<string, NdArray.NdArray> = {}
  for (const [path, array] of Object.entries(await tensorsOf(keras2))) {
    const [layer, name] = path.split("/") as [string, string]
    // numbers from 8 on: sorted as text, 10 comes before 8
    const at = `generator/layer_with_weights-${place.indexOf(layer) + 8}/${name}`
    saved[at + end] = array
    for (const slot of ["m", "v"]) saved[`${at}/.OPTIMIZER_SLOT/generator_optimizer/${slot}${end}`] = array
  }
  const [one, number] = [NdArray.float32([], [0.5]), NdArray.make("int64", [], BigInt64Array.of(3n))]
  saved[`generator_optimizer/beta_1${end}`] = one
  saved[`save_counter${end}`] = number
  const { index, data } = Bundle.encode(saved, { blockSize: 262_144, compress: false })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, "ckpt-3.index"), index)
  writeFileSync(join(folder, "ckpt-3.data-00000-of-00001"), data)
  return join(folder, "ckpt-3.index")
}

test("a checkpoint of TensorFlow becomes the same network, without the optimizer's state", async () => {
  const folder = scratch()
  const file = await checkpointed(folder)
  const imported = await Failure.orThrow(Import.importModel({ generator: file, out: join(folder, "a") }))
  await Failure.orThrow(Import.importModel({ generator: keras2, out: join(folder, "b") }))
  const [a, b] = await Promise.all(["a", "b"].map((name) => Failure.orThrow(ModelFolder.read(join(folder, name)))))
  expect(Object.values(a!.generator)).toEqual(Object.values(b!.generator))
  // two slots of ten tensors, beta and the counter
  expect(imported.ignored).toHaveLength(22)
})
