import { existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Flat, Layout, NdArray, Safetensors } from "@adafm/core"
import "@tensorflow/tfjs-backend-cpu"
import { ModelFolder } from "@adafm/gan"
import { Shared } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { describe, expect, test } from "vitest"
import * as Import from "../../src/import/Import.ts"

const gpgan = Shared.path("fixtures/gpgan") ?? ""
const checkpoints = Shared.path("data/checkpoints") ?? ""
const folder = (): string => mkdtempSync(join(tmpdir(), "adafm-import-"))

const bits = (params: Flat.Flat<NdArray.NdArray>): object =>
  Flat.map(
    params,
    ({ shape, data }) => `${shape} ${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")}`,
  )

describe.skipIf(Shared.missing("fixtures/gpgan"))("import of GP-GAN", () => {
  test("both containers of one checkpoint give the same model, with the generator itself or, if asked, its average", async () => {
    const models = await Promise.all(
      ["source.legacy.pt", "source.zip.pt", "source.zip.pt"].map(async (name, i) => {
        const out = join(folder(), "model")
        const result = await Failure.orThrow(Import.importModel({ files: [join(gpgan, name)], out, ema: i === 2 }))
        return { result, model: await Failure.orThrow(ModelFolder.read(out)) }
      }),
    )
    const [legacy, zip, ema] = models.map(({ model }) => model)
    expect(bits(legacy!.generator)).toEqual(bits(zip!.generator))
    expect(bits(legacy!.discriminator)).toEqual(bits(zip!.discriminator))
    const stored = (await Failure.orThrow(Safetensors.read(join(gpgan, "source.expected.safetensors")))).tensors
    const expected = (root: string): object =>
      bits(
        Flat.fromEntries(Object.entries(Flat.under(stored, root)).map(([path, a]) => [path.replace("module.", ""), a])),
      )
    expect(bits(legacy!.generator)).toEqual(expected("generator"))
    expect(bits(ema!.generator)).toEqual(expected("generator_test"))
    expect(bits(ema!.discriminator)).toEqual(expected("discriminator"))
    expect(models[0]!.result).toMatchObject({ architecture: "gpgan", generator: { root: "generator" } })
    expect(models[0]!.result.ignored.every((path) => /^(generator_test|g_optimizer)\//.test(path))).toBe(true)
  })

  test.each([
    ["forward.128", { resolution: 128, nf: 2, embed: 8, nlabels: 5 }],
    ["forward.32", { resolution: 32, nf: 3, embed: 4, nlabels: 4 }],
    ["forward.64-nfmax", { resolution: 64, nf: 2, nf_max: 8, nlabels: 2 }],
  ])("%s.safetensors holds both networks and its own configuration", async (stem, config) => {
    const out = join(folder(), "model")
    const result = await Failure.orThrow(Import.importModel({ files: [join(gpgan, `${stem}.safetensors`)], out }))
    expect(result.config).toMatchObject(config)
    const model = await Failure.orThrow(ModelFolder.read(out))
    const stored = (await Failure.orThrow(Safetensors.read(join(gpgan, `${stem}.safetensors`)))).tensors
    expect(bits(model.generator)).toEqual(bits(Flat.under(stored, "generator")))
    expect(bits(model.discriminator)).toEqual(bits(Flat.under(stored, "discriminator")))
  })

  test.each(["adafm.128", "adafm.32"])(
    "the modulation of %s.safetensors is folded into its filters (2e-7 of a filter's size)",
    async (stem) => {
      const out = join(folder(), "model")
      const result = await Failure.orThrow(Import.importModel({ files: [join(gpgan, `${stem}.safetensors`)], out }))
      expect(result.architecture).toBe("gpgan-small-head")
      const { generator } = await Failure.orThrow(ModelFolder.read(out))
      const effective = Flat.under(
        (await Failure.orThrow(Safetensors.read(join(gpgan, `${stem}.safetensors`)))).tensors,
        "effective",
      )
      expect(Object.keys(effective).length).toBeGreaterThan(0)
      for (const [path, { data }] of Object.entries(effective)) {
        const size = Math.max(...(data as Float32Array).map(Math.abs))
        const error = (data as Float32Array).reduce(
          (max, v, i) => Math.max(max, Math.abs(v - generator[path]!.data[i]!)),
          0,
        )
        expect(error).toBeLessThanOrEqual(2e-7 * size)
      }
    },
  )

  test("one tensor too many, one too few and a wrong declared configuration are refused, and nothing is written", async () => {
    const { tensors } = await Failure.orThrow(Safetensors.read(join(gpgan, "forward.32.safetensors")))
    const both = Flat.filter(tensors, (path) => /^(generator|discriminator)\//.test(path))
    const config = JSON.stringify({ resolution: 32, nf: 3, z_dim: 6, embed: 4, nlabels: 4 })
    const cases: [Flat.Flat<NdArray.NdArray>, Record<string, string>, string, RegExp][] = [
      [
        Flat.merge(both, { "generator/extra.weight": NdArray.float32([2], [1, 2]) }),
        {},
        "UnknownArchitecture",
        /extra\.weight/,
      ],
      [Flat.filter(both, (path) => path !== "discriminator/fc.bias"), {}, "UnknownArchitecture", /fc\.bias.*missing/],
      [both, { config: config.replace('"nf":3', '"nf":4') }, "UnknownArchitecture", /instead of/],
      [both, { config: "{" }, "BadConfig", /not JSON/],
      [
        Flat.under(both, "discriminator"),
        {},
        "NoNetwork",
        /none of the networks at the top level is a generator: name its keys with --generator-at KEYS/,
      ],
    ]
    for (const [content, metadata, tag, message] of cases) {
      const here = folder()
      await Failure.orThrow(Safetensors.write(join(here, "in.safetensors"), content, metadata))
      const result = await Import.importModel({ files: [join(here, "in.safetensors")], out: join(here, "model") })()
      expect(result).toMatchObject({ _tag: "Left", left: { _tag: tag, message: expect.stringMatching(message) } })
      expect(readdirSync(here)).toEqual(["in.safetensors"])
    }
  })
})

describe.skipIf(Shared.missing("data/checkpoints"))("import of published networks", () => {
  test("a face DCGAN in two files becomes a model folder with uniform z; its counters are ignored", async () => {
    const out = join(folder(), "celeba32")
    const [generator, discriminator] = ["generator", "discriminator"].map((n) =>
      join(checkpoints, `dcgan-celeba32/${n}.pt`),
    ) as [string, string]
    const result = await Failure.orThrow(Import.importModel({ generator, discriminator, out }))
    // trained parameters: the files' elements (871,815 and 692,516) without running statistics and counters
    expect(result).toMatchObject({
      architecture: "dcgan",
      layout: "face-generator",
      generator: { params: 870851 },
      discriminator: { params: 691617 },
    })
    expect(result.ignored).toHaveLength(7)
    const model = await Failure.orThrow(ModelFolder.read(out))
    expect(model.description).toMatchObject({
      latent: { distribution: "uniform", dim: 100 },
      source: { sha256: result.source.sha256 },
    })
    expect(model.generator["generator_deconv.0.0.weight"]?.data[0]).toBeCloseTo(-0.076600082218647, 7)
    // shapes alone show the roles of the two files
    const again = await Failure.orThrow(Import.importModel({ files: [discriminator, generator], out, z: "normal" }))
    expect(again.config).toEqual(result.config)
    expect((await Failure.orThrow(ModelFolder.read(out))).description.latent.distribution).toBe("normal")
  })

  test("the imported face DCGAN gives the faces and the scores that PyTorch gives (1e-4)", async () => {
    await tf.setBackend("cpu")
    const out = join(folder(), "celeba32")
    const [generator, discriminator] = ["generator", "discriminator"].map((n) =>
      join(checkpoints, `dcgan-celeba32/${n}.pt`),
    ) as [string, string]
    await Failure.orThrow(Import.importModel({ generator, discriminator, out }))
    const model = await Failure.orThrow(ModelFolder.read(out))
    const { tensors } = Failure.orThrow(
      await Safetensors.read(join(checkpoints, "dcgan-celeba32/dcgan-celeba32.expected.safetensors"))(),
    )
    const asTensor = (a: NdArray.NdArray<"float32">): tf.Tensor => tf.tensor(a.data, [...a.shape])
    const params = (net: "generator" | "discriminator") => Flat.map(model[net], (a) => asTensor(Layout.toCompute(a)))
    const images = model.gan.generate(params("generator"), { z: asTensor(tensors.z as NdArray.NdArray<"float32">) })
    const logits = model.gan.discriminate(params("discriminator"), images)
    const expected = Layout.imagesToCompute(tensors["generator.eval.image"] as NdArray.NdArray<"float32">)
    const scores = tensors["discriminator.eval.logit_of_generator_eval"] as NdArray.NdArray<"float32">
    const error = (found: tf.Tensor, want: Float32Array): number =>
      (found.dataSync() as Float32Array).reduce((max, v, i) => Math.max(max, Math.abs(v - want[i]!)), 0)
    expect(error(images, expected.data)).toBeLessThan(1e-4)
    expect(error(logits, scores.data)).toBeLessThan(1e-4)
  })

  test("an unpadded DCGAN of 28 px, kernels 3, 4, 3, 4, gives PyTorch's digits (1e-4)", async () => {
    await tf.setBackend("cpu")
    const out = join(folder(), "digits")
    const [generator, discriminator] = ["generator", "critic"].map((n) =>
      join(checkpoints, `wgan-gp-mnist-28/${n}.pt`),
    ) as [string, string]
    const imported = await Failure.orThrow(Import.importModel({ generator, discriminator, out }))
    expect(imported).toMatchObject({ image: [1, 28, 28], discriminator: { params: 134721 } })
    const model = await Failure.orThrow(ModelFolder.read(out))
    const { tensors } = await Failure.orThrow(
      Safetensors.read(join(checkpoints, "wgan-gp-mnist-28/expected.safetensors")),
    )
    const asTensor = (a: NdArray.NdArray<"float32">): tf.Tensor => tf.tensor(a.data, [...a.shape])
    const params = (net: "generator" | "discriminator") => Flat.map(model[net], (a) => asTensor(Layout.toCompute(a)))
    const images = model.gan.generate(params("generator"), { z: asTensor(tensors.z as NdArray.NdArray<"float32">) })
    const expected = Layout.imagesToCompute(tensors.image as NdArray.NdArray<"float32">)
    const worst = (images.dataSync() as Float32Array).reduce(
      (m, v, i) => Math.max(m, Math.abs(v - expected.data[i]!)),
      0,
    )
    expect(worst).toBeLessThan(1e-4)
    // the critic has no published outputs: it tells its own digits from noise
    const logits = (x: tf.Tensor): number => tf.mean(model.gan.discriminate(params("discriminator"), x)).dataSync()[0]!
    expect(Number.isFinite(logits(images))).toBe(true)
    expect(logits(images)).not.toBeCloseTo(logits(tf.randomUniform(images.shape, -1, 1, "float32", 1)), 1)
  })

  test("a classifier is refused, and a folder with other files is left unchanged", async () => {
    const here = folder()
    const file = join(checkpoints, "lenet-mnist/lenet_epoch=12_test_acc=0.991.pth")
    expect(
      await Import.importModel({ generator: file, discriminator: file, out: join(here, "model") })(),
    ).toMatchObject({
      left: { _tag: "UnknownArchitecture", file },
    })
    writeFileSync(join(here, "thesis.tex"), "years of work")
    const [generator, discriminator] = ["generator", "discriminator"].map((n) =>
      join(checkpoints, `dcgan-celeba32/${n}.pt`),
    ) as [string, string]
    expect(await Import.importModel({ generator, discriminator, out: here })()).toMatchObject({
      left: { _tag: "OutputExists" },
    })
    expect(readFileSync(join(here, "thesis.tex"), "utf8")).toBe("years of work")
    expect(existsSync(join(here, "model.json"))).toBe(false)
  })
})
