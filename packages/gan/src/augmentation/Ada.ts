/**
 * Adaptive discriminator augmentation (Karras, Aittala, Hellsten, Laine, Lehtinen, Aila, "Training Generative Adversarial Networks
 * with Limited Data", NeurIPS 2020): every transform is applied to every image with probability p, and p is adapted to how confident
 * the discriminator is on reals. Section 3: `r_t = E[sign D(x)]` over four iterations; if it is above the target, p increases by a
 * fixed step, otherwise it decreases, but not below 0.
 *
 * p is state. Gates and strengths are drawn on the host and are inputs of the step, so shapes are fixed and a resumed run equals an
 * uninterrupted one. The transforms are the paper's (appendix B) for pixel blitting, axis-aligned geometry and colour, with the
 * strengths of the authors' `training/augment.py`; rotations other than quarter turns are left out. Borders are filled by reflection,
 * and values between pixels are interpolated linearly.
 */
import { NdArray, Ops, Rng } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import type { Images } from "../Network.ts"
import type * as StepExtras from "../training/StepExtras.ts"
import * as ColourChannels from "./ColourChannels.ts"

export const Config = z.strictObject({
  /** Target of r_t; 0.6 in section 3 and in the authors' `train.py`. */
  target: z.number().min(-1).max(1).default(0.6),
  /**
   * Thousands of real images in which p can rise from 0 to 1 (`ada_kimg` in the authors' `train.py`): 100 for fine-tuning, 500 for
   * training from scratch.
   */
  thousands: z.number().positive().default(100),
})
export type Config = z.output<typeof Config>

/** Iterations between two changes of p (section 3, N = 4). */
const INTERVAL = 4

interface Draw {
  /** Index of the gate; draws of one gate are applied together or not at all. */
  readonly gate: number
  /** The value that leaves an image unchanged. */
  readonly neutral: number
}

/** The draws for an image, in this order. Shifts are in pixels; `scale` and `aspect` divide distances from the centre. */
const DRAWS = {
  mirror: { gate: 0, neutral: 1 },
  turned: { gate: 1, neutral: 0 },
  flipRows: { gate: 1, neutral: 1 },
  flipColumns: { gate: 1, neutral: 1 },
  down: { gate: 2, neutral: 0 },
  right: { gate: 2, neutral: 0 },
  scale: { gate: 3, neutral: 1 },
  aspect: { gate: 4, neutral: 1 },
  fractionDown: { gate: 5, neutral: 0 },
  fractionRight: { gate: 5, neutral: 0 },
  brightness: { gate: 6, neutral: 0 },
  contrast: { gate: 7, neutral: 1 },
  luma: { gate: 8, neutral: 1 },
  cosine: { gate: 9, neutral: 1 },
  sine: { gate: 9, neutral: 0 },
  saturation: { gate: 10, neutral: 1 },
} as const satisfies Readonly<Record<string, Draw>>
type Name = keyof typeof DRAWS
const NAMES = Object.keys(DRAWS) as Name[]
const COLUMN = Object.fromEntries(NAMES.map((name, i) => [name, i])) as Readonly<Record<Name, number>>
const GATES = 11

/** Strengths of `training/augment.py`: shifts as fractions of the image's side, standard deviations of base-2 logarithms for the others. */
const STRENGTH = {
  shift: 0.125,
  fraction: 0.125,
  scale: 0.2,
  aspect: 0.2,
  brightness: 0.2,
  contrast: 0.5,
  saturation: 1,
} as const

export interface Options {
  readonly config: Config
  /** Height and width of an image. */
  readonly size: number
  readonly batch: number
  readonly seed: number
}

/** A quarter turn as a transposition followed by flips. */
const QUARTERS = [
  [0, 1, 1],
  [1, -1, 1],
  [0, -1, -1],
  [1, 1, -1],
] as const

/** Strengths `[B, 16]` for the reals or the fakes, before the gates. */
const strengths = (
  { size, batch, seed }: Options,
  which: StepExtras.Which,
  step: number,
): NdArray.NdArray<"float32"> => {
  const key = (name: string): Rng.Key => Rng.at(seed, `ada/${which}/${name}`, step)
  const normal = (name: string, deviation: number): Float32Array => Rng.normal(key(name), [batch], 0, deviation).data
  const uniform = (name: string): Float32Array => Rng.uniform(key(name), [batch]).data
  const whole = (name: string): Float32Array =>
    uniform(name).map((u) => Math.round((2 * u - 1) * STRENGTH.shift * size))
  const power = (name: keyof typeof STRENGTH): Float32Array => normal(name, STRENGTH[name]).map((n) => 2 ** n)
  const quarters = uniform("quarter").map((u) => Math.floor(4 * u))
  const quarter = (part: 0 | 1 | 2): Float32Array => quarters.map((q) => QUARTERS[q as 0 | 1 | 2 | 3][part])
  const angles = uniform("hue").map((u) => (2 * u - 1) * Math.PI)
  const signs = (name: string): Float32Array => uniform(name).map((u) => (u < 0.5 ? 1 : -1))
  const columns: Readonly<Record<Name, Float32Array>> = {
    mirror: signs("mirror"),
    turned: quarter(0),
    flipRows: quarter(1),
    flipColumns: quarter(2),
    down: whole("down"),
    right: whole("right"),
    scale: power("scale"),
    aspect: power("aspect"),
    fractionDown: normal("fraction-down", STRENGTH.fraction * size),
    fractionRight: normal("fraction-right", STRENGTH.fraction * size),
    brightness: normal("brightness", STRENGTH.brightness),
    contrast: power("contrast"),
    luma: signs("luma"),
    cosine: angles.map(Math.cos),
    sine: angles.map(Math.sin),
    saturation: power("saturation"),
  }
  return NdArray.float32(
    [batch, NAMES.length],
    Float32Array.from({ length: batch * NAMES.length }, (_, i) => {
      const name = NAMES[i % NAMES.length]!
      return columns[name][Math.floor(i / NAMES.length)]!
    }),
  )
}

/** For each entry of `strengths`, a number in [0, 1); the gate is open if p is greater. Draws of one gate have the same number. */
const gates = ({ batch, seed }: Options, which: StepExtras.Which, step: number): NdArray.NdArray<"float32"> => {
  const { data } = Rng.uniform(Rng.at(seed, `ada/${which}/gates`, step), [batch, GATES])
  return NdArray.float32(
    [batch, NAMES.length],
    Float32Array.from({ length: batch * NAMES.length }, (_, i) => {
      const { gate } = DRAWS[NAMES[i % NAMES.length]!]
      return data[Math.floor(i / NAMES.length) * GATES + gate]!
    }),
  )
}

/**
 * Resampling matrices `[B, n, n]`: row r interpolates the image's rows around `centre + slope·(r - centre) + offset`, reflected at the border.
 * @param slope,offset `[B, 1, 1]`
 */
const resampling = (slope: tf.Tensor, offset: tf.Tensor, n: number): tf.Tensor3D => {
  const centre = (n - 1) / 2
  const index = tf.tensor1d(Float32Array.from({ length: n }, (_, i) => i))
  const rows = tf.reshape(tf.sub(index, centre), [1, n, 1])
  const at = tf.add(tf.add(tf.mul(rows, slope), offset), centre)
  const columns = tf.reshape(index, [1, 1, n])
  const weight = (position: tf.Tensor): tf.Tensor => tf.relu(tf.sub(1, tf.abs(tf.sub(at, position))))
  const mirrored = [tf.sub(-1, columns), tf.sub(2 * n - 1, columns)]
  return mirrored.map(weight).reduce((sum, w) => tf.add(sum, w), weight(columns)) as tf.Tensor3D
}

/** Transposes and resamples each image, with one matrix for its rows and one for its columns. `x [B, H, W, C]` */
const geometry = (x: Images, v: (name: Name) => tf.Tensor): Images => {
  const [batch, n, , channels] = x.shape
  const at = (name: Name): tf.Tensor => tf.reshape(v(name), [batch, 1, 1])
  const turned = tf.reshape(v("turned"), [batch, 1, 1, 1])
  const upright: Images = tf.add(x, tf.mul(tf.sub(tf.transpose(x, [0, 2, 1, 3]), x), turned))
  /** Row r of the result reads the image at `flip · ((r - fraction) / stretch - shift)`. */
  const matrix = (flip: tf.Tensor, stretch: tf.Tensor, fraction: tf.Tensor, shift: tf.Tensor): tf.Tensor3D => {
    const slope = tf.div(flip, stretch)
    return resampling(slope, tf.neg(tf.add(tf.mul(slope, fraction), tf.mul(flip, shift))), n)
  }
  const down = matrix(at("flipRows"), tf.div(at("scale"), at("aspect")), at("fractionDown"), at("down"))
  const across = matrix(
    tf.mul(at("flipColumns"), at("mirror")),
    tf.mul(at("scale"), at("aspect")),
    at("fractionRight"),
    at("right"),
  )
  const rows = tf.matMul(down, tf.reshape(upright, [batch, n, n * channels]))
  const columns = tf.transpose(tf.reshape(rows, [batch, n, n, channels]), [0, 2, 1, 3])
  const moved = tf.matMul(across, tf.reshape(columns, [batch, n, n * channels]))
  return tf.transpose(tf.reshape(moved, [batch, n, n, channels]), [0, 2, 1, 3])
}

/** `v × x` for v = (1, 1, 1)/√3, as a filter `[1, 1, in, out]`. */
const CROSS = [0, 1, -1, -1, 0, 1, 1, -1, 0].map((k) => k / Math.sqrt(3))

/**
 * Brightness, contrast, luma flip, hue rotation, saturation. All but brightness scale the grey part, the chroma part and the chroma
 * part rotated by 90°, so they commute and are done in one pass.
 */
const colour = (x: Images, v: (name: Name) => tf.Tensor): Images => {
  const [batch, , , channels] = x.shape
  const at = (name: Name): tf.Tensor => tf.reshape(v(name), [batch, 1, 1, 1])
  const grey = tf.mean(x, 3, true)
  const brightened = (): Images => tf.mul(tf.add(grey, at("brightness")), tf.mul(at("contrast"), at("luma"))) as Images
  if (channels === 1) return brightened()
  const coloured = tf.sub(x, grey)
  const around = Ops.conv2d(x, tf.tensor4d(CROSS, [1, 1, 3, 3]))
  const chroma = tf.mul(at("contrast"), at("saturation"))
  return tf.add(
    brightened(),
    tf.add(tf.mul(coloured, tf.mul(chroma, at("cosine"))), tf.mul(around, tf.mul(chroma, at("sine")))),
  )
}

/**
 * Augments images.
 * @param x `[B, n, n, C]`, C 1, 3 or 4
 * @param values `[B, 16]`
 * @param gates `[B, 16]`
 * @param p scalar
 */
export const apply = (x: Images, values: tf.Tensor, gates: tf.Tensor, p: tf.Tensor): Images => {
  const batch = x.shape[0]
  const neutral = tf.tensor2d(
    NAMES.map((name) => DRAWS[name].neutral),
    [1, NAMES.length],
  )
  const open = tf.cast(tf.greater(p, gates), "float32")
  const gated: tf.Tensor2D = tf.add(tf.mul(tf.sub(values, neutral), open), neutral)
  const v = (name: Name): tf.Tensor => tf.slice(gated, [0, COLUMN[name]], [batch, 1])
  return ColourChannels.change(geometry(x, v), (rgb) => colour(rgb, v))
}

/** The next p and the sum of signs in this interval; `last` is 1 in the last iteration of an interval, otherwise 0. */
export const tune = (
  { target, thousands }: Config,
  batch: number,
  real: tf.Tensor,
  { p, sum, last }: Readonly<Record<"p" | "sum" | "last", tf.Tensor>>,
): { readonly p: tf.Tensor; readonly sum: tf.Tensor } => {
  const signs = tf.add(sum, tf.mean(tf.sign(real)))
  const step = (batch * INTERVAL) / (1000 * thousands)
  const direction = tf.mul(tf.sign(tf.sub(tf.mul(signs, 1 / INTERVAL), target)), last)
  return { p: tf.maximum(tf.add(p, tf.mul(direction, step)), 0), sum: tf.mul(signs, tf.sub(1, last)) }
}

/** State `ada/p`, `ada/signs`; inputs `ada/…/values`, `ada/…/gates`, `ada/last`. */
export const extras = (options: Options): StepExtras.StepExtras => ({
  moving: { "ada/p": NdArray.scalar(0), "ada/signs": NdArray.scalar(0) },
  inputs: (step): Engine.Arrays => ({
    "ada/last": NdArray.scalar((step + 1) % INTERVAL === 0 ? 1 : 0),
    "ada/real/values": strengths(options, "real", step),
    "ada/fake/values": strengths(options, "fake", step),
    "ada/real/gates": gates(options, "real", step),
    "ada/fake/gates": gates(options, "fake", step),
  }),
  augment: (images, { state, batch }, which) =>
    apply(images, batch[`ada/${which}/values`]!, batch[`ada/${which}/gates`]!, state["ada/p"]!),
  move: ({ logits, state, batch }) => {
    const { p, sum } = tune(options.config, options.batch, logits.real, {
      p: state["ada/p"]!,
      sum: state["ada/signs"]!,
      last: batch["ada/last"]!,
    })
    return { state: { "ada/p": p, "ada/signs": sum }, stats: { ada_p: p } }
  },
})
