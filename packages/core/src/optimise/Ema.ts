/** Exponential moving average of parameters: images are sampled from the averaged generator. */
import * as tf from "@tensorflow/tfjs-core"
import * as Flat from "../Flat.ts"

export interface Ema {
  readonly decay: number
  /** Starts with a short memory: the decay of step t is `min(decay, (1 + t)/(10 + t))`. AdaFM's authors use no ramp. */
  readonly ramp: boolean
}

/** The decay of step t, counted from 0. */
export const decayAt = ({ decay, ramp }: Ema, step: number): number =>
  ramp ? Math.min(decay, (1 + step) / (10 + step)) : decay

/** `decay·average + (1 - decay)·now` for every path of `now`; decay is a scalar tensor. */
export const update = (
  average: Flat.Flat<tf.Tensor>,
  now: Flat.Flat<tf.Tensor>,
  decay: tf.Tensor,
): Flat.Flat<tf.Tensor> =>
  Flat.map(now, (value, path) => tf.add(tf.mul(average[path]!, decay), tf.mul(value, tf.sub(1, decay))))
