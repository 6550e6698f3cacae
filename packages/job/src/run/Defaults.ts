/** Settings of a transfer that nobody gave: chosen from the number of images and the size of the model, each with its reason. */
import type { DiffAugment, Gan, GradientPenalty, Step } from "@adafm/gan"
import { Groups, Recipe } from "@adafm/transfer"
import * as E from "fp-ts/lib/Either.js"
import { penaltyWeight } from "../verbs/Pretrain.ts"

/** One choice, as it is printed. */
export interface Choice {
  readonly setting: string
  readonly value: string
  readonly reason: string
}

/** What decides. */
export interface Situation {
  readonly images: number
  /** Pixels of a side. */
  readonly size: number
}

/** What somebody gave; the rest is chosen. */
export interface Given {
  readonly recipe?: string
  readonly plan?: unknown
  readonly steps?: number
  readonly batch?: number
  readonly learningRate?: number
  readonly penalty?: Partial<GradientPenalty.Config>
  readonly augment?: DiffAugment.Policy
  readonly ada?: unknown
}

export interface Chosen {
  readonly recipe: string
  readonly steps: number
  readonly batch: number
  readonly learningRate: number
  readonly penalty: GradientPenalty.Config
  readonly augment: DiffAugment.Policy
}

/** Images below which the authors' protocol for 25 images is taken. */
export const SCARCE = 50
/** Images below which a discriminator soon knows them all by heart. */
export const FEW = 1000

const STEPS = [
  {
    below: SCARCE,
    steps: 1500,
    reason: `under ${SCARCE} images a longer training learns the photographs, not the subject`,
  },
  {
    below: FEW,
    steps: 3000,
    reason: "a hundred photographs of flowers: FID-768 1.06 after 1,500 steps, 0.97 after 3,000",
  },
  { below: Number.POSITIVE_INFINITY, steps: 6000, reason: `${FEW} images and more go on teaching for longer` },
] as const

const stepsFor = (images: number) => STEPS.find(({ below }) => images < below)!

export const resolve = (given: Given, { images, size }: Situation): Chosen => {
  const recipe = given.recipe ?? (images < SCARCE ? "adafm-25" : "adafm")
  const { mode, weight } = (given.plan === undefined ? Recipe.settings(recipe).penalty : undefined) ?? {
    mode: "real",
    weight: 10,
  }
  const isAugmented = images < FEW && given.ada === undefined
  return {
    recipe,
    steps: given.steps ?? stepsFor(images).steps,
    batch: given.batch ?? 16,
    // the paper trains at 128 px with 1e-4; its small networks (32, 64 px) take twice that
    learningRate: given.learningRate ?? (size < 128 ? 2e-4 : 1e-4),
    penalty: { mode, weight: penaltyWeight(size, weight), ...given.penalty },
    augment: given.augment ?? (isAugmented ? ["color", "translation"] : []),
  }
}

const RECIPES: Readonly<Record<string, string>> = {
  adafm: "those near the image fit other domains, AdaFM adapts them, the rest learns",
  "adafm-25": `the authors' protocol for 25 images, taken under ${SCARCE}: latents of four numbers, a discriminator with little left to train; 25 sunflowers: as near as adafm, a little more varied`,
}

/** `keeps 3 of 5 groups …` of the source, counted from the image. */
const keptText = (recipe: string, config: Gan.Config): readonly string[] => {
  const groups = (net: Step.Net): number => Groups.of(config, net).groups.length
  const kept = Recipe.keepOf(recipe, config)
  return E.isLeft(kept)
    ? []
    : [
        `keeps ${kept.right.m} of ${groups("generator")} groups of the generator and ${kept.right.n} of ${groups("discriminator")} of the discriminator`,
      ]
}

const penaltyReason = (recipe: string, { size }: Situation): string => {
  const { mode = "real", weight = 10 } = Recipe.settings(recipe).penalty ?? {}
  const images = mode === "real_fake" ? "photographs and samples" : "photographs"
  return `R1 on ${images}, ${weight} at 128 px in the paper, less with fewer pixels: ${weight} · (${size} / 128)²`
}

/** The choices among the settings that nobody gave. @param config the source's */
export const explain = (given: Given, chosen: Chosen, situation: Situation, config: Gan.Config): readonly Choice[] => {
  const { images, size } = situation
  const { recipe, steps, batch, learningRate, penalty, augment } = chosen
  const choices: readonly (Choice & { readonly isGiven: boolean })[] = [
    {
      setting: "recipe",
      value: recipe,
      reason: [...keptText(recipe, config), RECIPES[recipe] ?? ""].join("; "),
      isGiven: given.recipe !== undefined || given.plan !== undefined,
    },
    { setting: "steps", value: String(steps), reason: stepsFor(images).reason, isGiven: given.steps !== undefined },
    {
      setting: "augment",
      value: augment.length === 0 ? "none" : augment.join(","),
      reason:
        augment.length === 0
          ? `${FEW} images and more need none`
          : `under ${FEW} images the discriminator must not know them by heart: FID-768 1.06 with, 1.25 without (100 photographs)`,
      isGiven: given.augment !== undefined || given.ada !== undefined,
    },
    {
      setting: "penalty",
      value: `${penalty.mode} ${+penalty.weight.toPrecision(3)}`,
      reason: penaltyReason(recipe, situation),
      isGiven: given.penalty?.weight !== undefined || given.penalty?.mode !== undefined || given.plan !== undefined,
    },
    {
      setting: "lr",
      value: String(learningRate),
      reason: size < 128 ? "twice the paper's 1e-4, whose networks are of 128 px" : "the paper's",
      isGiven: given.learningRate !== undefined,
    },
    { setting: "batch", value: String(batch), reason: "the paper's", isGiven: given.batch !== undefined },
  ]
  return choices.flatMap(({ isGiven, ...choice }) => (isGiven ? [] : [choice]))
}
