/** Matrix products, and entries chosen by label. */
import { Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Case } from "../Case.ts"
import { batch, integers, state } from "../Case.ts"

const matMul = (name: string, a: readonly number[], b: readonly number[], transA = false, transB = false): Case => ({
  name: `matrix product ${name}`,
  inputs: { a: batch(...a), b: state(...b) },
  apply: ({ a, b }) => tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, transA, transB),
})

export const cases: readonly Case[] = [
  matMul("A·B", [3, 5], [5, 4]),
  matMul("Aᵀ·B", [5, 3], [5, 4], true),
  matMul("A·Bᵀ", [3, 5], [4, 5], false, true),
  matMul("Aᵀ·Bᵀ", [5, 3], [4, 5], true, true),
  matMul("of batches A·B", [2, 3, 4], [2, 4, 5]),
  matMul("of batches A·Bᵀ", [2, 3, 4], [2, 5, 4], false, true),
  matMul("of batches Aᵀ·B, rank 4", [2, 2, 4, 3], [2, 2, 4, 5], true),
  {
    name: "linear with bias",
    inputs: { x: batch(3, 5), w: state(4, 5), b: state(4) },
    apply: ({ x, w, b }) => Ops.linear(x!, w!, b),
  },
  {
    name: "one logit",
    inputs: { x: batch(4, 6), w: state(1, 6), b: state(1) },
    apply: ({ x, w, b }) => Ops.linear(x!, w!, b),
  },
  {
    name: "rows of a table by label",
    inputs: { table: state(4, 5), labels: integers([2, 0, 3, 2]) },
    apply: ({ table, labels }) => Ops.rows(labels!, table!),
  },
  {
    name: "one entry of each row by label",
    inputs: { x: batch(3, 4), labels: integers([1, 3, 0]) },
    apply: ({ x, labels }) => Ops.pick(x!, labels!),
  },
  {
    name: "one-hot with other values than 1 and 0",
    inputs: { labels: integers([1, 3, 0]) },
    apply: ({ labels }) => tf.oneHot(labels as tf.Tensor1D, 4, 0.75, -0.25, "float32"),
    order: 0,
  },
  {
    name: "gather along an axis",
    inputs: { x: batch(2, 5, 3), indices: integers([4, 0, 4, 1], [2, 2]) },
    apply: ({ x, indices }) => tf.gather(x!, indices as tf.Tensor1D, 1),
    order: 0,
  },
]
