/**
 * The LeCam regulariser (Tseng, Jiang, Liu, Yang, Yang, "Regularizing Generative Adversarial Networks under Limited Data", CVPR
 * 2021). It penalises logits of reals far above the moving average of the fakes' logits, and logits of fakes far below that of the
 * reals. With α_R, α_F the moving averages of the two mean logits: `λ (mean relu(D(x) - α_F)² + mean relu(α_R - D(G(z)))²)`.
 *
 * The formula is that of the authors' code (`lecam_reg`; section 3.2 of the paper squares without relu). The averages are those of
 * their `stylegan2/lecam_loss.py`: they include the current batch, pass no gradient, and are corrected for their start at 0.
 */
import { NdArray, Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import type * as StepExtras from "../training/StepExtras.ts"

export const Config = z.strictObject({
  /** λ: 0.3 as in the authors' `biggan_cifar/scripts/lc-biggan-cifar10-*.sh` (32 px). */
  weight: z.number().positive().default(0.3),
  /** Decay of the moving averages, as in `stylegan2/lecam_loss.py`. */
  decay: z.number().min(0).max(1).default(0.99),
})
export type Config = z.output<typeof Config>

const squaredExcess = (x: tf.Tensor): tf.Scalar => tf.mean(tf.square(Ops.relu(x)))

/** @param real,fake logits `[B]` @param average moving averages of the mean logits, scalars */
export const penalty = (
  { weight }: Pick<Config, "weight">,
  { real, fake }: Readonly<Record<StepExtras.Which, tf.Tensor>>,
  average: Readonly<Record<StepExtras.Which, tf.Tensor>>,
): tf.Scalar =>
  tf.mul(tf.add(squaredExcess(tf.sub(real, average.fake)), squaredExcess(tf.sub(average.real, fake))), weight)

/** State `lecam/real`, `lecam/fake`; input `lecam/correction`. */
export const extras = (config: Config): StepExtras.StepExtras => {
  const { decay } = config
  const next = ({ logits, state }: StepExtras.Judged, which: StepExtras.Which): tf.Tensor =>
    tf.add(tf.mul(state[`lecam/${which}`]!, decay), tf.mul(tf.mean(Ops.stopGradient(logits[which])), 1 - decay))
  const zero = NdArray.scalar(0)
  return {
    moving: { "lecam/real": zero, "lecam/fake": zero },
    inputs: (step) => ({ "lecam/correction": NdArray.scalar(1 / (1 - decay ** (step + 1))) }),
    discriminatorLoss: (at) => {
      const average = (which: StepExtras.Which): tf.Tensor => tf.mul(next(at, which), at.batch["lecam/correction"]!)
      return penalty(config, at.logits, { real: average("real"), fake: average("fake") })
    },
    move: (judged) => ({ state: { "lecam/real": next(judged, "real"), "lecam/fake": next(judged, "fake") } }),
  }
}
