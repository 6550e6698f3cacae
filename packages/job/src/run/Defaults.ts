/** Settings of a transfer that were not given: chosen from the number of images and the size of the model, each with its reason. */
import type { DiffAugment, Gan, GradientPenalty, Step } from "@adafm/gan"
import { Groups, Recipe, type Surgery } from "@adafm/transfer"
import * as E from "fp-ts/lib/Either.js"
import { penaltyWeight } from "../verbs/Pretrain.ts"
import * as Habits from "./Habits.ts"

/** One choice, in the form in which it is printed. */
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
  /** The source's; GP-GAN's habits without it. */
  readonly architecture?: Gan.Config["architecture"]
}

/** What is given; the rest is chosen. */
export interface Given {
  readonly surgery?: Surgery.Given
  readonly steps?: number
  readonly batch?: number
  readonly learningRate?: number
  readonly penalty?: Partial<GradientPenalty.Config>
  readonly augment?: DiffAugment.Policy
  readonly ada?: unknown
}

export interface Chosen {
  /** With a recipe, unless the surgery itself says which groups are kept. */
  readonly surgery: Surgery.Given
  readonly steps: number
  readonly batch: number
  readonly learningRate: number
  readonly penalty: GradientPenalty.Config
  readonly augment: DiffAugment.Policy
}

/** Below this many images the authors' protocol for 25 images is the default. */
export const SCARCE = 50
/** Below this many images a discriminator soon memorises them. */
export const FEW = 1000

const STEPS = [
  {
    below: SCARCE,
    steps: 1500,
    reason: `with under ${SCARCE} images, longer training memorises the photographs`,
  },
  {
    below: FEW,
    steps: 3000,
    reason: "measured on 100 photographs of flowers: FID-768 1.06 after 1,500 steps, 0.97 after 3,000",
  },
  {
    below: Number.POSITIVE_INFINITY,
    steps: 6000,
    reason: `${FEW} and more images still improve the model after 3,000 steps`,
  },
] as const

/** The default recipes. A line is all that decides one, and its reason is what is printed. */
const RECIPES = [
  {
    below: SCARCE,
    recipe: "adafm-25",
    reason: `the authors' protocol for 25 images, the default under ${SCARCE}: four latent numbers, and little of the discriminator trains`,
  },
  {
    below: Number.POSITIVE_INFINITY,
    recipe: "adafm",
    reason: "low-level filters transfer well, so they stay frozen and AdaFM adapts them; the other layers are trained",
  },
] as const

const recipeFor = (images: number) => RECIPES.find(({ below }) => images < below)!

const stepsFor = (images: number) => STEPS.find(({ below }) => images < below)!

/** Whether a surgery says what is kept, so that no recipe has to be chosen. */
const isComplete = ({ recipe, plan, generator }: Surgery.Given): boolean =>
  recipe !== undefined || plan !== undefined || generator?.keep !== undefined

/** Whether the recipe is a published protocol that has no augmentation. */
const isPlain = ({ recipe }: Surgery.Given): boolean => recipe === "adafm-25"

export const resolve = (given: Given, { images, size, architecture }: Situation): Chosen => {
  const habits = Habits.of(architecture)
  const asked = given.surgery ?? {}
  const surgery = isComplete(asked) ? asked : { ...asked, recipe: recipeFor(images).recipe }
  const { mode, weight } = Recipe.training(surgery.recipe).penalty ?? { mode: "real", weight: 10 }
  const isAugmented = images < FEW && given.ada === undefined && !isPlain(surgery)
  return {
    surgery,
    steps: given.steps ?? stepsFor(images).steps,
    batch: given.batch ?? habits.batch,
    // the paper trains at 128 px with 1e-4; its small networks (32, 64 px) take twice that
    learningRate: given.learningRate ?? (size < 128 ? 2e-4 : habits.learningRate),
    penalty: {
      ...(habits.penalty || given.penalty?.weight !== undefined
        ? { mode, weight: penaltyWeight(size, weight) }
        : { mode: "none" as const, weight: 0 }),
      ...given.penalty,
    },
    augment: given.augment ?? (isAugmented ? ["color", "translation"] : []),
  }
}

/** `keeps 3 of 5 groups …` of the source, counted from the image. */
const keptText = (surgery: Surgery.Given, config: Gan.Config): readonly string[] => {
  const groups = (net: Step.Net): number => Groups.of(config, net).groups.length
  const settled = Recipe.settle(surgery, config)
  if (E.isLeft(settled)) return []
  const { generator, discriminator } = settled.right
  return [
    `keeps ${generator.keep} of ${groups("generator")} groups of the generator and ${discriminator.keep} of ${groups("discriminator")} of the discriminator`,
  ]
}

const penaltyReason = (recipe: string | undefined, { size, architecture }: Situation): string => {
  if (!Habits.of(architecture).penalty) return `a ${architecture} trains with the hinge loss and needs none`
  const { mode = "real", weight = 10 } = Recipe.training(recipe).penalty ?? {}
  const images = mode === "real_fake" ? "photographs and samples" : "photographs"
  return `R1 on ${images}, ${weight} at 128 px in the paper, less with fewer pixels: ${weight} · (${size} / 128)²`
}

/** The choices among the settings that were not given. @param config the source's */
export const explain = (given: Given, chosen: Chosen, situation: Situation, config: Gan.Config): readonly Choice[] => {
  const { images, size, architecture } = situation
  const { surgery, steps, batch, learningRate, penalty, augment } = chosen
  const { recipe = "plan" } = surgery
  const isAsked = isComplete(given.surgery ?? {})
  const choices: readonly (Choice & { readonly isGiven: boolean })[] = [
    {
      setting: "recipe",
      value: recipe,
      reason: [...keptText(surgery, config), recipeFor(images).reason].join("; "),
      isGiven: isAsked,
    },
    { setting: "steps", value: String(steps), reason: stepsFor(images).reason, isGiven: given.steps !== undefined },
    {
      setting: "augment",
      value: augment.length === 0 ? "none" : augment.join(","),
      reason: isPlain(surgery)
        ? "the authors' protocol for 25 images has none; --augment color,translation adds it"
        : augment.length === 0
          ? `${FEW} and more images need none`
          : `with under ${FEW} images the discriminator memorises them otherwise: FID-768 1.06 with, 1.25 without (100 photographs)`,
      isGiven: given.augment !== undefined || given.ada !== undefined,
    },
    {
      setting: "penalty",
      value: `${penalty.mode} ${+penalty.weight.toPrecision(3)}`,
      reason: penaltyReason(surgery.recipe, situation),
      isGiven:
        given.penalty?.weight !== undefined || given.penalty?.mode !== undefined || given.surgery?.plan !== undefined,
    },
    {
      setting: "lr",
      value: String(learningRate),
      reason:
        architecture === "fastgan"
          ? "its authors'"
          : size < 128
            ? "twice the paper's 1e-4, which is for 128 px"
            : "the paper's",
      isGiven: given.learningRate !== undefined,
    },
    {
      setting: "batch",
      value: String(batch),
      reason: architecture === "fastgan" ? "its authors'" : "the paper's",
      isGiven: given.batch !== undefined,
    },
  ]
  return choices.flatMap(({ isGiven, ...choice }) => (isGiven ? [] : [choice]))
}
