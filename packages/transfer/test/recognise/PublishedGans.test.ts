/** Published GANs that cannot be trained here: state dicts with the names of their tensors, and what `inspect` and `import` say. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Checkpoint, TorchWriter } from "@adafm/checkpoint"
import { Failure, Files, NdArray } from "@adafm/core"
import { describe, expect, test } from "vitest"
import * as Import from "../../src/import/Import.ts"
import * as Inspect from "../../src/import/Inspect.ts"
import * as PublishedGans from "../../src/recognise/PublishedGans.ts"
import * as Suggestion from "../../src/stacks/Suggestion.ts"

const of = (shapes: Readonly<Record<string, readonly number[]>>): TorchWriter.Tree =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [
      name,
      NdArray.float32(shape, Array<number>(NdArray.sizeOf(shape)).fill(0.5)),
    ]),
  )

const rosinality = {
  "style.1.weight": [8, 8],
  "input.input": [1, 8, 4, 4],
  "conv1.conv.weight": [1, 8, 8, 3, 3],
  "conv1.conv.modulation.weight": [8, 8],
  "to_rgb1.conv.weight": [1, 3, 8, 1, 1],
  "convs.0.conv.modulation.weight": [8, 8],
}

/** By the names in `PublishedGans`, after the sources of each project. */
const published: Readonly<Record<string, TorchWriter.Tree>> = {
  "StyleGAN2-ADA (PyTorch)": of({
    "synthesis.b4.const": [8, 4, 4],
    "synthesis.b4.conv1.affine.weight": [8, 8],
    "synthesis.b4.conv1.weight": [8, 8, 3, 3],
    "synthesis.b4.torgb.weight": [3, 8, 1, 1],
    "mapping.fc0.weight": [8, 8],
    "mapping.w_avg": [8],
  }),
  StyleGAN3: of({
    "synthesis.input.affine.weight": [4, 8],
    "synthesis.L0_36_8.weight": [8, 8, 3, 3],
    "synthesis.L0_36_8.affine.weight": [8, 8],
    "mapping.fc0.weight": [8, 8],
  }),
  "StyleGAN2 (rosinality)": { g: of(rosinality), g_ema: of(rosinality), d: of({ "convs.0.0.weight": [8, 3, 1, 1] }) },
  "StyleGAN (TensorFlow)": of({
    "G_synthesis/4x4/Const/const": [1, 8, 4, 4],
    "G_synthesis/4x4/Conv/weight": [3, 3, 8, 8],
    "G_mapping/Dense0/weight": [8, 8],
  }),
  "StyleGAN (rosinality)": of({
    "generator.progression.0.conv1.0.input": [1, 8, 4, 4],
    "generator.progression.0.adain1.style.linear.weight_orig": [16, 8],
    "generator.to_rgb.0.conv.weight_orig": [3, 8, 1, 1],
    "style.1.linear.weight_orig": [8, 8],
  }),
  "a progressive GAN (pytorch_GAN_zoo)": {
    netG: of({
      "formatLayer.module.weight": [128, 8],
      "groupScale0.0.module.weight": [8, 8, 3, 3],
      "scaleLayers.0.0.module.weight": [8, 8, 3, 3],
      "toRGBLayers.0.module.weight": [3, 8, 1, 1],
    }),
  },
  "lightweight-gan": {
    GAN: of({
      "G.initial_conv.0.weight": [8, 16, 4, 4],
      "G.layers.0.0.2.weight": [16, 8, 3, 3],
      "G.out_conv.weight": [3, 8, 3, 3],
      "D.residual_layers.0.0.branches.0.0.weight": [8, 3, 4, 4],
      "D.to_shape_disc_out.1.fn.fn.to_qkv.weight": [24, 8, 1, 1],
      "GE.initial_conv.0.weight": [8, 16, 4, 4],
      "GE.layers.0.0.2.weight": [16, 8, 3, 3],
    }),
  },
  BigGAN: of({
    "shared.weight": [10, 8],
    "linear.weight": [128, 8],
    "blocks.0.0.conv1.weight": [8, 8, 3, 3],
    "blocks.0.0.bn1.gain.weight": [8, 16],
    "blocks.0.0.bn1.bias.weight": [8, 16],
    "output_layer.2.weight": [3, 8, 3, 3],
  }),
  "BigGAN (Hugging Face)": of({
    "embeddings.weight": [8, 10],
    "generator.gen_z.weight_orig": [128, 16],
    "generator.layers.0.bn_0.scale.weight_orig": [8, 16],
    "generator.layers.0.conv_0.weight_orig": [8, 8, 1, 1],
    "generator.conv_to_rgb.weight_orig": [8, 8, 3, 3],
  }),
  "a GAN with self-attention": of({
    "l1.0.module.weight_bar": [16, 8, 4, 4],
    "attn1.query_conv.weight": [2, 16, 1, 1],
    "attn1.key_conv.weight": [2, 16, 1, 1],
    "attn1.gamma": [1],
    "last.0.weight": [8, 3, 4, 4],
  }),
}

test("every published GAN of the table has an example here", () => {
  expect(Object.keys(published).sort()).toEqual(PublishedGans.table.map(([, { name }]) => name).sort())
})

describe.each(Object.entries(published))("%s", (name, tree) => {
  const said = PublishedGans.explain(PublishedGans.table.find(([, own]) => own.name === name)![1])
  const folder = mkdtempSync(join(tmpdir(), "published-"))
  const file = join(folder, "checkpoint.pt")
  const written = Failure.orThrow(Files.write(file, TorchWriter.encode(tree)))

  test("is inspected, with every tensor and the reason", async () => {
    await written
    const { tensors, architecture, nearest } = await Failure.orThrow(Inspect.inspect(file))
    expect(tensors.length).toBeGreaterThan(2)
    expect(architecture).toBeNull()
    expect(nearest).toContain(said)
  })

  test.each([{ files: [file] }, { generator: file }, { files: [file], ema: true }])(
    "is not imported by %o",
    async (options) => {
      await written
      const result = await Import.importModel({ ...options, out: join(folder, "model") })()
      expect(result).toMatchObject({ left: { _tag: "UnknownArchitecture", message: expect.stringContaining(said) } })
    },
  )

  test("has no layers to suggest", async () => {
    await written
    const result = await Checkpoint.use(file, Suggestion.of)()
    expect(result).toMatchObject({ left: { _tag: "UnknownArchitecture", message: said } })
  })
})

const BEGIN = "<!-- published: written by PublishedGans.test.ts -->"
const END = "<!-- end of published -->"

test("docs/checkpoints.md has the table of these GANs", () => {
  const page = join(import.meta.dirname, "../../../../docs/checkpoints.md")
  const rows = PublishedGans.table.map(([, { name, why }]) => `| ${name} | ${why} |`)
  const table = [BEGIN, "| recognised | not trainable here because |", "|---|---|", ...rows, END].join("\n")
  const text = readFileSync(page, "utf8")
  const begin = text.indexOf(BEGIN)
  if (process.env.UPDATE_DOCS !== undefined && begin >= 0)
    writeFileSync(page, text.slice(0, begin) + table + text.slice(text.indexOf(END) + END.length))
  expect(readFileSync(page, "utf8")).toContain(table)
})
