/** Cases that test one function on every layout in which an engine may store a value of rank 4. */
import { Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Case, Input } from "../Case.ts"
import { batch, state } from "../Case.ts"

type Images = tf.Tensor4D
type Options = Pick<Case, "order">
const SHAPE = [2, 4, 6, 16] as const

/** The same function of a `[2, 4, 6, 16]` tensor in blocks of channels, as NCHW, as NHWC (the step's layout) and as a filter. */
export const cases = (name: string, apply: (x: Images) => tf.Tensor, options: Options = {}): readonly Case[] => {
  const homes: Readonly<Record<string, readonly [Input, (x: tf.Tensor) => tf.Tensor]>> = {
    "in blocks": [batch(2, 2, 3, 16), Ops.upsample2],
    "as NCHW": [batch(...SHAPE), (x) => x],
    "as NHWC": [batch(2, 4, 96), (x) => tf.reshape(x, [...SHAPE])],
    "as a filter": [state(...SHAPE), (x) => x],
  }
  return Object.entries(homes).map(([home, [x, enter]]) => ({
    name,
    home,
    inputs: { x },
    apply: ({ x }) => apply(enter(x!) as Images),
    ...options,
  }))
}

/** The results of several functions as one vector. */
export const flat = (parts: readonly tf.Tensor[]): tf.Tensor => tf.concat(parts.map((t) => tf.reshape(t, [-1])))
