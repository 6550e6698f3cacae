import "@tensorflow/tfjs-backend-cpu"
import { readFileSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure, Flat, Layout } from "@adafm/core"
import { FastDiscriminator, FastGan, ModelFolder, type State } from "@adafm/gan"
import { Close } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Import from "../../src/import/Import.ts"
import * as TorchExport from "../../src/import/TorchExport.ts"

/** Written by the script of `fixtures/README.md`. */
const fixture = (name: string): URL => new URL(`../fixtures/${name}`, import.meta.url)
const expected = JSON.parse(readFileSync(fixture("fastgan.json"), "utf8")) as {
  readonly z: readonly number[]
  readonly images: readonly number[]
  readonly logits: readonly number[]
  readonly reconstruction: readonly (readonly number[])[]
}

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-fastgan-"))
  await tf.setBackend("cpu")
})
afterAll(() => rm(folder, { recursive: true }))

/** The script's wave, `[2, 1, side, side]` or `[2, 3, side, side]`, as images. */
const wave = (channels: number, side: number, phase: number): tf.Tensor => {
  const data = Float32Array.from({ length: 2 * channels * side * side }, (_, i) => Math.sin(0.37 * i + phase))
  return tf.transpose(tf.tensor(data, [2, channels, side, side]), [0, 2, 3, 1])
}
const NOISE = [8, 8, 32, 32, 128, 128]

const tensors = (params: State.Params): Flat.Flat<tf.Tensor> =>
  Flat.map(params, (array) => {
    const { data, shape } = Layout.toCompute(array)
    return tf.tensor(data, [...shape], "float32")
  })

/** Every 16th pixel of NHWC images, in PyTorch's order. */
const sampled = (x: tf.Tensor, from: number): Float32Array => {
  const side = x.shape[1]! / 16
  const cells = tf.reshape(x, [2, side, 16, side, 16, 3])
  const picked = tf.slice(cells, [0, 0, from, 0, from, 0], [2, side, 1, side, 1, 3])
  return tf.transpose(tf.reshape(picked, [2, side, side, 3]), [0, 3, 1, 2]).dataSync() as Float32Array
}

const read = async (file: string, out: string) => {
  const imported = await Failure.orThrow(Import.importModel({ files: [file], out: join(folder, out) }))
  return { imported, ...(await Failure.orThrow(ModelFolder.read(join(folder, out)))) }
}

describe("a checkpoint of FastGAN's trainer", () => {
  test("is recognised, and its networks compute what PyTorch computes", async () => {
    const { imported, gan, generator, discriminator } = await read(fileURLToPath(fixture("fastgan.pth")), "model")
    expect(imported.layout).toBe("fastgan-pytorch")
    const config = FastGan.Config.parse(gan.config)
    expect(config).toEqual({
      architecture: "fastgan",
      resolution: 256,
      ngf: 2,
      ndf: 4,
      decoder: 1,
      z_dim: 3,
      noise: true,
      output: "linear",
    })
    const images = gan.generate(tensors(generator), {
      z: tf.tensor([...expected.z], [2, 3]),
      noise: NOISE.map((side, k) => wave(1, side, k)),
    })
    expect(Close.relative(sampled(images, 7), expected.images)).toBeLessThan(2e-5)
    const x = wave(3, 256, 9)
    const part = tf.tensor1d([0, 0, 1, 0])
    const logits = FastDiscriminator.logits(config, tensors(discriminator), x, "stored")
    expect(Close.relative(logits.dataSync() as Float32Array, expected.logits)).toBeLessThan(2e-5)
    const made = FastDiscriminator.reconstructions(config, tensors(discriminator), x, "stored", part)
    for (const [k, image] of made.entries())
      expect(Close.relative(sampled(image, 5), expected.reconstruction[k]!)).toBeLessThan(2e-5)
  }, 120_000)

  test.each(["pt", "safetensors"] as const)("written as %s and imported again is the same model", async (format) => {
    const { gan, generator, discriminator } = await read(fileURLToPath(fixture("fastgan.pth")), `source-${format}`)
    const config = { ...FastGan.Config.parse(gan.config), output: "tanh" as const }
    const out = join(folder, `again.${format}`)
    await Failure.orThrow(TorchExport.write(config, { generator, discriminator }, { out, format }))
    const again = await read(out, `again-${format}`)
    expect(again.gan.config).toEqual(config)
    expect(again.generator).toEqual(generator)
    expect(again.discriminator).toEqual(discriminator)
  })
})
