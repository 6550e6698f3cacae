/**
 * Mean and deviation of each channel of a generator's features, measured over latents: those that a copied group expects, and
 * those that a new small head makes.
 */
import { Failure, Flat, Layout, Ops } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { type Gan, GpGan, Latents, type Network, SmallHead, type State } from "@adafm/gan"
import { z } from "zod"

/** What the deviation of a channel is taken over: latents and pixels (`all`), or each sample's pixels, then averaged over the samples. */
export const OVER = ["all", "sample"] as const
export type Over = (typeof OVER)[number]

/** Of each channel. `deviation` is the standard deviation. */
export const Moments = z.strictObject({
  mean: z.array(z.number()).readonly(),
  deviation: z.array(z.number().nonnegative()).readonly(),
})
export type Moments = z.output<typeof Moments>

export const Measured = z.strictObject({
  /** Number of latents (with labels in a class-conditional source) that were drawn. */
  latents: z.number().int().positive(),
  ...Moments.shape,
})
export type Measured = z.output<typeof Measured>

/** A generator's features `[B, H, W, C]` at some layer. */
export type Features = (params: Network.Tensors, inputs: Network.Inputs) => ReturnType<typeof GpGan.features>

export interface Model {
  readonly gan: Gan.Gan
  readonly generator: State.Params
}

export interface Options {
  readonly seed: number
  /** Latents to draw, rounded up to whole batches. */
  readonly latents?: number
  readonly over?: Over
}

const BATCH = 50

/** The features that a small head of `blocks` style blocks replaces. @throws `BadRecipe` where there are none */
export const atGraft = (config: Gan.Config, blocks: number): Features => {
  if (config.architecture === "gpgan") return (params, inputs) => GpGan.features(config, params, inputs, blocks)
  if (config.architecture === "gpgan-small-head" && config.head_blocks === blocks)
    return (params, inputs) => SmallHead.features(config, params, inputs)
  return Failure.raise(
    "BadRecipe",
    `a ${config.architecture} has no features that a small head of ${blocks} blocks could replace`,
  )
}

/** The features that the last layer of a small head normalises. */
export const beforeNorm =
  (config: SmallHead.Config): Features =>
  (params, inputs) =>
    SmallHead.unscaled(config, params, inputs)

/** Six digits, so that the written numbers are exactly the ones that were used. */
const rounded = (values: Float64Array): readonly number[] => Array.from(values, (v) => Number(v.toPrecision(6)))

/** Mean of one batch `[1, 1, 1, C]`, and its variance: one `[1, 1, 1, C]`, or each sample's `[B, 1, 1, C]`. */
const momentsOf = (features: ReturnType<Features>, over: Over): Network.Tensors => {
  const { mean, variance } = Ops.moments(features, [0, 1, 2])
  return { mean, variance: over === "all" ? variance : Ops.moments(features, [1, 2]).variance }
}

/** Runs a generator up to a layer, over many latents. */
export const measure = async (
  { gan, generator }: Model,
  features: Features,
  engine: Engine.Engine,
  { seed, latents = 1000, over = "all" }: Options,
): Promise<Measured> => {
  const step: Engine.Step = (params, batch) => {
    const { z, y } = batch as { readonly z: NonNullable<typeof batch.z>; readonly y?: typeof batch.z }
    const noise = gan.noise.map((_, k) => batch[`noise/${k}`]!)
    return { stats: momentsOf(features(params, { z, ...(y && { y }), noise }), over) }
  }
  const drawn = (n: number): Engine.Arrays =>
    Flat.merge<Engine.Arrays[string]>(
      Latents.draw(gan, seed, "calibration", n, BATCH),
      Latents.labels(gan, seed, "calibration", n, BATCH),
    )
  const spec = ({ shape, dtype }: Engine.Arrays[string]): Engine.Spec => ({ shape, dtype })
  const state = Flat.map(generator, Layout.toCompute)
  const program = await engine.compile(step, { state: Flat.map(state, spec), batch: Flat.map(drawn(0), spec) })
  try {
    program.write(state)
    const parts: Engine.Arrays[] = []
    for (let n = 0; n * BATCH < latents; n++) parts.push(await program.run(drawn(n)))
    return { latents: parts.length * BATCH, ...pooled(parts, over) }
  } finally {
    await program.dispose()
  }
}

/** Means and deviations of all batches, which are of one size. */
const pooled = (parts: readonly Engine.Arrays[], over: Over): Moments => {
  const channels = parts[0]!.mean!.data.length
  const average = (of: (mean: number, variances: readonly number[]) => number): Float64Array => {
    const sums = new Float64Array(channels)
    for (const { mean, variance } of parts)
      for (let c = 0; c < channels; c++) {
        const { data } = variance!
        const own = Array.from({ length: data.length / channels }, (_, b) => data[b * channels + c]!)
        sums[c]! += of(mean!.data[c]!, own) / parts.length
      }
    return sums
  }
  const mean = average((m) => m)
  if (over === "sample") {
    const deviation = average((_, variances) => variances.reduce((sum, v) => sum + Math.sqrt(v), 0) / variances.length)
    return { mean: rounded(mean), deviation: rounded(deviation) }
  }
  const square = average((m, [variance]) => variance! + m * m)
  return { mean: rounded(mean), deviation: rounded(square.map((s, c) => Math.sqrt(Math.max(0, s - mean[c]! ** 2)))) }
}
