/** Operations that move elements, and pooling. */
import { Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Case } from "../Case.ts"
import { batch } from "../Case.ts"
import * as EveryLayout from "./EveryLayout.ts"

const none = { order: 0 } as const

export const cases: readonly Case[] = [
  ...EveryLayout.cases("reshape to rows", (x) => tf.reshape(x, [2, -1])),
  ...EveryLayout.cases("axes added and dropped", (x) => tf.expandDims(tf.squeeze(tf.expandDims(x, 0), [0]), -1)),
  ...EveryLayout.cases("transpose to NCHW and to rows", (x) => tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [2, -1])),
  ...EveryLayout.cases("transpose of rows and columns", (x) => tf.transpose(x, [0, 2, 1, 3])),
  ...EveryLayout.cases("transpose of inputs and outputs", (x) => tf.transpose(x, [0, 1, 3, 2])),
  ...EveryLayout.cases("transpose of everything", (x) => tf.transpose(x)),
  ...EveryLayout.cases("slices along each axis", (x) =>
    EveryLayout.flat([
      tf.slice(x, [1, 0, 0, 0], [1, 4, 6, 16]),
      tf.slice(x, [0, 1, 2, 0], [2, 2, 3, 16]),
      tf.slice(x, [0, 0, 0, 3], [2, 4, 6, 7]),
      tf.slice(x, [0, 1, 1, 8], [1, 2, 4, 8]),
    ]),
  ),
  ...EveryLayout.cases("a slice, squared", (x) => tf.square(tf.slice(x, [0, 1, 1, 0], [2, 2, 4, 16]))),
  ...EveryLayout.cases("pads along each axis", (x) =>
    EveryLayout.flat(
      [0, 1, 2, 3].map((axis) =>
        tf.pad(
          x,
          [0, 1, 2, 3].map((k): [number, number] => (k === axis ? [1, 2] : [0, 0])),
          axis === 2 ? 0.5 : 0,
        ),
      ),
    ),
  ),
  ...EveryLayout.cases("concat along each axis", (x) =>
    EveryLayout.flat([0, 1, 2, 3].map((axis) => tf.concat([x, tf.square(x), x], axis))),
  ),
  ...EveryLayout.cases("upsample ×2", Ops.upsample2),
  ...EveryLayout.cases("average pooling 2×2", Ops.avgPool2),
  ...EveryLayout.cases("average pooling 3×3, overlapping", Ops.avgPool3),
  ...EveryLayout.cases(
    "reverse",
    (x) => EveryLayout.flat([tf.reverse(x, [1, 2]), tf.reverse(x, 3), tf.reverse(x, 0)]),
    none,
  ),
  ...EveryLayout.cases("tile", (x) => tf.tile(x, [1, 2, 1, 3]), none),
  ...EveryLayout.cases("stack and unstack", (x) => tf.stack([...tf.unstack(x, 1), ...tf.unstack(x, 1)], 1), none),
  ...EveryLayout.cases("split", (x) => tf.concat(tf.split(x, [4, 12], 3).reverse(), 3), none),
  ...EveryLayout.cases(
    "max pooling 2×2 and overlapping 3×3",
    (x) => EveryLayout.flat([tf.maxPool(x, 2, 2, "valid"), tf.maxPool(x, 3, 2, "same")]),
    none,
  ),
  ...EveryLayout.cases("average pooling 3×3 without counting the padding", (x) => tf.avgPool(x, 3, 2, "same"), none),
  {
    name: "average pooling 3×3, overlapping, of a 5×7 map of 3 channels",
    inputs: { x: batch(2, 5, 7, 3) },
    apply: ({ x }) => Ops.avgPool3(x!),
  },
  {
    name: "upsample ×2 of a 3×5 map of 3 channels",
    inputs: { x: batch(2, 3, 5, 3) },
    apply: ({ x }) => Ops.upsample2(x!),
  },
  {
    name: "nearest resize by 3 and 2",
    inputs: { x: batch(2, 3, 2, 4) },
    apply: ({ x }) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [9, 4]),
    order: 0,
  },
  {
    name: "concat of maps: in blocks, NCHW, of 3 channels",
    inputs: { a: batch(2, 2, 2, 16), b: batch(2, 4, 4, 16), c: batch(2, 4, 4, 3) },
    apply: ({ a, b, c }) => tf.concat([Ops.upsample2(a!), b!, c!], 3),
  },
]
