import "@tensorflow/tfjs-backend-cpu"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { Flat, Leaf, NdArray } from "@adafm/core"
import { Close, Shared } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import type { z } from "zod"
import * as Dcgan from "../src/architectures/Dcgan.ts"
import type { Layer } from "../src/architectures/layers/Stack.ts"
import * as Stack from "../src/architectures/layers/Stack.ts"
import * as Fixture from "./Fixture.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

/** The DCGAN of faces: names from its checkpoint, and the strides and slopes that a checkpoint does not contain. */
const faces = (): Dcgan.Config => {
  type Layers = z.input<typeof Layer>[]
  const block = (path: string, layer: Layers[number], channels: number, activated = true): Layers => [
    layer,
    { kind: "batchNorm", path: `${path}.1`, channels },
    ...(activated ? [{ kind: "leakyRelu", slope: 0.2 } as const] : []),
  ]
  const up = (i: number, cin: number, out: number): Layers => {
    const path = `generator_deconv.${i}`
    const four = { kernel: 4, stride: 2, pad: 1, bias: false } as const
    return block(path, { kind: "convTranspose", path: `${path}.0`, in: cin, out, ...four }, out)
  }
  const down = (i: number, cin: number, out: number): Layers => {
    const path = `discriminator.${i}`
    return block(
      path,
      { kind: "conv", path: `${path}.0`, in: cin, out, kernel: 4, stride: 2, pad: 1, bias: false },
      out,
    )
  }
  const g = "generator_deconv"
  return Dcgan.Config.parse({
    architecture: "dcgan",
    image: [3, 32, 32],
    latent: { dim: 100, distribution: "uniform" },
    generator: [
      { kind: "view", shape: [100, 1, 1] },
      ...block(
        `${g}.0`,
        { kind: "convTranspose", path: `${g}.0.0`, in: 100, out: 256, kernel: 4, bias: false },
        256,
        false,
      ),
      ...block(`${g}.1`, { kind: "conv", path: `${g}.1.0`, in: 256, out: 128, kernel: 3, pad: 1, bias: false }, 128),
      ...up(2, 128, 64),
      ...up(3, 64, 32),
      { kind: "convTranspose", path: `${g}.4.0`, in: 32, out: 3, kernel: 4, stride: 2, pad: 1 },
      { kind: "tanh" },
    ],
    discriminator: [
      { kind: "conv", path: "discriminator.0.0", in: 3, out: 32, kernel: 4, stride: 2, pad: 1 },
      { kind: "leakyRelu", slope: 0.2 },
      ...down(1, 32, 64),
      ...down(2, 64, 128),
      ...down(3, 128, 256),
      { kind: "flatten" },
      { kind: "linear", path: "discriminator.5", in: 1024, out: 1 },
    ],
  } satisfies z.input<typeof Dcgan.Config>)
}

describe("a DCGAN described by data", () => {
  test("has the layers of PyTorch's tutorial", () => {
    const { generator, discriminator } = Dcgan.of(
      Dcgan.Config.parse(Dcgan.standard({ resolution: 64, nf: 64, z_dim: 100 })),
    )
    // https://docs.pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html
    expect(Object.keys(generator).filter((p) => p.endsWith("weight"))).toEqual(
      [0, 1, 3, 4, 6, 7, 9, 10, 12].map((i) => `main.${i}.weight`),
    )
    expect(generator["main.0.weight"]!.shape).toEqual([100, 512, 4, 4])
    expect(generator["main.12.weight"]!.shape).toEqual([64, 3, 4, 4])
    expect(Object.keys(discriminator).filter((p) => p.endsWith("weight"))).toEqual(
      [0, 2, 3, 5, 6, 8, 9, 11].map((i) => `main.${i}.weight`),
    )
    expect(discriminator["main.11.weight"]!.shape).toEqual([1, 512, 4, 4])
    expect(Leaf.count(generator)).toBe(3_576_704)
    expect(Leaf.count(discriminator)).toBe(2_765_568)
  })

  test("maps latents to images and images to one logit each", () => {
    const gan = Dcgan.of(Dcgan.Config.parse(Dcgan.standard({ resolution: 16, nf: 2, z_dim: 3 })))
    const tensors = (leaves: Flat.Flat<Leaf.Leaf>, name: string) =>
      Flat.map(Leaf.initAll(leaves, 0, name), ({ data, shape }) =>
        tf.tensor(data, shape.length === 4 ? [shape[2]!, shape[3]!, shape[1]!, shape[0]!] : [...shape]),
      )
    const params = tensors(gan.generator, "generator")
    const { images, statistics } = gan.generateTraining(params, { z: tf.ones([2, 3]) })
    expect(images.shape).toEqual([2, 16, 16, 3])
    expect(Object.keys(statistics)).toHaveLength(4)
    expect(gan.discriminate(tensors(gan.discriminator, "discriminator"), images).shape).toEqual([2])
  })

  test("refuses an unknown layer", () => {
    const config = Dcgan.standard({ resolution: 16, nf: 2, z_dim: 3 })
    expect(Dcgan.Config.safeParse({ ...config, generator: [{ kind: "attention" }] }).success).toBe(false)
  })
})

const folder = "data/checkpoints/dcgan-celeba32"
const expectedFile = `${folder}/dcgan-celeba32.expected.safetensors`

interface Listed {
  readonly name: string
  readonly shape: readonly number[]
  readonly dtype: "float32" | "int64"
  readonly sha256: string
}

/** The tensors of a legacy checkpoint whose list is known: its storages are at the end of the file, each a count and its elements. */
const weights = (net: "generator" | "discriminator"): { listed: readonly Listed[]; params: Flat.Flat<tf.Tensor> } => {
  const file = `${Shared.path(folder)}/${net}.pt`
  const { tensors: listed } = JSON.parse(readFileSync(`${file}.expected.json`, "utf8")) as { tensors: Listed[] }
  const bytes = readFileSync(file)
  const sizeOf = ({ shape, dtype }: Listed): number => NdArray.sizeOf(shape) * (dtype === "int64" ? 8 : 4)
  let at = bytes.length - listed.reduce((sum, tensor) => sum + 8 + sizeOf(tensor), 0)
  const found = listed.map(() => {
    const count = Number(bytes.readBigInt64LE(at))
    const tensor = listed.find(
      (tensor) =>
        NdArray.sizeOf(tensor.shape) === count &&
        createHash("sha256")
          .update(bytes.subarray(at + 8, at + 8 + sizeOf(tensor)))
          .digest("hex") === tensor.sha256,
    )!
    const data = bytes.subarray(at + 8, at + 8 + sizeOf(tensor))
    at += 8 + sizeOf(tensor)
    return [tensor, data] as const
  })
  const floats = found.filter(([{ dtype }]) => dtype === "float32")
  const arrays = Flat.fromEntries(
    floats.map(([{ name, shape }, data]) => [`${net}/${name}`, NdArray.fromBytes("float32", shape, data)] as const),
  )
  return { listed, params: Fixture.params({ arrays }, net) }
}

/** Expected values: the same files in PyTorch 2.13, whose float32 error is 9e-7. */
describe.skipIf(Shared.missing(expectedFile))("the DCGAN of faces", () => {
  const gan = Dcgan.of(faces())

  test.each(["generator", "discriminator"] as const)("has the %s of the checkpoint", (net) => {
    const expected = weights(net).listed.filter(({ dtype }) => dtype === "float32")
    expect(Object.fromEntries(Object.entries(gan[net]).map(([path, { shape }]) => [path, shape]))).toEqual(
      Object.fromEntries(expected.map(({ name, shape }) => [name, shape])),
    )
  })

  test("makes PyTorch's images and logits with stored and with batch statistics", async () => {
    const fixture = await Fixture.read(expectedFile)
    const [{ params: g }, { params: d }] = [weights("generator"), weights("discriminator")]
    const z = Fixture.vector(fixture, "z")
    const close = (actual: tf.Tensor, expected: tf.Tensor): void =>
      expect(Close.relative(Fixture.values(actual), Fixture.values(expected))).toBeLessThan(1e-5)

    const stored = Fixture.images(fixture, "generator.eval.image")
    close(gan.generate(g, { z }), stored)
    const { images, statistics } = gan.generateTraining(g, { z })
    close(images, Fixture.images(fixture, "generator.train.image"))
    close(gan.generate(g, { z }, "batch"), images)
    const logit = (name: string): tf.Tensor => Fixture.vector(fixture, `discriminator.${name}`)
    close(gan.discriminate(d, stored), logit("eval.logit_of_generator_eval"))
    close(gan.discriminate(d, stored, undefined, "batch"), logit("train.logit_of_generator_eval"))
    close(gan.discriminate(d, images, undefined, "batch"), logit("train.logit_of_generator_train"))

    expect(Object.keys(statistics)).toHaveLength(8)
    for (const [path, value] of Object.entries(statistics))
      close(value, Fixture.vector(fixture, `generator.train.after_one_forward.${path}`))
    const { statistics: ofD } = Stack.apply(gan.config.discriminator, d, stored, { norm: "batch" })
    for (const [path, value] of Object.entries(ofD))
      close(value, Fixture.vector(fixture, `discriminator.train.after_one_forward.${path}`))
  })
})
