/** The zero-centred gradient penalty R1 (Mescheder, Geiger, Nowozin 2018), without the factor 1/2, as in the authors' code. */
import { Grad, Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"

export const Config = z.strictObject({
  /** Which images are penalised. */
  mode: z.enum(["real", "real_fake", "none"]).default("real"),
  weight: z.number().nonnegative().default(10),
})
export type Config = z.output<typeof Config>

export const isOn = ({ mode }: Config, images: "real" | "fake"): boolean =>
  mode === "real_fake" || (mode === "real" && images === "real")

/** `weight · mean_i ‖∂D(x_i)/∂x_i‖²` from the gradients ∂D(x_i)/∂x_i `[B, H, W, C]`. */
export const ofGradient = (gradient: tf.Tensor, weight: number): tf.Scalar =>
  tf.mul(tf.mean(Ops.squaredNorms(gradient)), weight)

/** The penalty alone, for images `[B, H, W, C]` and logits `[B]`. */
export const onlyPenalty = (
  discriminate: (x: tf.Tensor) => tf.Tensor,
  x: tf.Tensor,
  weight: number,
): { readonly penalty: tf.Scalar } => ({ penalty: ofGradient(Grad.valueAndInputGrad(discriminate, x).grad, weight) })

/** Logits and, if `penalised`, the penalty, both from one forward pass. */
export const withLogits = (
  discriminate: (x: tf.Tensor) => tf.Tensor,
  x: tf.Tensor,
  penalised: boolean,
  weight: number,
): { readonly logits: tf.Tensor; readonly penalty?: tf.Scalar } => {
  if (!penalised) return { logits: discriminate(x) }
  const { value, grad } = Grad.valueAndInputGrad(discriminate, x)
  return { logits: value, penalty: ofGradient(grad, weight) }
}
