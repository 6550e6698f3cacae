/** PyTorch-GAN's DCGAN, recognised by its names and compared with PyTorch. */
import "@tensorflow/tfjs-backend-cpu"
import { readFileSync } from "node:fs"
import { Flat, Layout, NdArray } from "@adafm/core"
import { Gan } from "@adafm/gan"
import { Close, PortableRandom } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, expect, test } from "vitest"
import * as Recognise from "../../src/recognise/Recognise.ts"
import { isIgnored } from "../../src/recognise/Shapes.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

type Paths = Readonly<Record<string, readonly number[]>>
/** `about` in the file says how it was made. */
const golden = JSON.parse(readFileSync(new URL("../fixtures/upsampling-dcgan.json", import.meta.url), "utf8")) as {
  readonly paths: Readonly<Record<"generator" | "discriminator", Paths>>
  readonly image: readonly number[]
  readonly logits: readonly number[]
}

const params = (net: "generator" | "discriminator"): Flat.Flat<tf.Tensor> =>
  Flat.fromEntries(
    Object.entries(golden.paths[net])
      .filter(([path]) => !isIgnored(path))
      .map(([path, shape]) => {
        const scale = shape.length > 1 ? 2.5 / Math.sqrt(NdArray.sizeOf(shape.slice(1))) : 0.5
        const isScale = path.endsWith("running_var") || (shape.length === 1 && path.endsWith("weight"))
        const data = PortableRandom.numbers(`${net}/${path}`, NdArray.sizeOf(shape), scale).map((v) =>
          isScale ? v + 1 : v,
        )
        const array = Layout.toCompute(NdArray.float32(shape, data))
        return [path, tf.tensor(array.data, [...array.shape], "float32")] as const
      }),
  )

test("is recognised with its upsampling and its ε, and gives PyTorch's images and logits (1e-5)", () => {
  const known = Recognise.networks(golden.paths)
  if (known._tag !== "Known") throw new Error(JSON.stringify(known))
  expect(known.layout).toBe("pytorch-gan-dcgan")
  const gan = Gan.of(known.config)
  const z = tf.tensor(PortableRandom.numbers("z", 6, 1.7), [2, 3])
  const images = gan.generate(params("generator"), { z })
  const logits = gan.discriminate(params("discriminator"), images)
  const inFileLayout = tf.transpose(images, [0, 3, 1, 2])
  expect(Close.relative(inFileLayout.dataSync() as Float32Array, golden.image)).toBeLessThan(1e-5)
  expect(Close.relative(logits.dataSync() as Float32Array, golden.logits)).toBeLessThan(1e-5)
})

test("tensors that do not fit are named", () => {
  const { generator, discriminator } = golden.paths
  const { "conv_blocks.6.weight": _, ...cut } = generator
  expect(Recognise.networks({ generator: cut, discriminator })).toMatchObject({
    misfits: [{ path: "conv_blocks.6", reason: "is missing" }],
  })
  const wide = { ...discriminator, "adv_layer.0.weight": [1, 45] }
  expect(Recognise.networks({ generator, discriminator: wide })).toMatchObject({
    misfits: [{ path: "adv_layer.0", reason: "takes 45 inputs, but the layer before has 5 × 1 × 1 outputs" }],
  })
})
