/**
 * Published ways to transfer a GAN, by the name of their recipe: which groups of layers (counted from the image) are copied and
 * frozen, which penalty is added, what stands before the generator. Everything else is as in every transfer here.
 */
import * as Regularise from "./Regularise.ts"

export interface Counts {
  readonly generator: number
  readonly discriminator: number
}

export interface Recipe {
  /** Whose method it is. */
  readonly source: string
  /** Of all groups of a network those that stay frozen. */
  readonly keep: (groups: Counts) => Counts
  readonly regularise?: Regularise.Config
  /** A miner stands before the generator, which is frozen for the first so many steps. */
  readonly minerSteps?: number
}

const nothing = (): Counts => ({ generator: 0, discriminator: 0 })

export const recipes = {
  finetune: {
    source: "TransferGAN: Wang, Wu, Herranz, van de Weijer, Gonzalez-Garcia, Raducanu, ECCV 2018",
    keep: nothing,
  },
  "freeze-d": {
    // the image's layer and four of seven blocks stay frozen in the authors' StyleGAN of 256 px (README, `--feature_loc 3`)
    source: "FreezeD: Mo, Cho, Shin, 2020 (arXiv 2002.10964)",
    keep: ({ discriminator }) => ({ generator: 0, discriminator: Math.round((5 / 8) * discriminator) }),
  },
  "freeze-g": {
    source: "the frozen generator of Zhao, Cong, Carin, ICML 2020, without anything frozen in D",
    keep: ({ generator }) => ({ generator: Math.min(4, generator - 2), discriminator: 0 }),
  },
  "l2-sp": {
    source: "L2-SP: Li, Grandvalet, Davoine, ICML 2018",
    keep: nothing,
    regularise: Regularise.Config.parse({ kind: "l2-sp" }),
  },
  ewc: {
    source: "Li, Zhang, Lu, Shechtman, NeurIPS 2020 (arXiv 2012.02780)",
    keep: nothing,
    regularise: Regularise.Config.parse({ kind: "ewc" }),
  },
  distillation: {
    source: "feature distillation of Mo, Cho, Shin, 2020 (arXiv 2002.10964)",
    keep: nothing,
    regularise: Regularise.Config.parse({ kind: "distillation" }),
  },
  minegan: {
    source: "MineGAN: Wang, Gonzalez-Garcia, Berga, Herranz, Khan, van de Weijer, CVPR 2020",
    keep: nothing,
    // `--stage1` of the authors' styleGAN/finetune.py
    minerSteps: 100,
  },
} as const satisfies Readonly<Record<string, Recipe>>

export type Name = keyof typeof recipes
export const names = Object.keys(recipes) as readonly Name[]

export const of = (name: string): Recipe | undefined =>
  Object.hasOwn(recipes, name) ? recipes[name as Name] : undefined
