import { GpGan } from "@adafm/gan"
import { Plan } from "@adafm/transfer"
import { describe, expect, test } from "vitest"
import * as Catalogue from "../declare/Catalogue.ts"
import * as CellSurgery from "./CellSurgery.ts"

const source = GpGan.Config.parse({ architecture: "gpgan", resolution: 32, nf: 4, z_dim: 8, embed: 8, nlabels: 3 })

const planOf = async (experiment: string, id: string): Promise<Plan.Plan> => {
  const { surgery, perClass } = (await Catalogue.load(experiment)).variants.find((variant) => variant.id === id)!
  return CellSurgery.plan({ surgery, schedule: { unfreezeAt: 500 }, conditional: perClass !== undefined }, source)
}

/** Value and fate that rules give a parameter. */
const of = (rules: readonly Plan.Rule[], path: string): string => {
  const { value, fate } = Plan.find(rules)(path)!.rule
  return `${value}, ${fate}`
}

const LOW = "resnet_3_0.conv_0.weight"
const HIGH = "resnet_0_0.conv_0.weight"

describe("a variant does what its title says", () => {
  test("from scratch nothing is kept, of G and of D", async () => {
    const { generator, discriminator } = await planOf("convergence", "scratch")
    expect([generator, discriminator]).toEqual([Plan.fresh, Plan.fresh])
  })

  test("fine-tuned: all kept and trained; in the authors' loader the first and last layers are new", async () => {
    const view = await planOf("finetuning", "finetune")
    const authors = await planOf("finetuning", "finetune-authors-top")
    for (const net of ["generator", "discriminator"] as const) {
      for (const path of [LOW, HIGH, "fc.weight"]) expect(of(view[net], path)).toBe("keep, train")
      for (const path of [LOW, HIGH]) expect(of(authors[net], path)).toBe("keep, train")
      expect(of(authors[net], "fc.weight")).toBe("fresh, train")
    }
  })

  test("only frozen groups copied: the low ones are the source's and stay, the rest is new", async () => {
    const { generator, discriminator } = await planOf("ablation-layers", "g3d2-frozen")
    expect(of(generator, LOW)).toBe("keep, freeze")
    expect(of(generator, HIGH)).toBe("fresh, train")
    expect(of(generator, "fc.weight")).toBe("fresh, train")
    expect(of(discriminator, "resnet_0_0.conv_0.weight")).toBe("keep, freeze")
    expect(of(discriminator, "resnet_3_0.conv_0.weight")).toBe("fresh, train")
  })

  test("low groups copied and trained are where training begins", async () => {
    const { generator } = await planOf("ablation-layers", "low-copied-trained")
    expect(of(generator, LOW)).toBe("keep, train")
    expect(of(generator, HIGH)).toBe("fresh, train")
  })

  test("with classes every one begins as the source's average class, and its embedding trains", async () => {
    for (const id of ["finetune-conditional", "frozen-conditional"]) {
      const { generator, discriminator } = await planOf("conditional", id)
      for (const path of ["embedding.weight", "fc.weight"]) expect(of(generator, path)).toBe("keep, train")
      expect(of(discriminator, "fc.weight")).toBe("keep, train")
    }
  })

  test("ours: low filters modulated from the step on, biases frozen, the small head new", async () => {
    const { generator } = await planOf("convergence", "adafm")
    expect(Plan.find(generator)(LOW)!.rule).toMatchObject({ value: "keep", fate: "modulate", unfreezeAt: 500 })
    expect(of(generator, "resnet_3_0.conv_0.bias")).toBe("keep, freeze")
    expect(of(generator, "small_H.weight")).toBe("fresh, train")
  })
})
