/** How often names are read and shapes are recognised on the way from a file to a model. */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { TorchWriter } from "@adafm/checkpoint"
import { Failure, Files, Leaf, NdArray } from "@adafm/core"
import { Dcgan, Gan } from "@adafm/gan"
import { beforeEach, expect, test, vi } from "vitest"
import * as Import from "../../src/import/Import.ts"
import * as Inspect from "../../src/import/Inspect.ts"
import * as GpGanFamily from "../../src/recognise/architectures/GpGanFamily.ts"
import * as ParameterNames from "../../src/recognise/ParameterNames.ts"

vi.mock("../../src/recognise/ParameterNames.ts", { spy: true })
// every attempt at recognition begins with this family
vi.mock("../../src/recognise/architectures/GpGanFamily.ts", { spy: true })

beforeEach(() => {
  vi.clearAllMocks()
})

const here = mkdtempSync(join(tmpdir(), "adafm-recognise-"))
const gan = Gan.of(Dcgan.Config.parse(Dcgan.standard({ resolution: 16, nf: 4, z_dim: 3 })))
const [G, D] = [Leaf.initAll(gan.generator, 1, "generator"), Leaf.initAll(gan.discriminator, 1, "discriminator")]

let files = 0
const written = async (content: TorchWriter.Tree): Promise<string> => {
  const file = join(here, `${++files}.pt`)
  await Failure.orThrow(Files.write(file, TorchWriter.encode(content)))
  return file
}
const model = async (options: Omit<Import.Options, "out">): Promise<Import.Imported> =>
  Failure.orThrow(Import.importModel({ ...options, out: join(here, `model-${files}`) }))

/** Attempts so far: which network was taken as what. */
const attempts = (): readonly string[] =>
  vi.mocked(GpGanFamily.recognise).mock.calls.map(([both]) =>
    Object.entries(both)
      .map(([role, shapes]) => `${shapes["main.0.weight"]![0] === 3 ? "G" : "D"} as ${role}`)
      .join(", "),
  )
const together = "G as generator, D as discriminator"

test("networks that their keys name are recognised once, together", async () => {
  const file = await written({ netG: G, netD: D, netG_ema: G })
  expect(await model({ files: [file] })).toMatchObject({ architecture: "dcgan", average: "netG_ema" })
  expect(attempts()).toEqual([together])
  expect(ParameterNames.networks).toHaveBeenCalledTimes(1)
})

test("inspection recognises a file once", async () => {
  const file = await written({ netG: G, netD: D, netG_ema: G })
  expect(await Failure.orThrow(Inspect.inspect(file))).toMatchObject({ architecture: "dcgan" })
  expect(attempts()).toEqual([together])
  expect(ParameterNames.networks).toHaveBeenCalledTimes(1)
})

test("a network that no key names is tried alone once, in both roles, before the chosen two are recognised together", async () => {
  const alone = (name: string): readonly string[] => [`${name} as generator`, `${name} as discriminator`]
  const one = await written({ a: D, b: G })
  expect(await model({ files: [one] })).toMatchObject({ generator: { root: "b" }, discriminator: { root: "a" } })
  expect(attempts()).toEqual([...alone("D"), ...alone("G"), together])
  expect(ParameterNames.networks).toHaveBeenCalledTimes(1)
  vi.clearAllMocks()
  const two = { generator: await written(G), discriminator: await written(D) }
  expect(await model(two)).toMatchObject({ architecture: "dcgan" })
  expect(attempts()).toEqual([...alone("G"), ...alone("D"), together])
  expect(ParameterNames.networks).toHaveBeenCalledTimes(2)
})

test("a network that fits nothing is not tried again for the message", async () => {
  const file = await written({ netG: G, judge: { "conv.weight": NdArray.zeros("float32", [5, 7, 3, 3]) } })
  expect(await Import.importModel({ files: [file], out: join(here, "none") })()).toMatchObject({
    left: { _tag: "NoNetwork" },
  })
  expect(GpGanFamily.recognise).toHaveBeenCalledTimes(2)
})
