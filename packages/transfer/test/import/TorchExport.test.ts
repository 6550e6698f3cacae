import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Flat, Leaf, NdArray, Safetensors } from "@adafm/core"
import { Dcgan, Gan, GpGan, ModelFolder, SmallHead } from "@adafm/gan"
import { expect, test } from "vitest"
import * as Import from "../../src/import/Import.ts"
import * as Inspect from "../../src/import/Inspect.ts"
import * as TorchExport from "../../src/import/TorchExport.ts"

const configs: readonly (readonly [string, Gan.Config])[] = [
  [
    "GP-GAN with a width limit",
    GpGan.Config.parse({ architecture: "gpgan", resolution: 32, nf: 2, nf_max: 5, z_dim: 3, embed: 2, nlabels: 3 }),
  ],
  ["resnet4", Gan.Config.parse({ architecture: "resnet4", resolution: 64, nf: 1, z_dim: 3, embed: 2, nlabels: 3 })],
  ["DCGAN", Dcgan.Config.parse(Dcgan.standard({ resolution: 16, nf: 4, z_dim: 3 }))],
  // in a file sorted by name, layers 10 and 12 come before layer 3
  ["DCGAN of 64 px", Dcgan.Config.parse(Dcgan.standard({ resolution: 64, nf: 2, z_dim: 3 }))],
]

const bits = (params: Flat.Flat<NdArray.NdArray>): object =>
  Flat.map(
    params,
    ({ shape, data }) => `${shape} ${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")}`,
  )

test.each(
  configs.flatMap(([name, config]) => (["pt", "safetensors"] as const).map((format) => ({ name, config, format }))),
)("$name is exported as $format and imported again, to the bit", async ({ config, format }) => {
  const here = mkdtempSync(join(tmpdir(), "adafm-export-"))
  const gan = Gan.of(config)
  const networks = {
    generator: Leaf.initAll(gan.generator, 1, "generator"),
    discriminator: Leaf.initAll(gan.discriminator, 1, "discriminator"),
  }
  await Failure.orThrow(ModelFolder.write(join(here, "a"), ModelFolder.describe(gan), networks))
  const file = join(here, `weights.${format}`)
  const result = await Failure.orThrow(TorchExport.exportModel({ folder: join(here, "a"), out: file }))
  expect(result).toMatchObject({
    format,
    tensors: Object.keys(gan.generator).length + Object.keys(gan.discriminator).length,
  })
  expect(await Failure.orThrow(Inspect.inspect(file))).toMatchObject({
    sha256: result.sha256,
    bytes: result.bytes,
    architecture: config.architecture,
    problems: [],
  })
  expect((await Failure.orThrow(Import.importModel({ files: [file], out: join(here, "b") }))).config).toEqual(config)
  const back = await Failure.orThrow(ModelFolder.read(join(here, "b")))
  expect(bits(back.generator)).toEqual(bits(networks.generator))
  expect(bits(back.discriminator)).toEqual(bits(networks.discriminator))
  const one = join(here, `g.${format}`)
  await Failure.orThrow(TorchExport.exportModel({ folder: join(here, "a"), out: one, network: "generator" }))
  expect((await Failure.orThrow(Inspect.inspect(one))).tensors.map(({ path }) => path).sort()).toEqual(
    Object.keys(gan.generator).sort(),
  )
})

test.each(SmallHead.NORMS)(
  "a small head with the norm `%s` is exported with the authors' gradient factor, and imported with its own",
  async (norm) => {
    const here = mkdtempSync(join(tmpdir(), "adafm-export-"))
    const sizes = { resolution: 16, nf: 1, nf_max: 2, z_dim: 3, style_dim: 2, head_blocks: 1 } as const
    const config = SmallHead.Config.parse({
      architecture: "gpgan-small-head",
      ...sizes,
      head_scale: 1.6,
      head_gradient: 1.6e-5,
      head_norm: norm,
    })
    const gan = Gan.of(config)
    const networks = {
      generator: Leaf.initAll(gan.generator, 1, "generator"),
      discriminator: Leaf.initAll(gan.discriminator, 1, "discriminator"),
    }
    await Failure.orThrow(ModelFolder.write(join(here, "a"), ModelFolder.describe(gan), networks))
    const path = "small_H.weight"
    const ours = networks.generator[path]!.data
    const near = (data: ArrayLike<number>, wanted: Float32Array): void =>
      wanted.forEach((v, i) => void expect(Math.abs(data[i]! - v)).toBeLessThan(2 ** -22))
    for (const format of ["safetensors", "pt"] as const) {
      const file = join(here, `weights.${format}`)
      await Failure.orThrow(TorchExport.exportModel({ folder: join(here, "a"), out: file }))
      const imported = await Failure.orThrow(Import.importModel({ files: [file], out: join(here, format) }))
      const back = await Failure.orThrow(ModelFolder.read(join(here, format)))
      const said = format === "safetensors"
      // a .pt declares no configuration: the import takes the authors' 0.01, and the sum with the weight is the same
      const { head_norm: _, ...others } = config
      const shown = norm === "authors" ? others : config
      expect(imported.config).toEqual(said ? config : { ...shown, ...SmallHead.AUTHORS })
      near(back.generator[path]!.data, said ? ours : ours.map((v) => v + 1.6e-5 - 0.01))
      const rest = (params: Flat.Flat<NdArray.NdArray>) => bits(Flat.filter(params, (other) => other !== path))
      expect(rest(back.generator)).toEqual(rest(networks.generator))
    }
    const { tensors } = await Failure.orThrow(Safetensors.read(join(here, "weights.safetensors")))
    near(
      NdArray.toFloat32(tensors[`generator/${path}`]!).data,
      ours.map((v) => v + 1.6e-5 - 0.01),
    )
  },
)
