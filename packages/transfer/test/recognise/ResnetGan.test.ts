/** The 256-px sources of GP-GAN's authors: recognised, imported, transferred by groups. */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { TorchWriter } from "@adafm/checkpoint"
import { Failure, Files, Flat, Leaf } from "@adafm/core"
import { Gan, ModelFolder, type Step } from "@adafm/gan"
import { describe, expect, test } from "vitest"
import * as Import from "../../src/import/Import.ts"
import * as Recognise from "../../src/recognise/Recognise.ts"
import * as Graft from "../../src/surgery/Graft.ts"
import * as Target from "../../src/surgery/Target.ts"
import { planOf } from "../surgery/planOf.ts"

const nets = ["generator", "discriminator"] as const

/** Parameters of the first k groups from the image, counted on PyTorch modules of the published size. */
const frozen: Readonly<Record<"resnet3" | "resnet4", Readonly<Record<Step.Net, readonly number[]>>>> = {
  resnet3: {
    generator: [0, 9411, 128323, 603715, 2504771, 10107971, 28984387, 59395139],
    discriminator: [0, 9472, 128448, 603968, 2505280, 10108992, 28985408, 59397184],
  },
  resnet4: {
    generator: [0, 9411, 83267, 202179, 677571, 2578627, 10181827, 29058243, 47934659],
    discriminator: [0, 9472, 83328, 202304, 677824, 2579136, 10182848, 29059264, 47935680],
  },
}

describe.each(["resnet3", "resnet4"] as const)("%s", (architecture) => {
  const published = Gan.Config.parse({ architecture })
  const shapesOf = (config: Gan.Config) => {
    const gan = Gan.of(config)
    return {
      generator: { ...Flat.map(gan.generator, ({ shape }) => shape) },
      discriminator: { ...Flat.map(gan.discriminator, ({ shape }) => shape) },
    }
  }

  test.each([published, Gan.Config.parse({ architecture, resolution: 128, nf: 3, z_dim: 5, embed: 2, nlabels: 4 })])(
    "is recognised from names and shapes, whole and by halves",
    (config) => {
      const { generator, discriminator } = shapesOf(config)
      expect(Recognise.networks({ generator, discriminator })).toEqual({ _tag: "Known", config })
      expect(Recognise.networks({ generator })).toEqual({ _tag: "Half", architecture, role: "generator", config })
      expect(Recognise.single(discriminator)).toEqual({ _tag: "Half", architecture, role: "discriminator" })
    },
  )

  test("says which tensor does not fit, and when the first layer matches no size", () => {
    const { generator, discriminator } = shapesOf(published)
    const odd = { ...generator, "resnet_2_0.conv_1.weight": [7, 7, 3, 3] }
    expect(Recognise.networks({ generator: odd, discriminator })).toMatchObject({
      nearest: architecture,
      misfits: [{ network: "generator", path: "resnet_2_0.conv_1.weight", found: [7, 7, 3, 3] }],
    })
    const none = Recognise.networks({ generator: { ...generator, "fc.weight": [1000, 257] } })
    expect(none).toMatchObject({ _tag: "Unknown", nearest: architecture })
  })

  test("is imported from a file as the authors' trainer writes it, to the bit", async () => {
    const here = mkdtempSync(join(tmpdir(), "adafm-resnet-"))
    const config = Gan.Config.parse({ architecture, resolution: 64, nf: 1, z_dim: 3 })
    const gan = Gan.of(config)
    const params = Flat.fromEntries(nets.map((net) => [net, Leaf.initAll(gan[net], 1, net)] as const))
    const wrapped = Flat.map(params, (network) =>
      Flat.fromEntries(Object.entries(network).map(([path, array]) => [`module.${path}`, array] as const)),
    )
    Failure.orThrow(
      await Files.write(
        join(here, "model.pt"),
        TorchWriter.encode({ ...wrapped, generator_test: wrapped.generator! }),
      )(),
    )
    const imported = await Failure.orThrow(
      Import.importModel({ files: [join(here, "model.pt")], out: join(here, "model") }),
    )
    expect(imported).toMatchObject({ architecture, config })
    const model = await Failure.orThrow(ModelFolder.read(join(here, "model")))
    for (const net of nets) expect({ ...model[net] }).toEqual({ ...params[net] })
  })

  test("every GmDn of both readings freezes exactly the groups next to the image, and copies and trains the rest as specified", () => {
    const gan = Gan.of(published)
    const total = (net: Step.Net): number =>
      Object.values(gan[net]).reduce((n, { shape }) => n + shape.reduce((k, d) => k * d, 1), 0)
    const head = (net: Step.Net): number => total(net) - frozen[architecture][net].at(-1)!
    for (const m of frozen[architecture].generator.keys())
      for (const copy of ["whole body", "only frozen"] as const) {
        const plan = Failure.orThrow(
          planOf(`g${m}d${m}`, published, { rest: copy === "whole body" ? "copied" : "fresh" }),
        )
        const graft = Failure.orThrow(Graft.prepare(gan, plan, gan))
        for (const net of nets) {
          const kept = frozen[architecture][net][m]!
          expect(graft[net].counts).toMatchObject({
            total: total(net),
            frozen: kept,
            trainable: total(net) - kept,
            copied: copy === "whole body" ? total(net) - head(net) : kept,
            modulated: 0,
          })
        }
      }
    expect(planOf(`g${frozen[architecture].generator.length}d0`, published)).toMatchObject({
      left: { _tag: "BadRecipe" },
    })
  })

  test("adafm keeps four groups, modulates both convolutions of their blocks and initialises a new head", () => {
    const target = Gan.of(Target.of({ ...published, nlabels: 10, embed: 4 } as Gan.Config))
    const graft = Failure.orThrow(
      Graft.prepare(target, Failure.orThrow(planOf("adafm", target.config)), Gan.of(published)),
    )
    const where = (moves: Graft.Fate["moves"]): readonly string[] =>
      Object.values(graft.generator.fates).flatMap((f) => (f.moves === moves ? [f.path] : []))
    const groups = architecture === "resnet3" ? [3, 4, 5] : [4, 5, 6]
    expect(where("modulated").toSorted()).toEqual(
      groups.flatMap((i) => [0, 1].map((k) => `resnet_${i}_0.conv_${k}.weight`)),
    )
    expect(where("trainable")).toContain(`resnet_${groups[0]}_0.small_adafm_1.style_gama`)
    expect(
      Object.values(graft.generator.fates).flatMap((f) => (f.value === "fresh" && f.rule >= 0 ? [f.path] : [])),
    ).toEqual(["embedding.weight", "fc.weight", "fc.bias"])
    expect(() => Target.of(published, { head: "small" })).toThrow(/small head/)
  })
})
