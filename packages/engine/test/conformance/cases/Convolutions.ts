/** Convolutions with the shapes that decide how they are lowered: whole blocks of 16 channels, few channels, odd sizes; strides, pads, dilations. */
import { Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Case } from "../Case.ts"
import { batch, state } from "../Case.ts"

const by = (shape: readonly number[]): string => shape.join("×")
const geometryName = ({ stride = 1, pad = 0 }: Ops.Geometry): string =>
  `${stride === 1 ? "" : ` stride ${stride}`}${pad === 0 ? "" : ` pad ${pad}`}`

const conv = (shape: readonly number[], filter: readonly number[], geometry: Ops.Geometry = {}): Case => ({
  name: `conv ${by(shape)} with ${by(filter)}${geometryName(geometry)}`,
  inputs: { x: batch(...shape), w: state(...filter) },
  apply: ({ x, w }) => Ops.conv2d(x!, w!, geometry),
})
const transposed = (shape: readonly number[], filter: readonly number[], geometry: Ops.Geometry = {}): Case => ({
  name: `transposed conv ${by(shape)} with ${by(filter)}${geometryName(geometry)}`,
  inputs: { x: batch(...shape), w: state(...filter) },
  apply: ({ x, w }) => Ops.conv2dTranspose(x!, w!, geometry),
})

export const cases: readonly Case[] = [
  conv([2, 6, 16, 16], [3, 3, 16, 16], { pad: 1 }),
  conv([1, 3, 32, 16], [3, 3, 16, 16], { pad: 1 }),
  conv([4, 4, 4, 32], [3, 3, 32, 16], { pad: 1 }),
  conv([4, 8, 8, 16], [3, 3, 16, 48], { pad: 1 }),
  conv([2, 8, 8, 32], [1, 1, 32, 16]),
  conv([1, 16, 16, 16], [1, 1, 16, 16]),
  conv([2, 12, 12, 3], [3, 3, 3, 16], { pad: 1 }),
  conv([2, 12, 12, 16], [3, 3, 16, 3], { pad: 1 }),
  conv([2, 9, 9, 16], [1, 1, 16, 1]),
  conv([1, 9, 9, 24], [3, 3, 24, 20], { pad: 1 }),
  conv([2, 5, 7, 5], [3, 3, 5, 7], { pad: 1 }),
  conv([2, 6, 6, 16], [3, 3, 16, 16]),
  conv([2, 3, 3, 16], [3, 3, 16, 16], { pad: 2 }),
  conv([2, 6, 6, 3], [5, 5, 3, 4], { pad: 2 }),
  conv([2, 8, 8, 16], [4, 4, 16, 32], { stride: 2, pad: 1 }),
  conv([2, 9, 9, 3], [3, 3, 3, 5], { stride: 2 }),
  conv([2, 8, 8, 3], [3, 3, 3, 16], { stride: 2, pad: 1 }),
  conv([2, 7, 7, 16], [3, 3, 16, 16], { stride: 2, pad: 1 }),
  conv([2, 8, 8, 16], [1, 1, 16, 16], { stride: 2 }),
  conv([2, 4, 4, 16], [4, 4, 16, 1]),
  {
    name: "conv 2×6×7×4 with 3×3×4×6, strides 2 and 1, pad 'same'",
    inputs: { x: batch(2, 6, 7, 4), w: state(3, 3, 4, 6) },
    apply: ({ x, w }) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, [2, 1], "same"),
  },
  {
    name: "dilated conv 2×7×7×16 with 3×3×16×16",
    inputs: { x: batch(2, 7, 7, 16), w: state(3, 3, 16, 16) },
    apply: ({ x, w }) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, "same", "NHWC", 2),
    order: 0,
  },
  transposed([2, 4, 4, 32], [4, 4, 16, 32], { stride: 2, pad: 1 }),
  transposed([2, 4, 4, 6], [4, 4, 3, 6], { stride: 2, pad: 1 }),
  transposed([2, 3, 4, 5], [3, 3, 16, 5], { stride: 2, pad: 1 }),
  transposed([2, 4, 4, 16], [3, 3, 16, 16], { pad: 1 }),
  transposed([2, 1, 1, 16], [4, 4, 32, 16]),
  {
    name: "modulated filter γ⊙W + β",
    inputs: {
      x: batch(2, 8, 8, 16),
      w: state(3, 3, 16, 32),
      gamma: state(1, 1, 16, 32),
      beta: state(1, 1, 16, 32),
    },
    apply: ({ x, w, gamma, beta }) => Ops.conv2d(x!, tf.add(tf.mul(gamma!, w!), beta!), { pad: 1 }),
  },
  {
    name: "filter scaled per output and standardised",
    inputs: { x: batch(2, 4, 4, 16), w: state(3, 3, 16, 16), scale: state(16) },
    apply: ({ x, w, scale }) => Ops.conv2d(x!, tf.mul(Ops.standardize(w!, [0, 1], 1e-5), scale!), { pad: 1 }),
  },
  {
    name: "filter from a batch (not state)",
    inputs: { x: batch(2, 4, 4, 16), w: batch(3, 3, 16, 16) },
    apply: ({ x, w }) => Ops.conv2d(x!, w!, { pad: 1 }),
  },
]
