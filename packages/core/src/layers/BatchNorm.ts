/**
 * Batch normalisation of every channel (the last axis), as PyTorch's `BatchNorm1d/2d`: it normalises with the batch's biased
 * variance and stores the unbiased one.
 */
import * as tf from "@tensorflow/tfjs-core"
import type * as Flat from "../Flat.ts"
import * as Ops from "../Ops.ts"
import * as Leaf from "./Leaf.ts"

/** `[C]` each. */
export interface BatchNorm<A> {
  readonly weight: A
  readonly bias: A
  readonly running_mean: A
  readonly running_var: A
}

export interface Config {
  /** Added to the variance; 1e-5 by default. */
  readonly epsilon?: number
  /** Weight of the new batch in the running statistics; 0.1 by default. */
  readonly momentum?: number
}

export const spec = (channels: number): BatchNorm<Leaf.Leaf> => ({
  weight: Leaf.constant([channels], 1),
  bias: Leaf.constant([channels], 0),
  running_mean: Leaf.statistic([channels], 0),
  running_var: Leaf.statistic([channels], 1),
})

/** Whether a parameter is a running statistic of a batch norm, by its path. */
export const isRunning = (path: Flat.Path): boolean => /(^|\.)running_(mean|var)$/.test(path)

/** Normalises with the stored statistics, so each sample is independent. `[B, …, C] → [B, …, C]` */
export const applyStored = <T extends tf.Tensor>(p: BatchNorm<tf.Tensor>, x: T, { epsilon = 1e-5 }: Config = {}): T => {
  const scale = tf.mul(p.weight, tf.rsqrt(tf.add(p.running_var, epsilon)))
  return tf.add(tf.mul(x, scale), tf.sub(p.bias, tf.mul(p.running_mean, scale)))
}

export type Running = Pick<BatchNorm<tf.Tensor>, "running_mean" | "running_var">

/** The stored statistics after a batch of n samples with this mean and biased variance, `[C]` each. */
const moved = (
  p: BatchNorm<tf.Tensor>,
  { mean, variance }: { readonly mean: tf.Tensor; readonly variance: tf.Tensor },
  samples: number,
  momentum: number,
): Running => {
  const move = (old: tf.Tensor, now: tf.Tensor): tf.Tensor =>
    tf.add(tf.mul(old, 1 - momentum), tf.mul(tf.reshape(now, old.shape), momentum))
  return {
    running_mean: move(p.running_mean, mean),
    running_var: move(p.running_var, tf.mul(variance, samples / (samples - 1))),
  }
}

/** As `applyBatch`, in fewer passes over x; the results differ by rounding. */
export const applyBatchFused = <T extends tf.Tensor>(
  p: BatchNorm<tf.Tensor>,
  x: T,
  { epsilon = 1e-5, momentum = 0.1 }: Config = {},
): { readonly y: T; readonly running: Running } => ({
  y: Ops.batchNorm(x, p.weight, p.bias, epsilon),
  running: moved(p, Ops.channelMoments(x), x.size / x.shape.at(-1)!, momentum),
})

/** Normalises with the batch's statistics and moves the stored ones towards them. `[B, …, C] → [B, …, C]` */
export const applyBatch = <T extends tf.Tensor>(
  p: BatchNorm<tf.Tensor>,
  x: T,
  { epsilon = 1e-5, momentum = 0.1 }: Config = {},
): { readonly y: T; readonly running: Running } => {
  const axes = x.shape.slice(0, -1).map((_, axis) => axis)
  const samples = x.size / x.shape.at(-1)!
  const { mean, variance } = Ops.moments(x, axes)
  const normal = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, epsilon)))
  return {
    y: tf.add(tf.mul(normal, p.weight), p.bias),
    running: moved(p, { mean, variance }, samples, momentum),
  }
}
