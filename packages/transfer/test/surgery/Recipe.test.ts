/** What options make of a recipe: each changes one thing of the plan and nothing else. */
import { Failure, Flat, NdArray } from "@adafm/core"
import { Dcgan, Gan, GpGan } from "@adafm/gan"
import { describe, expect, test } from "vitest"
import * as Graft from "../../src/surgery/Graft.ts"
import * as Plan from "../../src/surgery/Plan.ts"
import type * as Surgery from "../../src/surgery/Surgery.ts"
import * as Target from "../../src/surgery/Target.ts"
import * as UnconditionalView from "../../src/surgery/UnconditionalView.ts"
import { planOf } from "./planOf.ts"

const config = GpGan.Config.parse({ architecture: "gpgan", resolution: 32, nf: 2, z_dim: 6, embed: 3, nlabels: 5 })
const spec = Gan.of(config)
const head = Target.of(config, { head: "small" })

const zeros = (leaves: Gan.Gan["generator"]) => Flat.map(leaves, ({ shape }) => NdArray.zeros("float32", shape))

/** Paths of the generator by what becomes of them. */
const fates = (name: string, target: Gan.Config, generator: Surgery.Given["generator"] = {}) => {
  const plan = Failure.orThrow(planOf(name, target, {}, { generator }))
  const find = Plan.find(plan.generator)
  return Object.fromEntries(Object.keys(Gan.of(target).generator).map((path) => [path, find(path)!.rule]))
}
const trained = (rules: ReturnType<typeof fates>): readonly string[] =>
  Object.keys(rules).filter((path) => rules[path]!.fate === "train")

describe("a recipe", () => {
  test("modulates frozen filters or leaves them, as is asked, with everything else the same", () => {
    const [plain, off] = [fates("g3d2", head), fates("g3d2-adafm", head, { moves: "frozen" })]
    expect(off).toEqual(plain)
    expect(Object.values(off).some(({ fate }) => fate === "modulate")).toBe(false)
    expect(fates("g3d2", head, { moves: "modulated" })).toEqual(fates("g3d2-adafm", head))
    expect(fates("adafm", head, { moves: "frozen" })["resnet_3_0.conv_0.weight"]!.fate).toBe("freeze")
  })

  test("with kept groups as where training begins freezes nothing and copies what it would have frozen", () => {
    for (const rest of ["copied", "fresh"] as const) {
      const [frozen, begun] = [
        fates("g3d2-adafm", head, { rest }),
        fates("g3d2-adafm", head, { rest, moves: "trained" }),
      ]
      expect(trained(begun)).toEqual(Object.keys(begun))
      for (const path of Object.keys(begun)) expect(begun[path]!.value, path).toBe(frozen[path]!.value)
    }
  })

  test("that copies only what it freezes has a fresh first layer too", () => {
    const target = Target.of(config)
    const rules = fates("g2d1", target, { top: "view", rest: "fresh" })
    expect(rules["fc.weight"]!.value).toBe("fresh")
    expect(rules["resnet_1_0.conv_0.weight"]!.value).toBe("fresh")
    expect(rules["resnet_3_0.conv_0.weight"]!.value).toBe("keep")
    expect(fates("g2d1", target, { top: "view" })["fc.weight"]!.value).toBe("keep")
  })

  test("keeps a miner that the source has, and modulates the generator after it", () => {
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
    expect(Target.of(config, {}, 4)).toMatchObject({ nlabels: 4, embed: 3 })
    expect(Target.of({ ...config, nlabels: 1, embed: 1 }, {}, 4)).toMatchObject({ nlabels: 4, embed: 6 })
    expect(Target.of(config, {}, 1)).toMatchObject({ nlabels: 1, embed: 1 })
    expect(Target.of(head, {}, 4)).toMatchObject({ architecture: "gpgan-small-head", nlabels: 4 })
  })

  test("is refused where the architecture knows none", () => {
    const dcgan = Gan.Config.parse(Dcgan.standard({ resolution: 16, nf: 4, z_dim: 5 }))
    expect(() => Target.of(dcgan, {}, 2)).toThrow("this dcgan has no classes")
    expect(() => Target.of({ architecture: "mined", source: Gan.plain(dcgan) }, {}, 2)).toThrow("no classes")
  })

  test("takes every parameter of a fine-tuned source, its first and last layer through the view", () => {
    const target = Gan.of(Target.of(config, {}, 4))
    const source = { generator: zeros(spec.generator), discriminator: zeros(spec.discriminator) }
    const view = UnconditionalView.of(config, source, { labels: 4 })
    const graft = Failure.orThrow(
      Graft.prepare(target, Failure.orThrow(planOf("finetune", target.config, { top: "view" })), view),
    )
    expect(graft.counts.fresh).toBe(0)
    expect(graft.counts.trainable).toBe(graft.counts.total)
  })
})
