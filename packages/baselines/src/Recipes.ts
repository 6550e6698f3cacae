/**
 * Published ways to transfer a GAN, by the name of their recipe: how many groups of layers, counted from the image, are frozen,
 * which penalty is added, and whether a miner is put in front of the generator. Everything else is the same as in every other
 * transfer here.
 */
import * as Regularisation from "./Regularisation.ts"

/** Groups of layers of each network. */
export interface Counts {
  readonly generator: number
  readonly discriminator: number
}

export interface Recipe {
  /** The publication. */
  readonly source: string
  /** How many of a network's groups stay frozen, from the number that it has. */
  readonly keep: (groups: Counts) => Counts
  readonly regularise?: Regularisation.Config
  /** A miner is put in front of the generator, which stays frozen for this many steps. */
  readonly minerSteps?: number
}

const nothing = (): Counts => ({ generator: 0, discriminator: 0 })

export const recipes = {
  finetune: {
    source: "TransferGAN: Wang, Wu, Herranz, van de Weijer, Gonzalez-Garcia, Raducanu, ECCV 2018",
    keep: nothing,
  },
  "freeze-d": {
    // in the authors' StyleGAN of 256 px the image's layer and four of seven blocks are frozen (README, `--feature_loc 3`)
    source: "FreezeD: Mo, Cho, Shin, 2020 (arXiv 2002.10964)",
    keep: ({ discriminator }) => ({ generator: 0, discriminator: Math.round((5 / 8) * discriminator) }),
  },
  "freeze-g": {
    source: "the frozen generator of Zhao, Cong, Carin, ICML 2020, with nothing frozen in D",
    keep: ({ generator }) => ({ generator: Math.min(4, generator - 2), discriminator: 0 }),
  },
  "l2-sp": {
    source: "L2-SP: Li, Grandvalet, Davoine, ICML 2018",
    keep: nothing,
    regularise: Regularisation.Config.parse({ kind: "l2-sp" }),
  },
  ewc: {
    source: "Li, Zhang, Lu, Shechtman, NeurIPS 2020 (arXiv 2012.02780)",
    keep: nothing,
    regularise: Regularisation.Config.parse({ kind: "ewc" }),
  },
  distillation: {
    source: "feature distillation of Mo, Cho, Shin, 2020 (arXiv 2002.10964)",
    keep: nothing,
    regularise: Regularisation.Config.parse({ kind: "distillation" }),
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

/** The recipe of this name, if it is one of these. */
export const of = (name: string): Recipe | undefined =>
  Object.hasOwn(recipes, name) ? recipes[name as Name] : undefined
