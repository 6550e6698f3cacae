/**
 * The hinge loss (Lim, Ye, "Geometric GAN", 2017) with the soft margins of FastGAN (Liu et al. 2021, `train.py`): the margin of each
 * logit is drawn between 1 - softness and 1, so that the discriminator cannot settle at a fixed distance. The discriminator's loss
 * has a further term where it reconstructs photographs: the authors compare with LPIPS, which needs a VGG; here it is the mean
 * absolute difference.
 */
import { NdArray, Ops, Rng } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import type { Network } from "../Network.ts"
import type * as StepExtras from "../training/StepExtras.ts"

export const Config = z.strictObject({
  kind: z.literal("hinge"),
  softness: z.number().min(0).max(1).default(0.2),
  /** Weight of the reconstruction of photographs. */
  reconstruction: z.number().nonnegative().default(1),
})
export type Config = z.output<typeof Config>

/** `-mean D(G(z))` */
export const generator = (fake: tf.Tensor): tf.Scalar => tf.neg(tf.mean(fake)) as tf.Scalar

/** `mean relu(m - D(x)) + mean relu(m' + D(G(z)))`; logits and margins `[B]` or `[B, P]` */
export const discriminator = (
  real: tf.Tensor,
  fake: tf.Tensor,
  margins: Readonly<Record<StepExtras.Which, tf.Tensor>>,
): tf.Scalar => tf.add(tf.mean(Ops.relu(tf.sub(margins.real, real))), tf.mean(Ops.relu(tf.add(margins.fake, fake))))

/** Inputs of a step: margins `hinge/real`, `hinge/fake` in the shape of the logits, and the quadrant `hinge/part [4]` that is reconstructed. */
export const extras = (
  { softness }: Config,
  { patches }: Pick<Network, "patches">,
  { batch, seed }: { readonly batch: number; readonly seed: number },
): StepExtras.StepExtras => {
  const shape = patches === undefined ? [batch] : [batch, patches.count]
  return {
    inputs: (step) => {
      const margins = (which: StepExtras.Which) =>
        Rng.uniform(Rng.at(seed, `hinge/${which}`, step), shape, 1 - softness, 1)
      const part = Rng.int(Rng.at(seed, "hinge/part", step), [1], 0, 4).data[0]
      return {
        "hinge/real": margins("real"),
        "hinge/fake": margins("fake"),
        ...(patches && {
          "hinge/part": NdArray.float32(
            [4],
            [0, 1, 2, 3].map((k) => (k === part ? 1 : 0)),
          ),
        }),
      }
    },
  }
}
