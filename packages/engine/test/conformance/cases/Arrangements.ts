/** Reductions, products of matrices, and operations that move elements, from every layout that a value of rank 4 may lie in. */
import { Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Case, Input } from "../Case.ts"
import { batch, integers, state } from "../Case.ts"

type Images = tf.Tensor4D
type Options = Pick<Case, "order">
const SHAPE = [2, 4, 6, 16] as const

/** The same function of a `[2, 4, 6, 16]` tensor in blocks of channels, as NCHW, as the step sees it, and as a filter. */
const everywhere = (name: string, apply: (x: Images) => tf.Tensor, options: Options = {}): readonly Case[] => {
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
const flat = (parts: readonly tf.Tensor[]): tf.Tensor => tf.concat(parts.map((t) => tf.reshape(t, [-1])))
/** Every set of axes of a tensor of rank 4 but the empty one. */
const axisSets = Array.from({ length: 15 }, (_, i) => [0, 1, 2, 3].filter((axis) => (i + 1) & (1 << axis)))
const overEverySet = (reduce: (x: tf.Tensor, axes: number[], keepDims: boolean) => tf.Tensor) => (x: tf.Tensor) =>
  flat(axisSets.map((axes, i) => reduce(x, axes, i % 2 === 0)))

const none = { order: 0 } as const

export const reductions: readonly Case[] = [
  ...everywhere("sum over each set of axes", overEverySet(tf.sum)),
  ...everywhere("mean over each set of axes", overEverySet(tf.mean)),
  ...everywhere("largest over each set of axes", overEverySet(tf.max), none),
  ...everywhere("smallest over each set of axes", overEverySet(tf.min), none),
  ...everywhere("squared norm of each sample", Ops.squaredNorms),
  ...everywhere("instance norm", (x) => Ops.standardize(x, [1, 2], 1e-5)),
  ...everywhere("batch norm", (x) => Ops.standardize(x, [0, 1, 2], 1e-5)),
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

export const movements: readonly Case[] = [
  ...everywhere("reshape to rows", (x) => tf.reshape(x, [2, -1])),
  ...everywhere("axes added and dropped", (x) => tf.expandDims(tf.squeeze(tf.expandDims(x, 0), [0]), -1)),
  ...everywhere("transpose to NCHW and to rows", (x) => tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [2, -1])),
  ...everywhere("transpose of rows and columns", (x) => tf.transpose(x, [0, 2, 1, 3])),
  ...everywhere("transpose of inputs and outputs", (x) => tf.transpose(x, [0, 1, 3, 2])),
  ...everywhere("transpose of everything", (x) => tf.transpose(x)),
  ...everywhere("slices along each axis", (x) =>
    flat([
      tf.slice(x, [1, 0, 0, 0], [1, 4, 6, 16]),
      tf.slice(x, [0, 1, 2, 0], [2, 2, 3, 16]),
      tf.slice(x, [0, 0, 0, 3], [2, 4, 6, 7]),
      tf.slice(x, [0, 1, 1, 8], [1, 2, 4, 8]),
    ]),
  ),
  ...everywhere("a slice, squared", (x) => tf.square(tf.slice(x, [0, 1, 1, 0], [2, 2, 4, 16]))),
  ...everywhere("pads along each axis", (x) =>
    flat(
      [0, 1, 2, 3].map((axis) =>
        tf.pad(
          x,
          [0, 1, 2, 3].map((k): [number, number] => (k === axis ? [1, 2] : [0, 0])),
          axis === 2 ? 0.5 : 0,
        ),
      ),
    ),
  ),
  ...everywhere("concat along each axis", (x) =>
    flat([0, 1, 2, 3].map((axis) => tf.concat([x, tf.square(x), x], axis))),
  ),
  ...everywhere("upsample ×2", Ops.upsample2),
  ...everywhere("mean of 2×2 cells", Ops.avgPool2),
  ...everywhere("mean of overlapping 3×3 cells", Ops.avgPool3),
  ...everywhere("reverse", (x) => flat([tf.reverse(x, [1, 2]), tf.reverse(x, 3), tf.reverse(x, 0)]), none),
  ...everywhere("tile", (x) => tf.tile(x, [1, 2, 1, 3]), none),
  ...everywhere("stack and unstack", (x) => tf.stack([...tf.unstack(x, 1), ...tf.unstack(x, 1)], 1), none),
  ...everywhere("split", (x) => tf.concat(tf.split(x, [4, 12], 3).reverse(), 3), none),
  ...everywhere(
    "largest of 2×2 and of overlapping 3×3 cells",
    (x) => flat([tf.maxPool(x, 2, 2, "valid"), tf.maxPool(x, 3, 2, "same")]),
    none,
  ),
  ...everywhere("mean of 3×3 cells that ignores the border", (x) => tf.avgPool(x, 3, 2, "same"), none),
  {
    name: "mean of overlapping 3×3 cells of a thin odd map",
    inputs: { x: batch(2, 5, 7, 3) },
    apply: ({ x }) => Ops.avgPool3(x!),
  },
  { name: "upsample ×2 of a thin odd map", inputs: { x: batch(2, 3, 5, 3) }, apply: ({ x }) => Ops.upsample2(x!) },
  {
    name: "nearest resize by 3 and 2",
    inputs: { x: batch(2, 3, 2, 4) },
    apply: ({ x }) => tf.image.resizeNearestNeighbor(x as Images, [9, 4]),
    order: 0,
  },
  {
    name: "concat of maps, one in blocks, one NCHW, one thin",
    inputs: { a: batch(2, 2, 2, 16), b: batch(2, 4, 4, 16), c: batch(2, 4, 4, 3) },
    apply: ({ a, b, c }) => tf.concat([Ops.upsample2(a!), b!, c!], 3),
  },
]

const matMul = (name: string, a: readonly number[], b: readonly number[], transA = false, transB = false): Case => ({
  name: `matrix product ${name}`,
  inputs: { a: batch(...a), b: state(...b) },
  apply: ({ a, b }) => tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, transA, transB),
})

export const products: readonly Case[] = [
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
    name: "one-hot with other numbers",
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
