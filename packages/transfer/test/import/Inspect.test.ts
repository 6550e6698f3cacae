import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Checkpoint } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"
import { Shared } from "@adafm/testkit"
import { describe, expect, test } from "vitest"
import * as Inspect from "../../src/import/Inspect.ts"
import * as ParameterNames from "../../src/recognise/ParameterNames.ts"
import * as Recognise from "../../src/recognise/Recognise.ts"

const checkpoints = Shared.path("data/checkpoints") ?? ""
const gpgan = Shared.path("fixtures/gpgan") ?? ""

const shapesOf = async (file: string): Promise<Recognise.Networks["generator"]> =>
  ParameterNames.shapes(ParameterNames.networks(await Failure.orThrow(Checkpoint.list(file)))[0]!)

const pair = async (generator: string, discriminator: string): Promise<Recognise.Recognised> =>
  Recognise.networks({
    generator: (await shapesOf(join(checkpoints, generator)))!,
    discriminator: (await shapesOf(join(checkpoints, discriminator)))!,
  })

describe.skipIf(Shared.missing("data/checkpoints"))("inspection of a published checkpoint", () => {
  const files = (checkpoints === "" ? [] : readdirSync(checkpoints, { recursive: true, encoding: "utf8" }))
    .filter((name) => name.endsWith(".expected.json") && !name.startsWith("refused"))
    .map((name) => name.replace(".expected.json", ""))
  test.each(files)("%s gives sums and largest magnitudes (1e-9 of their size) and the file's hash", async (file) => {
    const expected = JSON.parse(readFileSync(join(checkpoints, `${file}.expected.json`), "utf8")) as {
      sha256: string
      bytes: number
      tensors: { name: string; shape: number[]; sum: number; absmax: number }[]
    }
    const inspection = await Failure.orThrow(Inspect.inspect(join(checkpoints, file)))
    expect(inspection).toMatchObject({ sha256: expected.sha256, bytes: expected.bytes, problems: [] })
    expect(inspection.tensors.map(({ path, shape }) => ({ path, shape }))).toEqual(
      expected.tensors.map(({ name, shape }) => ({ path: name, shape })),
    )
    for (const [i, { sum, absmax }] of expected.tensors.entries()) {
      expect(inspection.tensors[i]!.absMax).toBe(absmax)
      expect(Math.abs((inspection.tensors[i]!.sum as number) - sum)).toBeLessThanOrEqual(
        1e-9 * Math.max(1, Math.abs(sum)),
      )
    }
  })

  test("the difference between two networks of a family, and none between a file and itself", async () => {
    const folder = join(checkpoints, "resnet-cifar10")
    const { same, differences } = Failure.orThrow(
      await Inspect.diff(join(folder, "resnet20-12fca82f.th"), join(folder, "resnet56-4bfd9763.th"))(),
    )
    expect(same).toBe(0)
    expect(new Set(differences.map(({ what }) => what))).toEqual(new Set(["values", "only in B", "scalar"]))
    const equal = Failure.orThrow(
      await Inspect.diff(join(folder, "resnet20-12fca82f.th"), join(folder, "resnet20-12fca82f.th"))(),
    )
    expect(equal).toEqual({ same: 97, differences: [] })
  })
})

describe.skipIf(Shared.missing("fixtures/gpgan"))("inspection of a fixture", () => {
  test("writes NaN and integers beyond 2^53 as strings", async () => {
    const half = await Failure.orThrow(Inspect.inspect(join(gpgan, "source.bf16-half.zip.pt")))
    expect(half.tensors.find(({ path }) => path === "edge_bf16")).toMatchObject({
      sum: { float: "nan" },
      absMax: { float: "nan" },
    })
    const integers = await Failure.orThrow(Inspect.inspect(join(gpgan, "source.integers.legacy.pt")))
    expect(integers.tensors.find(({ path }) => path === "generator/int64")?.absMax).toEqual({
      integer: expect.any(String),
    })
    expect(integers.scalars).toMatchObject({ huge: { integer: "-1208925819614629174706176" } })
  })

  test.each(["source.legacy.pt", "source.zip.pt"])("%s is recognised with its configuration", async (file) => {
    expect(await Failure.orThrow(Inspect.inspect(join(gpgan, file)))).toMatchObject({
      architecture: "gpgan",
      nearest: null,
    })
  })
})

describe("recognition", () => {
  test.skipIf(Shared.missing("fixtures/gpgan")).each([
    { file: "transfer.json", config: { resolution: 128, nf: 64, z_dim: 256, embed: 256, nlabels: 1000 } },
    { file: "transfer.tiny.json", config: { resolution: 32, nf: 2, z_dim: 8, embed: 4, nlabels: 5 } },
  ])("finds every number of GP-GAN's configuration in the shapes of $file", ({ file, config }) => {
    const { source_shapes } = JSON.parse(readFileSync(join(gpgan, file), "utf8")) as {
      source_shapes: Required<Recognise.Networks>
    }
    expect(Recognise.networks(source_shapes)).toEqual({ _tag: "Known", config: { architecture: "gpgan", ...config } })
    const { "resnet_0_0.conv_1.bias": _, ...cut } = source_shapes.generator
    expect(Recognise.networks({ ...source_shapes, generator: cut })).toMatchObject({
      _tag: "Unknown",
      nearest: "gpgan",
      misfits: [{ network: "generator", path: "resnet_0_0.conv_1.bias" }],
    })
  })

  test.skipIf(Shared.missing("data/checkpoints"))(
    "reads a face DCGAN with its strides, activations and uniform z",
    async () => {
      const known = await pair("dcgan-celeba32/generator.pt", "dcgan-celeba32/discriminator.pt")
      expect(known).toMatchObject({ _tag: "Known", layout: "face-generator" })
      const { config } = known as Extract<Recognise.Recognised, { _tag: "Known" }>
      const kinds = (layers: readonly { kind: string }[]): string => layers.map(({ kind }) => kind).join(" ")
      expect(config).toMatchObject({
        architecture: "dcgan",
        image: [3, 32, 32],
        latent: { dim: 100, distribution: "uniform" },
      })
      if (config.architecture !== "dcgan") return
      expect(kinds(config.generator)).toBe(
        "view convTranspose batchNorm conv batchNorm leakyRelu convTranspose batchNorm leakyRelu convTranspose batchNorm leakyRelu convTranspose tanh",
      )
      expect(kinds(config.discriminator)).toBe(
        "conv leakyRelu conv batchNorm leakyRelu conv batchNorm leakyRelu conv batchNorm leakyRelu flatten linear",
      )
    },
  )

  test.skipIf(Shared.missing("data/checkpoints"))("reads a multi-layer perceptron of MNIST digits", async () => {
    const known = await pair("gan-mlp-mnist/G--300.ckpt", "gan-mlp-mnist/D--300.ckpt")
    expect(known).toMatchObject({ _tag: "Known", config: { image: [1, 28, 28], latent: { dim: 64 } } })
  })

  test.skipIf(Shared.missing("data/checkpoints"))(
    "says why a conditional perceptron is not a plain stack",
    async () => {
      const unknown = await pair("mlp-gan-mps/generator.pth", "mlp-gan-mps/discriminator.pth")
      expect(unknown).toMatchObject({
        _tag: "Unknown",
        nearest: "dcgan",
        misfits: [{ network: "discriminator", path: "model.0" }],
      })
      expect(Recognise.explain(unknown as never)).toContain("785")
    },
  )

  test("finds the layout of an averaged generator in spite of its counter", () => {
    const shapes = { "generator_deconv.0.0.weight": [3, 8, 4, 4], "generator_deconv.1.0.weight": [8, 3, 4, 4] }
    const plain = Recognise.single(shapes)
    expect(plain).toMatchObject({ layout: "face-generator", config: { latent: { distribution: "uniform" } } })
    expect(Recognise.single({ n_averaged: [], ...shapes })).toEqual(plain)
  })

  test("a standard DCGAN and a classifier are told apart", () => {
    const shapes = {
      "main.0.weight": [100, 64, 4, 4],
      "main.1.weight": [64],
      "main.1.bias": [64],
      "main.1.running_mean": [64],
      "main.1.running_var": [64],
      "main.3.weight": [64, 3, 4, 4],
    }
    expect(Recognise.single(shapes)).toMatchObject({
      _tag: "Half",
      architecture: "dcgan",
      role: "generator",
      layout: "pytorch-dcgan",
      config: { image: [3, 8, 8], latent: { dim: 100 } },
    })
    expect(Recognise.single({ "fc.weight": [10, 512], "fc.bias": [10] })).toMatchObject({ _tag: "Unknown" })
  })
})
