/**
 * Projection of photographs into the latent space of a generator: the z whose image is nearest, found by Adam on z (Creswell,
 * Bharath, "Inverting the Generator of a Generative Adversarial Network", 2018) in a program compiled like a training step. The
 * distance is measured in pixels and in the discriminator's features; a prior keeps z in the range that the generator was trained on.
 */
import { join } from "node:path"
import { Failure, Flat, Grad, Layout, NdArray, Optimizer, Safetensors } from "@adafm/core"
import { Channels, Image, Pipeline } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { type Gan, ModelFolder, type Network, State } from "@adafm/gan"
import * as tf from "@tensorflow/tfjs-core"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as ImageSelection from "../run/ImageSelection.ts"
import * as Model from "../run/Model.ts"
import * as ModelChannels from "../run/ModelChannels.ts"
import type * as RunCheckpoint from "../run/RunCheckpoint.ts"
import * as Sampler from "../run/Sampler.ts"
import * as SampleSheet from "../run/sheet/SampleSheet.ts"

export interface Options extends Model.Notes {
  /** A model folder or a run. */
  readonly model: string
  /** One photograph, or a set of them. */
  readonly images: string
  readonly limit?: number
  /** The folder to write. */
  readonly out: string
  readonly seed: number
  /** Iterations; 300 by default. */
  readonly steps?: number
  /** First learning rate of Adam, which falls to 0 along a cosine; 0.1 by default. */
  readonly learningRate?: number
  /** Random initial latents for each photograph, of which the best result is kept; 4 by default. */
  readonly starts?: number
  /** Weight of the distance in the discriminator's features, that in pixels being 1; 0.1 by default. */
  readonly features?: number
  /** The class of all images; drawn for each start by default. */
  readonly label?: number
  readonly raw?: boolean
  /** Which checkpoint of a run; the last by default. */
  readonly checkpoint?: RunCheckpoint.Wanted
  readonly onProgress?: (done: number, total: number, loss: number) => void
}

export interface Outcome {
  readonly files: readonly string[]
  readonly steps: number
  /** Only of a run: the checkpoint that was read. */
  readonly checkpoint?: RunCheckpoint.Chosen
  /** `pixels`: root of the mean squared difference, images in [-1, 1]. */
  readonly photographs: readonly { readonly name: string; readonly pixels: number }[]
}

/** Mean over everything but the batch. `[B, …] → [B]` */
const perImage = (x: tf.Tensor): tf.Tensor => tf.mean(tf.reshape(x, [x.shape[0]!, -1]), 1)

const adam: Optimizer.Optimizer = { kind: "adam", learningRate: 1, beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }

/** Weight of `mean z²`, that of the squared difference in pixels being 1. */
const PRIOR = 1e-3

/**
 * One iteration. State: `generator/…`, `discriminator/…`, `z/z [B, dim]` with Adam's averages, `x [B, H, W, C]`, `y`, `noise/k`;
 * inputs `rate`, `spread`; stats `pixels`, `loss` `[B]` of the z before the update.
 */
export const step =
  (gan: Gan.Gan, weight: number): Engine.Step =>
  (state, batch) => {
    const [g, d] = [Flat.under(state, "generator"), Flat.under(state, "discriminator")]
    const { x, y } = state as { readonly x: Network.Images; readonly y?: tf.Tensor }
    const noise = gan.noise.map((_, k) => state[`noise/${k}`]!)
    const wanted = gan.discriminatorFeatures(d, x)
    const size = tf.add(tf.mean(tf.square(wanted)), 1e-8)
    const distance = ({ z }: Network.Tensors): Grad.Loss => {
      // a small head passes back a hundred-thousandth of its gradient in training, next to which the prior would be all there is
      const images = gan.generate(g, { z: z!, ...(y && { y }), noise, gradient: "exact" })
      const pixels = perImage(tf.square(tf.sub(images, x)))
      const features = tf.div(perImage(tf.square(tf.sub(gan.discriminatorFeatures(d, images), wanted))), size)
      const loss = tf.add(tf.add(pixels, tf.mul(features, weight)), tf.mul(perImage(tf.square(z!)), PRIOR))
      // a sum, so that an image's gradient does not depend on the size of the batch
      return { loss: tf.sum(loss), also: { pixels, loss } }
    }
    const leaves = Flat.under(state, "z")
    const { grads, also } = Grad.valueAndGrads(distance, leaves)
    const { params, m, v } = Optimizer.update(
      adam,
      leaves,
      grads,
      { m: Flat.under(state, "z_m"), v: Flat.under(state, "z_v") },
      () => ({ rate: batch.rate!, spread: batch.spread! }),
    )
    return {
      state: Flat.merge(Flat.prefix(params, "z"), Flat.prefix(m!, "z_m"), Flat.prefix(v, "z_v")),
      stats: also,
    }
  }

export interface Projection {
  /** `z` and the generator's other inputs, an entry for each row of `x`. */
  readonly inputs: Engine.Arrays
  /** Mean squared differences of pixels, and total losses, of the last iteration by row. */
  readonly pixels: Float32Array
  readonly loss: Float32Array
}

/** @param x `[B, H, W, C]` @param inputs initial inputs, as `Sampler.inputs` draws them */
export const search = async (
  { gan, generator, discriminator }: Pick<Model.Model, "gan" | "generator" | "discriminator">,
  engine: Engine.Engine,
  x: NdArray.NdArray<"float32">,
  inputs: Engine.Arrays,
  {
    steps = 300,
    learningRate = 0.1,
    features = 0.1,
    onProgress,
  }: Pick<Options, "steps" | "learningRate" | "features" | "onProgress">,
): Promise<Projection> => {
  const { z, ...fixed } = inputs
  const zeros = NdArray.zeros("float32", z!.shape)
  const state = Flat.merge<Engine.Arrays[string]>(
    Flat.prefix(Flat.map(generator, Layout.toCompute), "generator"),
    Flat.prefix(Flat.map(discriminator, Layout.toCompute), "discriminator"),
    { "z/z": z!, "z_m/z": zeros, "z_v/z": zeros, x, ...fixed },
  )
  const at = (i: number): Engine.Arrays => {
    const { rate, spread } = Optimizer.coefficients(adam, i + 1)
    const falling = (learningRate * (1 + Math.cos((Math.PI * i) / steps))) / 2
    return { rate: NdArray.scalar(falling * rate), spread: NdArray.scalar(spread) }
  }
  const program = await engine.compile(step(gan, features), State.specs(state, at(0)))
  try {
    program.write(state)
    let stats: Engine.Arrays = {}
    for (let i = 0; i < steps; i++) {
      stats = await program.run(at(i))
      const values = stats.loss!.data as Float32Array
      onProgress?.(i + 1, steps, values.reduce((sum, v) => sum + v, 0) / values.length)
    }
    const { "z/z": found } = await program.read(["z/z"])
    return {
      inputs: Flat.merge<Engine.Arrays[string]>(inputs, { z: found! }),
      pixels: stats.pixels!.data as Float32Array,
      loss: stats.loss!.data as Float32Array,
    }
  } finally {
    await program.dispose()
  }
}

/** The photographs in [-1, 1], each `starts` times. `[N · starts, H, W, C]` */
const repeated = (photographs: readonly Image.Rgb[], starts: number): NdArray.NdArray<"float32"> => {
  const [height, width, channels] = photographs[0]!.shape as [number, number, number]
  const size = height * width * channels
  const x = NdArray.zeros("float32", [photographs.length * starts, height, width, channels])
  photographs.forEach(({ data }, i) => {
    for (let k = 0; k < starts; k++)
      for (let p = 0; p < size; p++) x.data[(i * starts + k) * size + p] = data[p]! / 127.5 - 1
  })
  return x
}

/** Writes `projected.safetensors` (`z`, `noise/k`, `y` for `forward`, and `images`) and `projected.png`: pairs of photograph and projection. */
export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const { out, seed, limit, label, starts = 4, steps = 300, raw = false, checkpoint } = options
    const model = await Failure.orThrow(
      Model.open(options.model, { raw, onNote: options.onNote, ...(checkpoint !== undefined && { checkpoint }) }),
    )
    const { gan } = model
    Model.requireClass(model, label)
    ModelFolder.requireDiscriminator(model, "projection needs the features of its discriminator", options.model)
    ModelChannels.requirePhotographs(gan, options.model)
    const look = { size: gan.image[0], channels: ModelChannels.of(gan) }
    return ImageSelection.use(options.images, { seed, ...(limit !== undefined && { limit }) }, async (set) => {
      const pipeline = await Failure.orThrow(Pipeline.open(set, { ...look, batch: 1 }))
      if (pipeline.count === 0)
        return Failure.raise("NoImage", "none of the images can be decoded", { file: options.images })
      const photographs = await Promise.all([...Array(pipeline.count).keys()].map(pipeline.image))
      const numbers = [...Array(photographs.length * starts).keys()]
      const begin = SampleSheet.labelled(Sampler.inputs(gan, seed, numbers, "project"), label)
      const found = await search(model, engine, repeated(photographs, starts), begin, { ...options, steps })
      const best = photographs.map((_, i) =>
        numbers.slice(i * starts, (i + 1) * starts).reduce((a, b) => (found.loss[b]! < found.loss[a]! ? b : a)),
      )
      const inputs = Flat.map(found.inputs, (array) => Sampler.picked(array, best))
      const sampler = await Sampler.open(model, engine, best.length)
      const images = await sampler.images(inputs).finally(sampler.dispose)
      const made = Image.fromNchw(images)
      const [tensors, sheet] = [join(out, "projected.safetensors"), join(out, "projected.png")]
      const inFileLayout = Flat.map(inputs, (a) =>
        a.dtype === "float32" ? Layout.imagesToFile(a as NdArray.NdArray<"float32">) : a,
      )
      await Failure.orThrow(Safetensors.write(tensors, { ...inFileLayout, images }))
      const pairs = photographs.flatMap((photograph, i) => [Channels.rgb(photograph), made[i]!])
      const columns = Math.min(8, 2 * Math.ceil(Math.sqrt(photographs.length)))
      await Failure.orThrow(Image.writePng(sheet, Image.sheet(pairs, { columns, scale: gan.image[0] < 64 ? 2 : 1 })))
      return {
        files: [tensors, sheet],
        steps,
        ...(model.checkpoint && { checkpoint: model.checkpoint }),
        photographs: pipeline.names.map((name, i) => ({ name, pixels: Math.sqrt(found.pixels[best[i]!]!) })),
      }
    })
  })
