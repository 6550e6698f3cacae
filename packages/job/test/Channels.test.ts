/** Transfers from sources of every number of channels and every form: what `--dry-run` accepts is trained. */
import { existsSync } from "node:fs"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Leaf, NdArray } from "@adafm/core"
import { Image, ImageSet } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { Engines } from "@adafm/engine"
import { Dcgan, Gan, ModelFolder, RunFolder } from "@adafm/gan"
import * as E from "fp-ts/lib/Either.js"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Evaluate from "../src/verbs/Evaluate.ts"
import * as Project from "../src/verbs/Project.ts"
import * as Sample from "../src/verbs/Sample.ts"
import * as Transfer from "../src/verbs/Transfer.ts"
import * as TransferPlan from "../src/verbs/TransferPlan.ts"

let folder = ""
let engine: Engine.Engine
const at = (...names: readonly string[]): string => join(folder, ...names)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-channels-"))
  engine = await Engines.open({ threads: 1 })
  for (let n = 0; n < 8; n++) {
    const pixels = Uint8Array.from({ length: 20 * 20 * 4 }, (_, i) =>
      i % 4 === 3 ? 255 * (n % 2) : (37 * i + n) % 256,
    )
    await Failure.orThrow(Image.writePng(at("photographs", `${n}.png`), NdArray.make("uint8", [20, 20, 4], pixels)))
  }
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const source = async (name: string, config: object): Promise<string> => {
  const gan = Gan.of(Gan.Config.parse(config))
  const networks = {
    generator: Leaf.initAll(gan.generator, 0, "generator"),
    discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
  }
  await Failure.orThrow(ModelFolder.write(at(name), ModelFolder.describe(gan), networks))
  return at(name)
}

const convolutional = (channels: number, z_dim = 4) => Dcgan.standard({ resolution: 16, nf: 2, z_dim, channels })
/** Layers without convolutions, as in many first GANs of digits. */
const perceptron = (channels: number, height: number, width = height) => ({
  architecture: "dcgan",
  image: [channels, height, width],
  latent: { dim: 7, distribution: "uniform" },
  generator: [
    { kind: "linear", path: "0", in: 7, out: 8 },
    { kind: "batchNorm", path: "1", channels: 8 },
    { kind: "relu" },
    { kind: "linear", path: "2", in: 8, out: channels * height * width },
    { kind: "tanh" },
    { kind: "view", shape: [channels, height, width] },
  ],
  discriminator: [
    { kind: "flatten" },
    { kind: "linear", path: "0", in: channels * height * width, out: 8 },
    { kind: "leakyRelu" },
    { kind: "linear", path: "1", in: 8, out: 1 },
  ],
})

const options = (from: string, more: Partial<Transfer.Options> = {}): Transfer.Options => ({
  source: from,
  data: at("photographs"),
  out: `${from}-run`,
  surgery: { recipe: "finetune" },
  steps: 2,
  batch: 4,
  seed: 0,
  scoreCount: 4,
  extractor: "embedded",
  augment: ["color", "translation", "cutout"],
  ...more,
})

describe.each([
  { name: "grey convolutions", config: convolutional(1), note: /are made grey/ },
  { name: "RGBA convolutions", config: convolutional(4), note: /count as opaque/ },
  { name: "one latent number", config: convolutional(3, 1) },
  { name: "300 latent numbers", config: convolutional(3, 300) },
  { name: "a grey perceptron of 28 px", config: perceptron(1, 28), note: /are made grey/ },
  { name: "an RGB perceptron of 5 px", config: perceptron(3, 5) },
])("a source of $name", ({ name, config, note }) => {
  test("passes a dry run, is trained, scored, sampled and projected", async () => {
    const from = await source(name, config)
    const notes: string[] = []
    expect(await TransferPlan.plan(options(from), engine)()).toMatchObject({ _tag: "Right" })
    const run = await Failure.orThrow(Transfer.run(options(from, { onNote: (line) => notes.push(line) }), engine))
    const stats = await Failure.orThrow(RunFolder.lines(run.run, "stats"))
    expect(stats.map(({ step }) => step)).toEqual([0, 1])
    expect(run.metrics.map(({ step }) => step)).toEqual([0, 1, 2])
    if (note !== undefined) expect(notes.join("\n")).toMatch(note)
    const sampled = {
      model: run.run,
      seed: 0,
      numbers: [0, 1],
      folder: at(`${name}-samples`),
      matchColours: at("photographs"),
    }
    await Failure.orThrow(Sample.run(sampled, engine))
    expect(await readdir(at(`${name}-samples`))).toHaveLength(2)
    const projected = {
      model: run.run,
      images: at("photographs", "1.png"),
      out: at(`${name}-projected`),
      seed: 0,
      steps: 1,
    }
    expect((await Failure.orThrow(Project.run(projected, engine))).photographs).toHaveLength(1)
  })
})

test("a grey model is compared with photographs made grey, in training and in evaluate", async () => {
  const from = await source("grey", convolutional(1))
  const run = await Failure.orThrow(Transfer.run(options(from), engine))
  const given = { a: run.run, reference: at("photographs"), extractor: "embedded", metrics: ["kid"] as const, seed: 0 }
  const { warnings, metrics } = await Failure.orThrow(Evaluate.run(given, async () => engine))
  expect(warnings.join("\n")).toMatch(/the images were made grey/)
  const reference = metrics.kid!.images.b as { readonly sha256: string }
  const set = await Failure.orThrow(ImageSet.open(at("photographs")))
  expect(reference.sha256).toBe(await Failure.orThrow(ImageSet.hash(ImageSet.grey(set))))
  expect(reference.sha256).not.toBe(await Failure.orThrow(ImageSet.hash(set)))
  expect(run.metrics.at(-1)).toMatchObject({ count: 4 })
})

test.each([
  { name: "two channels", config: convolutional(2), message: /images of 2 channels; photographs have 1 \(grey\), 3/ },
  { name: "unequal sides", config: perceptron(3, 4, 6), message: /6 × 4 px; only square photographs/ },
])(
  "a source of $name is refused in words, by the dry run too, and nothing is written",
  async ({ name, config, message }) => {
    const from = await source(name, config)
    for (const task of [TransferPlan.plan(options(from), engine), Transfer.run(options(from), engine)]) {
      const result = await task()
      expect(E.isLeft(result) && result.left).toMatchObject({
        _tag: "WrongImages",
        file: from,
        message: expect.stringMatching(message),
      })
    }
    expect(existsSync(`${from}-run`)).toBe(false)
  },
)

test("a discriminator that does not fit the generator's images is refused by the dry run and the run alike", async () => {
  const from = await source("misfit", { ...perceptron(3, 8), discriminator: perceptron(3, 5).discriminator })
  for (const task of [TransferPlan.plan(options(from), engine), Transfer.run(options(from), engine)])
    expect(await task()).toMatchObject({
      left: { _tag: "BadNetworks", file: from, message: expect.stringMatching(/^the two networks do not fit/) },
    })
  expect(existsSync(`${from}-run`)).toBe(false)
})
