/** State dicts without a graph: folded norms of weights, layers that a person says, suggestions, and what is refused. */
import "@tensorflow/tfjs-backend-cpu"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Checkpoint } from "@adafm/checkpoint"
import { Failure, Flat, Layout, NdArray } from "@adafm/core"
import { ModelFolder } from "@adafm/gan"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as Import from "../../src/import/Import.ts"
import * as LayersFile from "../../src/stacks/LayersFile.ts"
import * as Suggestion from "../../src/stacks/Suggestion.ts"
import * as Fixtures from "./Fixtures.ts"

beforeAll(async () => {
  tf.enableProdMode()
  await tf.setBackend("cpu")
})

const file = (name: string): string => join(Fixtures.folder, "stacks", `${name}.pt`)
const scratch = (): string => mkdtempSync(join(tmpdir(), "stacks-"))

/** The largest difference, relative to the largest value above 1: a spectral norm whose u and v never met makes large logits. */
const relative = (made: NdArray.NdArray, wanted: NdArray.NdArray): number =>
  Fixtures.distance(made, wanted) / Math.max(1, ...NdArray.toFloat64(wanted).data.map(Math.abs))

/** Logits of an imported discriminator for the images of a fixture. */
const logits = async (out: string, x: NdArray.NdArray): Promise<NdArray.NdArray> => {
  const { gan, discriminator } = await Failure.orThrow(ModelFolder.read(out))
  const params = Flat.map(discriminator, (array) => {
    const own = Layout.toCompute(array)
    return tf.tensor(own.data, [...own.shape], "float32")
  })
  const images = Layout.imagesToCompute(NdArray.toFloat32(x))
  const y = gan.discriminate(params, tf.tensor(images.data, [...images.shape]))
  return NdArray.float32(y.shape, y.dataSync() as Float32Array)
}

describe("a discriminator's logits are PyTorch's", () => {
  test.each(["spectral-old", "spectral-parametrized", "weight-old", "weight-parametrized", "norms-last"])(
    "%s",
    async (name) => {
      const out = join(scratch(), "model")
      const imported = await Failure.orThrow(
        Import.importModel({ generator: file("generator"), discriminator: file(name), out }),
      )
      const wanted = await Fixtures.expected(`stacks/${name}`)
      expect(relative(await logits(out, wanted.x!), wanted.logit!)).toBeLessThan(1e-5)
      const folds = name !== "norms-last"
      expect(imported.assumptions.some((a) => a.includes("normalisation is computed into the weights"))).toBe(folds)
    },
  )
})

const said = `
image: [3, 16, 16]
generator:
  - { kind: view, shape: [16, 1, 1] }
  - { kind: convTranspose, path: "0" }
  - { kind: batchNorm, path: "1" }
  - { kind: relu }
  - { kind: convTranspose, path: "3", stride: 2, pad: 1 }
  - { kind: batchNorm, path: "4" }
  - { kind: relu }
  - { kind: convTranspose, path: "6", stride: 2, pad: 1 }
  - { kind: tanh }
discriminator:
  - { kind: conv, path: "0", stride: 2, pad: 1 }
  - { kind: leakyRelu, slope: 0.1 }
  - { kind: conv, path: "2", stride: 1, pad: 1 }
  - { kind: instanceNorm, path: "3" }
  - { kind: leakyRelu, slope: 0.1 }
  - { kind: pool, of: max, kernel: 2, stride: 2 }
  - { kind: flatten }
  - { kind: linear, path: "7" }
`

describe("layers that a person says", () => {
  test("are those of the network, with the channels and biases of its weights", async () => {
    const folder = scratch()
    const layers = join(folder, "network.yaml")
    writeFileSync(layers, said)
    const [out, generator, discriminator] = [join(folder, "model"), file("generator"), file("instance-layers")]
    await Failure.orThrow(Import.importModel({ generator, discriminator, layers, out }))
    const wanted = await Fixtures.expected("stacks/instance-layers")
    expect(Fixtures.distance(await logits(out, wanted.x!), wanted.logit!)).toBeLessThan(1e-5)
  })

  test.each([
    [
      "a question mark that is left",
      said.replace("kind: tanh", 'kind: "? tanh"'),
      "BadConfig",
      "still has question marks: generator.8.kind",
    ],
    ["an unknown kind", said.replace("kind: flatten", "kind: attention"), "BadConfig", "discriminator.6"],
    [
      "a tensor without a layer",
      said.replace('  - { kind: instanceNorm, path: "3" }\n', ""),
      "UnknownArchitecture",
      "use no 3.weight",
    ],
    ["a layer without a tensor", said.replace('path: "7"', 'path: "9"'), "BadConfig", "discriminator.7"],
    [
      "sizes that do not fit",
      said.replace("kernel: 2, stride: 2 }", "kernel: 3, stride: 3 }"),
      "UnknownArchitecture",
      "linear 7",
    ],
  ])("are refused with %s", async (_, text, tag, message) => {
    const folder = scratch()
    const layers = join(folder, "network.yaml")
    writeFileSync(layers, text)
    const result = await Import.importModel({
      generator: file("generator"),
      discriminator: file("instance-layers"),
      layers,
      out: join(folder, "model"),
    })()
    expect(result).toMatchObject({ _tag: "Left", left: { _tag: tag } })
    expect(result._tag === "Left" && result.left.message).toContain(message)
  })
})

describe("a suggestion", () => {
  test("has question marks where the weights do not tell, and is accepted without them", async () => {
    const { text, isSure } = await Failure.orThrow(Checkpoint.use(file("generator"), Suggestion.of))
    expect(isSure).toBe(false)
    expect(text).toContain('{ kind: convTranspose, path: "3", stride: "? 2", pad: "? 1" }')
    expect(() => LayersFile.parse(text, "network.yaml")).toThrow("question marks")
    const folder = scratch()
    const layers = join(folder, "network.yaml")
    writeFileSync(layers, text.replaceAll("? ", ""))
    const imported = await Failure.orThrow(
      Import.importModel({ files: [file("generator")], layers, out: join(folder, "model") }),
    )
    expect(imported.image).toEqual([3, 16, 16])
  })
})

test("a network that leaves room for a pooling is not guessed", async () => {
  const result = await Import.importModel({
    generator: file("generator"),
    discriminator: file("instance-layers"),
    out: join(scratch(), "model"),
  })()
  expect(result).toMatchObject({ _tag: "Left", left: { _tag: "UnknownArchitecture" } })
})
