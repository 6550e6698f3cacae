import "@tensorflow/tfjs-backend-cpu"
import { readFileSync } from "node:fs"
import { Flat, Grad, Layout, type Leaf, NdArray, Ops } from "@adafm/core"
import { Close, PortableRandom } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as ResnetGan from "../src/architectures/ResnetGan.ts"
import * as Gan from "../src/Gan.ts"
import * as Fixture from "./Fixture.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

/** The contents of the files; their `about` describes them. */
interface Golden {
  readonly config: Omit<ResnetGan.Config, "architecture">
  readonly paths: Readonly<Record<"generator" | "discriminator", Flat.Flat<readonly number[]>>>
  readonly image: readonly number[]
  readonly image_sum: number
  readonly image_y_float: readonly number[]
  readonly logits: readonly number[]
  readonly input_grad: readonly number[]
  readonly r1_per_image: readonly number[]
  readonly full: Readonly<Record<"generator" | "discriminator", number>>
}

const draw = (name: string, shape: readonly number[], scale: number): NdArray.NdArray<"float32"> =>
  NdArray.float32(shape, PortableRandom.numbers(name, NdArray.sizeOf(shape), scale))

const tensor = ({ data, shape }: NdArray.NdArray<"float32">): tf.Tensor => tf.tensor(data, [...shape], "float32")

const params = (leaves: Flat.Flat<Leaf.Leaf>, net: string): Flat.Flat<tf.Tensor> =>
  Flat.map(leaves, ({ shape }, path) => {
    const scale = shape.length === 1 ? 0.5 : 2.5 / Math.sqrt(NdArray.sizeOf(shape.slice(1)))
    return tensor(Layout.toCompute(draw(`${net}/${path}`, shape, scale)))
  })

/** `[:, :, 3::8, 5::8]` of images in compute layout, channels first. */
const thinned = (images: tf.Tensor): Float32Array => {
  const [n, height, width, channels] = images.shape as [number, number, number, number]
  const all = Fixture.values(tf.transpose(images, [0, 3, 1, 2]))
  const kept: number[] = []
  for (let k = 0; k < n * channels; k++)
    for (let row = 3; row < height; row += 8)
      for (let column = 5; column < width; column += 8) kept.push(all[(k * height + row) * width + column]!)
  return Float32Array.from(kept)
}

describe.each(["resnet3", "resnet4"] as const)("%s equals PyTorch's", (architecture) => {
  const golden = JSON.parse(readFileSync(new URL(`./fixtures/${architecture}.json`, import.meta.url), "utf8")) as Golden
  const config = Gan.Config.parse({ architecture, ...golden.config }) as ResnetGan.Config
  const gan = Gan.of(config)

  test("in names and shapes, and in the number of parameters at the published size", () => {
    const published = Gan.of(Gan.Config.parse({ architecture }))
    for (const net of ["generator", "discriminator"] as const) {
      expect({ ...Flat.map(gan[net], ({ shape }) => shape) }).toEqual(golden.paths[net])
      const count = Object.values(published[net]).reduce((n, { shape }) => n + NdArray.sizeOf(shape), 0)
      expect(count).toBe(golden.full[net])
    }
  })

  test("in images, logits and the gradient of the penalty (2e-5)", () => {
    const [g, d] = [params(gan.generator, "generator"), params(gan.discriminator, "discriminator")]
    const z = tensor(draw("z", [2, 3], 1.7))
    const y = tf.tensor1d([2, 0], "int32")
    const x = tensor(Layout.imagesToCompute(draw("x", [2, 3, 64, 64], 1)))
    const close = (actual: ArrayLike<number>, expected: readonly number[], tolerance = 2e-5): void =>
      expect(Close.relative(actual, expected)).toBeLessThan(tolerance)
    const images = gan.generate(g, { z, y })
    close(thinned(images), golden.image)
    expect(Math.abs(Fixture.values(tf.sum(images))[0]! / golden.image_sum - 1)).toBeLessThan(1e-4)
    close(thinned(gan.generate(g, { z, y: tensor(draw("y_float", [2, 2], 1)) })), golden.image_y_float)
    close(Fixture.values(ResnetGan.logits(config, d, x)), golden.logits)
    const { grad } = Grad.valueAndInputGrad((x) => gan.discriminate(d, x, y), x)
    close(thinned(grad), golden.input_grad)
    close(Fixture.values(Ops.squaredNorms(grad)), golden.r1_per_image)
  })
})

test("without labels, the only row of the embedding is concatenated with z without normalisation", () => {
  const gan = Gan.of(Gan.Config.parse({ architecture: "resnet4", resolution: 64, nf: 1, z_dim: 2 }))
  const g = params(gan.generator, "generator")
  const z = tensor(draw("z", [1, 2], 1))
  const [alone, said] = [
    gan.generate(g, { z }),
    gan.generate(g, { z, y: tf.tensor2d([[...Fixture.values(g["embedding.weight"]!)]]) }),
  ]
  expect([...Fixture.values(alone)]).toEqual([...Fixture.values(said)])
})
