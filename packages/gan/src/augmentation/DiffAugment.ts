/**
 * Differentiable augmentation of the discriminator's inputs, reals and fakes alike (Zhao, Liu, Lin, Zhu, Han, "Differentiable
 * Augmentation for Data-Efficient GAN Training", NeurIPS 2020): colour, translation and cutout, with the paper's ranges. All draws
 * are inputs of the step. The generator's gradient passes through the transforms. R1 does not: it is taken with respect to the
 * augmented images, which are what the discriminator sees.
 */
import { Flat, NdArray, Rng } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import type { Images } from "../Network.ts"
import type * as StepExtras from "../training/StepExtras.ts"
import * as ColourChannels from "./ColourChannels.ts"

export const POLICIES = ["color", "translation", "cutout"] as const
export const Policy = z.array(z.enum(POLICIES)).readonly()
export type Policy = z.output<typeof Policy>

export interface Options {
  readonly policy: Policy
  /** Height and width of an image. */
  readonly size: number
  readonly batch: number
  readonly seed: number
}

/** Fractions of the image's side: the largest shift, and the side of the square that is cut out. */
const SHIFT = 1 / 8
const CUT = 1 / 2

/** Selection matrices `[B, n, n]`: row r of sample b selects row r - offsets[b] of the image, or nothing outside it. */
const shifts = (offsets: Int32Array, n: number): NdArray.NdArray<"float32"> => {
  const matrices = NdArray.zeros("float32", [offsets.length, n, n])
  offsets.forEach((offset, b) => {
    for (let r = Math.max(0, offset); r < Math.min(n, n + offset); r++) matrices.data[(b * n + r) * n + r - offset] = 1
  })
  return matrices
}

/** Masks `[B, n, n, 1]`: 0 in a square around the drawn centre, 1 elsewhere. */
const cuts = (rows: Int32Array, columns: Int32Array, n: number): NdArray.NdArray<"float32"> => {
  const half = Math.floor((n * CUT) / 2)
  const inside = (at: number, centre: number): boolean =>
    at >= centre - half && at < centre - half + Math.floor(n * CUT)
  return NdArray.float32(
    [rows.length, n, n, 1],
    Float32Array.from({ length: rows.length * n * n }, (_, i) => {
      const [b, y, x] = [Math.floor(i / (n * n)), Math.floor(i / n) % n, i % n]
      return inside(y, rows[b]!) && inside(x, columns[b]!) ? 0 : 1
    }),
  )
}

/** The draws of one step for the reals or the fakes, by name. */
const draw = ({ policy, size, batch, seed }: Options, which: StepExtras.Which, step: number): Engine.Arrays => {
  const key = (name: string): Rng.Key => Rng.at(seed, `augment/${which}/${name}`, step)
  const uniform = (name: string, low: number, high: number) => Rng.uniform(key(name), [batch, 1, 1, 1], low, high)
  const int = (name: string, low: number, high: number): Int32Array => Rng.int(key(name), [batch], low, high).data
  const reach = Math.floor(size * SHIFT + 0.5)
  return Flat.merge<Engine.Arrays[string]>(
    policy.includes("color")
      ? {
          brightness: uniform("brightness", -0.5, 0.5),
          saturation: uniform("saturation", 0, 2),
          contrast: uniform("contrast", 0.5, 1.5),
        }
      : {},
    policy.includes("translation")
      ? { down: shifts(int("down", -reach, reach + 1), size), right: shifts(int("right", -reach, reach + 1), size) }
      : {},
    policy.includes("cutout") ? { keep: cuts(int("row", 0, size + 1), int("column", 0, size + 1), size) } : {},
  )
}

type Draws = Readonly<Record<string, tf.Tensor>>

/** Brightness, then saturation around each pixel's grey value, then contrast around each image's mean. */
const color = (x: Images, { brightness, saturation, contrast }: Draws): Images => {
  const brighter = tf.add(x, brightness!)
  const grey = tf.mean(brighter, 3, true)
  const saturated = tf.add(tf.mul(tf.sub(brighter, grey), saturation!), grey)
  const mean = tf.mean(saturated, [1, 2, 3], true)
  return tf.add(tf.mul(tf.sub(saturated, mean), contrast!), mean) as Images
}

/** Shifts images down and right (up and left if negative) and fills with zeros, by products with selection matrices. */
const translation = (x: Images, { down, right }: Draws): Images => {
  const [batch, height, width, channels] = x.shape
  const rows = tf.matMul(down as tf.Tensor3D, tf.reshape(x, [batch, height, width * channels]))
  const columns = tf.transpose(tf.reshape(rows, [batch, height, width, channels]), [0, 2, 1, 3])
  const moved = tf.matMul(right as tf.Tensor3D, tf.reshape(columns, [batch, width, height * channels]))
  return tf.transpose(tf.reshape(moved, [batch, width, height, channels]), [0, 2, 1, 3])
}

/** Augments `x [B, H, W, C]` with the given draws. */
export const apply = (policy: Policy, x: Images, draws: Draws): Images => {
  const colored = policy.includes("color") ? ColourChannels.change(x, (rgb) => color(rgb, draws)) : x
  const moved = policy.includes("translation") ? translation(colored, draws) : colored
  return policy.includes("cutout") ? (tf.mul(moved, draws.keep!) as Images) : moved
}

/** Inputs `augment/real/…`, `augment/fake/…` of a step, and the augmentation. */
export const extras = (options: Options): StepExtras.StepExtras => ({
  inputs: (step) =>
    Flat.merge(
      Flat.prefix(draw(options, "real", step), "augment/real"),
      Flat.prefix(draw(options, "fake", step), "augment/fake"),
    ),
  augment: (images, { batch }, which) => apply(options.policy, images, Flat.under(batch, `augment/${which}`)),
})
