/** Losses on logits `[B]`; large logits mean "real". */
import { Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"

const meanSoftplus = (x: tf.Tensor): tf.Scalar => tf.mean(Ops.softplus(x))

/** Non-saturating: `mean softplus(-D(G(z)))`. */
export const generator = (fake: tf.Tensor): tf.Scalar => meanSoftplus(tf.neg(fake))

/** `mean softplus(-D(x)) + mean softplus(D(G(z)))`. */
export const discriminator = (real: tf.Tensor, fake: tf.Tensor): tf.Scalar =>
  tf.add(meanSoftplus(tf.neg(real)), meanSoftplus(fake))
