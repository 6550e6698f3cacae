/**
 * Feature distillation as a baseline of Mo, Cho, Shin, "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs" (2020,
 * section 3; `FM_reg` of the authors' `stylegan/finetune.py`): on real images the discriminator's intermediate features f are kept
 * near f⁰, those of the source's discriminator, by `λ mean (f(x) - f⁰(x))²`. The authors take the features at 16 px, and so does
 * GP-GAN here; `Gan.perceive` decides for every architecture.
 */
import { Flat, Layout } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import type { Gan, State, StepExtras } from "@adafm/gan"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"

export const Config = z.strictObject({
  kind: z.literal("distillation"),
  /**
   * λ. The default of `--lambda_FM` in the authors' `stylegan/finetune.py` is 0, and their README gives no other value. 1 is the
   * plain mean square: 0.001 after 300 steps from `builtin:cifar32-small` to 100 flowers, where the loss is 1.4, so it constrains
   * little there.
   */
  weight: z.number().nonnegative().default(1),
})
export type Config = z.output<typeof Config>

const NAME = "distillation"

/** `λ mean (f - f⁰)²` of two tensors of one shape. */
export const penalty = (weight: number, features: tf.Tensor, source: tf.Tensor): tf.Scalar =>
  tf.mul(tf.mean(tf.square(tf.sub(features, source))), weight)

/** State `distillation/<path>`: the source's discriminator, in compute layout. */
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
