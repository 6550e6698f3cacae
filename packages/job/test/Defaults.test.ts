import { Gan } from "@adafm/gan"
import { expect, test } from "vitest"
import * as Defaults from "../src/run/Defaults.ts"

const config = (size: number): Gan.Config =>
  Gan.Config.parse({ architecture: "gpgan", resolution: size, nf: 2, z_dim: 4, nlabels: 3, embed: 2 })

/** Weights of R1: the paper's at 128 px times (size / 128)². */
test.each([
  { images: 25, size: 32, recipe: "adafm-25", steps: 1500, augment: 0, mode: "real_fake", weight: 20 / 16, lr: 2e-4 },
  { images: 100, size: 32, recipe: "adafm", steps: 3000, augment: 2, mode: "real", weight: 10 / 16, lr: 2e-4 },
  { images: 100, size: 64, recipe: "adafm", steps: 3000, augment: 2, mode: "real", weight: 10 / 4, lr: 2e-4 },
  { images: 8189, size: 128, recipe: "adafm", steps: 6000, augment: 0, mode: "real", weight: 10, lr: 1e-4 },
])(
  "$images images of $size px: recipe $recipe, $steps steps",
  ({ images, size, recipe, augment, mode, weight, lr, ...rest }) => {
    const chosen = Defaults.resolve({}, { images, size })
    expect(chosen).toMatchObject({
      ...rest,
      surgery: { recipe },
      batch: 16,
      learningRate: lr,
      penalty: { mode, weight },
    })
    expect(chosen.augment).toHaveLength(augment)
    const choices = Defaults.explain({}, chosen, { images, size }, config(size))
    expect(choices.map(({ setting }) => setting)).toEqual(["recipe", "steps", "augment", "penalty", "lr", "batch"])
    for (const { setting, value, reason } of choices) {
      expect(value, setting).not.toBe("")
      expect(reason.length, setting).toBeGreaterThan(8)
    }
  },
)

test("the kept groups are counted in the reason", () => {
  const situation = { images: 100, size: 128 }
  const [recipe] = Defaults.explain({}, Defaults.resolve({}, situation), situation, config(128))
  // S = log2(128 / 4) = 5: 6 blocks and conv_img
  expect(recipe?.reason).toContain("keeps 4 of 7 groups of the generator and 2 of 7 of the discriminator")
})

test("what is given is taken unchanged and not explained", () => {
  const given = {
    surgery: { recipe: "g2d1" },
    steps: 7,
    batch: 4,
    learningRate: 1e-3,
    augment: [],
    penalty: { mode: "none", weight: 0 } as const,
  }
  const situation = { images: 10, size: 32 }
  const chosen = Defaults.resolve(given, situation)
  expect(chosen).toEqual(given)
  expect(Defaults.explain(given, chosen, situation, config(32))).toEqual([])
})

test("the authors' protocol for 25 images has no augmentation, whoever chose it, unless one is given", () => {
  for (const images of [25, 100]) {
    const given = { surgery: { recipe: "adafm-25" } }
    const chosen = Defaults.resolve(given, { images, size: 32 })
    expect(chosen.augment).toEqual([])
    const choices = Defaults.explain(given, chosen, { images, size: 32 }, config(32))
    expect(choices.find(({ setting }) => setting === "augment")?.reason).toContain("the authors' protocol")
    expect(Defaults.resolve({ ...given, augment: ["color"] }, { images, size: 32 }).augment).toEqual(["color"])
  }
})

test("adaptive augmentation replaces DiffAugment, unless DiffAugment is given too", () => {
  const situation = { images: 100, size: 32 }
  expect(Defaults.resolve({ ada: {} }, situation).augment).toEqual([])
  expect(Defaults.resolve({ ada: {}, augment: ["cutout"] }, situation).augment).toEqual(["cutout"])
})
