/** What a run folder says about itself: everything that decides its numbers, resolved. */
import { Modulate } from "@adafm/adafm"
import { Regularisation } from "@adafm/baselines"
import { Ada, DiffAugment, GradientPenalty, LeCam, ModelFolder } from "@adafm/gan"
import { Calibration, Surgery } from "@adafm/transfer"
import { z } from "zod"

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
  /** SHA-256 over names and contents of the images that are used. */
  sha256: z.string(),
  images: z.number().int().positive(),
  classes: z.array(z.string()).readonly(),
  /** The images of a limited set, by name. */
  names: z.array(z.string()).readonly().optional(),
})

export const RunConfig = z.strictObject({
  version: z.literal(1).default(1),
  kind: z.enum(["pretrain", "transfer"]),
  model: ModelFolder.Description,
  /** Modulated filters of the generator, and of the discriminator where its own are too. */
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
      /** A run's generator itself, not its moving average. */
      raw: z.literal(true).optional(),
      /** What was decided about the source's parameters; runs of older versions do not say it. */
      decided: Surgery.Surgery.optional(),
      /** Where values are from that are not the source's own of the same path: `fresh`, `view of PATH`, another path. */
      surgery: z.strictObject({ generator: Origins, discriminator: Origins }).optional(),
      /** How a small head began. */
      graft: Calibration.Config.optional(),
    })
    .optional(),
  data: Data,
  seed: z.number().int(),
  batch: z.number().int().positive(),
  learningRate: z.strictObject({ generator: z.number().positive(), discriminator: z.number().positive() }),
  penalty: GradientPenalty.Config,
  /** DiffAugment before the discriminator; nothing by default. */
  augment: DiffAugment.Policy.optional(),
  /** Adaptive augmentation before the discriminator. */
  ada: Ada.Config.optional(),
  lecam: LeCam.Config.optional(),
  /** A penalty that holds trained parameters, those of `anchored`, near the source's. */
  regularise: z
    .strictObject({
      config: Regularisation.Config,
      anchored: z.strictObject({ generator: Paths, discriminator: Paths }),
    })
    .optional(),
  ema: z.strictObject({ decay: z.number().min(0).max(1), ramp: z.boolean() }),
  engine: z.string(),
})
export type RunConfig = z.output<typeof RunConfig>
