/** How an architecture is trained where nothing else is asked for: its authors' loss, optimiser and penalty. */
import type { DiffAugment, Gan } from "@adafm/gan"
import type { z } from "zod"
import type { RunConfig } from "./RunConfig.ts"

export interface Habits {
  readonly batch: number
  readonly learningRate: number
  readonly augment: DiffAugment.Policy
  /** Whether R1 is on. */
  readonly penalty: boolean
  readonly training: Pick<z.input<typeof RunConfig>, "loss" | "betas">
}

const RESIDUAL: Habits = { batch: 16, learningRate: 1e-4, augment: [], penalty: true, training: {} }

/** Liu et al. 2021, `train.py`. */
const FASTGAN: Habits = {
  batch: 8,
  learningRate: 2e-4,
  augment: ["color", "translation"],
  penalty: false,
  training: { loss: { kind: "hinge" }, betas: [0.5, 0.999] },
}

export const of = (architecture?: Gan.Config["architecture"]): Habits =>
  architecture === "fastgan" ? FASTGAN : RESIDUAL
