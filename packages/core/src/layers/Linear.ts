/** `y = x·Wᵀ + b` with PyTorch's names, shapes and defaults. */
import type * as tf from "@tensorflow/tfjs-core"
import * as Ops from "../Ops.ts"
import * as Leaf from "./Leaf.ts"

export interface Linear<A> {
  /** `[out, in]` */
  readonly weight: A
  /** `[out]` */
  readonly bias?: A
}

export interface Config {
  readonly in: number
  readonly out: number
  readonly bias?: boolean
}

export const spec = ({ in: width, out, bias = true }: Config): Linear<Leaf.Leaf> => ({
  weight: Leaf.fan([out, width], width),
  ...(bias && { bias: Leaf.fan([out], width) }),
})

/** `[B, in] → [B, out]`. */
export const apply = ({ weight, bias }: Linear<tf.Tensor>, x: tf.Tensor): tf.Tensor2D => Ops.linear(x, weight, bias)
