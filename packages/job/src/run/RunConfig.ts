/** The `config.json` of a run: every setting that affects its numbers, defaults included. */
import { Modulate } from "@adafm/adafm"
import { Regularisation } from "@adafm/baselines"
import { Ada, DiffAugment, GradientPenalty, Hinge, LeCam, ModelFolder } from "@adafm/gan"
import { Calibration, Surgery } from "@adafm/transfer"
import { z } from "zod"
import { RunProvenance } from "./RunProvenance.ts"

const Group = z.strictObject({
  name: z.string(),
  paths: z.array(z.string()).readonly(),
  /** The step from which these parameters are trained. */
  from: z.number().int().nonnegative(),
  /** Multiplies the learning rate. */
  factor: z.number().positive().default(1),
})

const Paths = z.array(z.string()).readonly()
const Origins = z.record(z.string(), z.string()).readonly()

export const Data = z.strictObject({
  path: z.string(),
  /** SHA-256 over names and contents of the selected images. */
  sha256: z.string(),
  images: z.number().int().positive(),
  classes: z.array(z.string()).readonly(),
  /** Names of the selected images, if not all are used. */
  names: z.array(z.string()).readonly().optional(),
})

export const RunConfig = z.strictObject({
  version: z.literal(1).default(1),
  kind: z.enum(["pretrain", "transfer"]),
  model: ModelFolder.Description,
  /** The modulated filters of the generator, and of the discriminator if that is modulated too. */
  modulation: z
    .strictObject({
      config: Modulate.Config,
      weights: z.array(z.string()).readonly(),
      discriminator: z.array(z.string()).readonly().optional(),
    })
    .optional(),
  trainable: z.strictObject({ generator: z.array(Group).readonly(), discriminator: z.array(Group).readonly() }),
  source: z
    .strictObject({
      path: z.string(),
      sha256: z.string(),
      recipe: z.string(),
      /** The source run's trained generator was taken, not its moving average. */
      raw: z.literal(true).optional(),
      /** What was decided about the source's parameters; runs of older versions do not record it. */
      decided: Surgery.Surgery.optional(),
      /** Where parameters come from that were not copied from the same path of the source: `fresh`, `view of PATH`, another path. */
      surgery: z.strictObject({ generator: Origins, discriminator: Origins }).optional(),
      /** How a small head was initialised. */
      graft: Calibration.Config.optional(),
    })
    .optional(),
  data: Data,
  seed: z.number().int(),
  batch: z.number().int().positive().max(8192),
  learningRate: z.strictObject({ generator: z.number().positive(), discriminator: z.number().positive() }),
  /** Adam's β; 0 and 0.99 by default, as in the paper. */
  betas: z
    .tuple([z.number().min(0).max(1), z.number().min(0).max(1)])
    .readonly()
    .optional(),
  penalty: GradientPenalty.Config,
  /** The adversarial loss; the non-saturating one by default. */
  loss: Hinge.Config.optional(),
  /** DiffAugment of what the discriminator sees; none by default. */
  augment: DiffAugment.Policy.optional(),
  /** Adaptive augmentation of what the discriminator sees. */
  ada: Ada.Config.optional(),
  lecam: LeCam.Config.optional(),
  /** A penalty that keeps the parameters in `anchored` near the source's. */
  regularise: z
    .strictObject({
      config: Regularisation.Config,
      anchored: z.strictObject({ generator: Paths, discriminator: Paths }),
    })
    .optional(),
  ema: z.strictObject({ decay: z.number().min(0).max(1), ramp: z.boolean() }),
  engine: z.string(),
  made: RunProvenance.optional(),
  /** Threads inside an operator: sums are rounded in another order with another number. Runs of older versions do not record it. */
  threads: z.number().int().positive().optional(),
})
export type RunConfig = z.output<typeof RunConfig>
