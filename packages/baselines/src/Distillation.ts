/**
 * Feature distillation as a baseline of Mo, Cho, Shin, "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs" (2020,
 * section 3; `FM_reg` of the authors' `stylegan/finetune.py`): on real images the discriminator's features half-way may not
 * leave those of the source's, `λ mean (f(x) - f⁰(x))²`. Their features are those of 16 px, here too.
 */
import { Flat, Layout } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import type { Gan, State, StepExtras } from "@adafm/gan"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"

export const Config = z.strictObject({
  kind: z.literal("distillation"),
  /**
   * λ; the authors' `stylegan/finetune.py` has `--lambda_FM` at 0 and their README names no other. 1 is the bare mean square:
   * 0.001 after 300 steps from `builtin:cifar32-small` to 100 flowers, beside a loss of 1.4, so it binds loosely there.
   */
  weight: z.number().nonnegative().default(1),
})
export type Config = z.output<typeof Config>

const NAME = "distillation"

export const penalty = (weight: number, features: tf.Tensor, source: tf.Tensor): tf.Scalar =>
  tf.mul(tf.mean(tf.square(tf.sub(features, source))), weight)

/** State `distillation/<path>`: the source's discriminator. */
export const constants = ({ discriminator }: State.Networks): Engine.Arrays =>
  Flat.prefix(Flat.map(discriminator, Layout.toCompute), NAME)

export const extras = ({ weight }: Config, gan: Gan.Gan): StepExtras.StepExtras => ({
  discriminatorLoss: ({ resolved, seen, state }) =>
    penalty(
      weight,
      gan.discriminatorFeatures(resolved, seen.real),
      gan.discriminatorFeatures(Flat.under(state, NAME), seen.real),
    ),
})
