/** What options make of a recipe: each changes one thing of the plan and nothing else. */
import { type Failure, Flat, NdArray } from "@adafm/core"
import { Dcgan, Gan, GpGan } from "@adafm/gan"
import * as E from "fp-ts/lib/Either.js"
import { describe, expect, test } from "vitest"
import * as Graft from "../src/surgery/Graft.ts"
import * as Plan from "../src/surgery/Plan.ts"
import * as Recipe from "../src/surgery/Recipe.ts"
import * as UnconditionalView from "../src/surgery/UnconditionalView.ts"

const orThrow = <A>(either: E.Either<Failure.Failure, A>): A => {
  if (E.isLeft(either)) throw new Error(JSON.stringify(either.left))
  return either.right
}
const config = GpGan.Config.parse({ architecture: "gpgan", resolution: 32, nf: 2, z_dim: 6, embed: 3, nlabels: 5 })
const spec = Gan.of(config)
const head = Recipe.target(config, { head: "small" })

const zeros = (leaves: Gan.Gan["generator"]) => Flat.map(leaves, ({ shape }) => NdArray.zeros("float32", shape))

/** Paths of the generator by what becomes of them. */
const fates = (name: string, target: Gan.Config, options: Recipe.Options = {}) => {
  const plan = orThrow(Recipe.plan(name, target, options))
  const find = Plan.find(plan.generator)
  return Object.fromEntries(Object.keys(Gan.of(target).generator).map((path) => [path, find(path)!.rule]))
}
const trained = (rules: ReturnType<typeof fates>): readonly string[] =>
  Object.keys(rules).filter((path) => rules[path]!.fate === "train")

describe("a recipe", () => {
  test("modulates frozen filters or leaves them, as is asked, with everything else the same", () => {
    const [plain, off] = [fates("g3d2", head), fates("g3d2-adafm", head, { modulated: false })]
    expect(off).toEqual(plain)
    expect(Object.values(off).some(({ fate }) => fate === "modulate")).toBe(false)
    expect(fates("g3d2", head, { modulated: true })).toEqual(fates("g3d2-adafm", head))
    expect(fates("adafm", head, { modulated: false })["resnet_3_0.conv_0.weight"]!.fate).toBe("freeze")
  })

  test("with kept groups as where training begins freezes nothing and copies what it would have frozen", () => {
    for (const copy of ["whole body", "only frozen"] as const) {
      const [frozen, begun] = [
        fates("g3d2-adafm", head, { copy }),
        fates("g3d2-adafm", head, { copy, kept: "trained" }),
      ]
      expect(trained(begun)).toEqual(Object.keys(begun))
      for (const path of Object.keys(begun)) expect(begun[path]!.value, path).toBe(frozen[path]!.value)
    }
  })

  test("that copies only what it freezes has a fresh first layer too", () => {
    const target = Recipe.target(config)
    const rules = fates("g2d1", target, { top: "view", copy: "only frozen" })
    expect(rules["fc.weight"]!.value).toBe("fresh")
    expect(rules["resnet_1_0.conv_0.weight"]!.value).toBe("fresh")
    expect(rules["resnet_3_0.conv_0.weight"]!.value).toBe("keep")
    expect(fates("g2d1", target, { top: "view" })["fc.weight"]!.value).toBe("keep")
  })

  test("keeps a miner that the source has, and modulates what lies behind it", () => {
    const mined = Gan.Config.parse({
      architecture: "mined",
      source: Dcgan.standard({ resolution: 16, nf: 4, z_dim: 5 }),
    })
    const rules = fates("adafm", mined)
    expect(rules["miner.0.weight"]).toMatchObject({ value: "keep", fate: "train" })
    expect(rules["main.6.weight"]!.fate).toBe("modulate")
  })
})

describe("a target with classes", () => {
  test("has an embedding wide enough to tell them apart", () => {
    expect(Recipe.target(config, { labels: 4 })).toMatchObject({ nlabels: 4, embed: 3 })
    expect(Recipe.target({ ...config, nlabels: 1, embed: 1 }, { labels: 4 })).toMatchObject({ nlabels: 4, embed: 6 })
    expect(Recipe.target(config, { labels: 1 })).toMatchObject({ nlabels: 1, embed: 1 })
    expect(Recipe.target(head, { labels: 4 })).toMatchObject({ architecture: "gpgan-small-head", nlabels: 4 })
  })

  test("is refused where the architecture knows none", () => {
    const dcgan = Gan.Config.parse(Dcgan.standard({ resolution: 16, nf: 4, z_dim: 5 }))
    expect(() => Recipe.target(dcgan, { labels: 2 })).toThrow("a dcgan has no classes")
    expect(() => Recipe.target({ architecture: "mined", source: Gan.plain(dcgan) }, { labels: 2 })).toThrow(
      "no classes",
    )
  })

  test("takes every parameter of a fine-tuned source, its first and last layer through the view", () => {
    const target = Gan.of(Recipe.target(config, { labels: 4 }))
    const source = { generator: zeros(spec.generator), discriminator: zeros(spec.discriminator) }
    const view = UnconditionalView.of(config, source, { labels: 4 })
    const graft = orThrow(Graft.prepare(target, orThrow(Recipe.plan("finetune", target.config, { top: "view" })), view))
    expect(graft.counts.fresh).toBe(0)
    expect(graft.counts.trainable).toBe(graft.counts.total)
  })
})
