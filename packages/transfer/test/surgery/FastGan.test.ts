/** A FastGAN's groups, counted from the image, and what recipes make of them. */
import { Modulate } from "@adafm/adafm"
import { Failure, Flat, Leaf } from "@adafm/core"
import { FastGan, Gan } from "@adafm/gan"
import { describe, expect, test } from "vitest"
import * as Graft from "../../src/surgery/Graft.ts"
import * as Groups from "../../src/surgery/Groups.ts"
import * as Target from "../../src/surgery/Target.ts"
import { planOf } from "./planOf.ts"

const configOf = (more: Partial<FastGan.Config> = {}): FastGan.Config =>
  FastGan.Config.parse({ architecture: "fastgan", ngf: 2, ndf: 2, decoder: 1, z_dim: 3, ...more })
const gan = Gan.of(configOf())
const names = (net: "generator" | "discriminator", config = configOf()): readonly string[] =>
  Groups.of(config, net).groups.map(({ name }) => name)

describe("a FastGAN's groups", () => {
  test("are its blocks from the image on", () => {
    expect(names("generator")).toEqual(["to_big", "feat_64", "feat_32", "feat_16", "feat_8"])
    expect(names("discriminator")).toEqual(["down_from_big", "down_16", "down_32", "down_64"])
    expect(names("generator", configOf({ resolution: 32 })).length).toBe(4)
    expect(names("discriminator", configOf({ resolution: 512 }))).toEqual([
      "down_from_big",
      ...[4, 8, 16, 32, 64].map((k) => `down_${k}`),
    ])
  })

  test.each([32, 64, 128, 256, 512, 1024] as const)(
    "of %i px cover every parameter, with and without AdaFM",
    (resolution) => {
      const large = Gan.of(configOf({ resolution, ngf: 8, ndf: 8 }))
      const [m, n] = [
        names("generator", configOf({ resolution })).length,
        names("discriminator", configOf({ resolution })).length,
      ]
      for (const recipe of [
        "finetune",
        "adafm",
        "adafm-25",
        ...Array.from({ length: m + 1 }, (_, k) => `g${k}d${Math.min(k, n)}-adafm`),
      ]) {
        const graft = Failure.orThrow(Graft.prepare(large, Failure.orThrow(planOf(recipe, large.config)), large))
        expect(graft.counts.total, recipe).toBeGreaterThan(0)
        const moved = Object.values(graft.generator.fates).filter(({ moves }) => moves === "modulated")
        for (const { path } of moved) expect(large.generator[path]!.shape.length, path).toBe(4)
      }
    },
  )

  test("g2 freezes the last block and what makes the pixels, and AdaFM modulates the block's filters", () => {
    const { generator } = Failure.orThrow(Graft.prepare(gan, Failure.orThrow(planOf("g2d1-adafm", gan.config)), gan))
    const of = (moves: string): readonly string[] =>
      Object.values(generator.fates).flatMap((fate) => (fate.moves === moves ? [fate.path] : []))
    expect(of("modulated")).toEqual(["feat_64.1.weight"])
    expect(of("frozen")).toEqual([
      "feat_64.2.weight",
      "feat_64.2.bias",
      "se_64.main.1.weight",
      "se_64.main.3.weight",
      "to_big.weight",
    ])
  })
})

test("every modulation of a FastGAN's filters starts as the identity; those of a bias are refused", () => {
  const filters = ["feat_32.1.weight", "feat_32.5.weight", "feat_64.1.weight"]
  const network = Leaf.initAll(gan.generator, 0, "generator")
  for (const kind of Modulate.names) {
    const make = (): Modulate.Modulation => Modulate.make({ kind }, gan.generator, filters)
    if (kind === "feature-statistics" || kind === "mfilm") expect(make, kind).toThrow("which has no bias")
    else if (make().folds) {
      const modulation = make()
      const start = Flat.merge(Leaf.initAll(modulation.leaves, 0, "generator"), modulation.start(network))
      const folded = Modulate.fold(modulation, Flat.merge(network, start))
      for (const path of filters) {
        const difference = folded[path]!.data.map((v, i) => Math.abs(v - network[path]!.data[i]!))
        expect(Math.max(...difference), `${kind} ${path}`).toBeLessThan(1e-6)
      }
    }
  }
})

test("a FastGAN has no classes and no small head", () => {
  expect(() => Target.of(gan.config, {}, 2)).toThrow("a fastgan has no classes")
  expect(() => Target.of(gan.config, { head: "small", keep: 2 })).toThrow("needs a GP-GAN source")
})
