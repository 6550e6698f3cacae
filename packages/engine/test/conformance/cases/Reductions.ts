/** Sums, means, maxima, minima and norms. */
import { Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Case } from "../Case.ts"
import { batch } from "../Case.ts"
import * as EveryLayout from "./EveryLayout.ts"

/** Every nonempty set of axes of a tensor of rank 4. */
const axisSets = Array.from({ length: 15 }, (_, i) => [0, 1, 2, 3].filter((axis) => (i + 1) & (1 << axis)))
const overEverySet = (reduce: (x: tf.Tensor, axes: number[], keepDims: boolean) => tf.Tensor) => (x: tf.Tensor) =>
  EveryLayout.flat(axisSets.map((axes, i) => reduce(x, axes, i % 2 === 0)))

const none = { order: 0 } as const

export const cases: readonly Case[] = [
  ...EveryLayout.cases("sum over each set of axes", overEverySet(tf.sum)),
  ...EveryLayout.cases("mean over each set of axes", overEverySet(tf.mean)),
  ...EveryLayout.cases("maximum over each set of axes", overEverySet(tf.max), none),
  ...EveryLayout.cases("minimum over each set of axes", overEverySet(tf.min), none),
  ...EveryLayout.cases("squared norm of each sample", Ops.squaredNorms),
  ...EveryLayout.cases("instance norm", (x) => Ops.standardize(x, [1, 2], 1e-5)),
  ...EveryLayout.cases("batch norm", (x) => Ops.standardize(x, [0, 1, 2], 1e-5)),
  {
    name: "pixel norm of vectors",
    inputs: { x: batch(3, 8) },
    apply: ({ x }) => Ops.pixelNorm(x!),
  },
  {
    name: "unit norm of vectors",
    inputs: { x: batch(3, 8) },
    apply: ({ x }) => Ops.unitNorm(x!),
  },
]
