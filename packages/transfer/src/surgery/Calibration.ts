/**
 * The scale at which a new small head feeds the copied groups. The authors' head starts with features of standard deviation 1000,
 * which fits the groups of their ImageNet GP-GAN. Groups of another source expect another scale, and with features that are too
 * large the images saturate to black and white. So the source's features are measured where the head is grafted, and the head
 * starts with their mean and deviation.
 */
import { Failure, Flat, Layout, NdArray, Ops } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { type Gan, GpGan, Latents, type Network, SmallHead, type State } from "@adafm/gan"
import { z } from "zod"

export const Measured = z.strictObject({
  /** Number of latents (with labels in a class-conditional source) that were drawn. */
  latents: z.number().int().positive(),
  /** Of each channel, over latents and pixels. `deviation` is the standard deviation. */
  mean: z.array(z.number()).readonly(),
  deviation: z.array(z.number().nonnegative()).readonly(),
})
export type Measured = z.output<typeof Measured>

/** How a small head starts: with measured values, or with the authors' constants. */
export const Config = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("authors") }),
  z.strictObject({ kind: z.literal("calibrated"), ...Measured.shape }),
])
export type Config = z.output<typeof Config>

export interface Source {
  readonly gan: Gan.Gan
  readonly generator: State.Params
}

export interface Options {
  readonly seed: number
  /** Latents to draw, rounded up to whole batches. */
  readonly latents?: number
}

const BATCH = 50

/** The features that a head of `blocks` style blocks replaces. `[B, H, W, C]` */
const features = (
  { config }: Gan.Gan,
  blocks: number,
): ((params: Network.Tensors, inputs: Network.Inputs) => ReturnType<typeof GpGan.features>) => {
  if (config.architecture === "gpgan") return (params, inputs) => GpGan.features(config, params, inputs, blocks)
  if (config.architecture === "gpgan-small-head" && config.head_blocks === blocks)
    return (params, inputs) => SmallHead.features(config, params, inputs)
  return Failure.raise(
    "BadRecipe",
    `a ${config.architecture} has no features that a small head of ${blocks} blocks could replace`,
  )
}

/** Six digits, so that the written numbers are exactly the ones that were used. */
const rounded = (values: Float64Array): readonly number[] => Array.from(values, (v) => Number(v.toPrecision(6)))

/** Runs the source up to the layer where a head of `blocks` blocks will be grafted. */
export const measure = async (
  { gan, generator }: Source,
  blocks: number,
  engine: Engine.Engine,
  { seed, latents = 1000 }: Options,
): Promise<Measured> => {
  const at = features(gan, blocks)
  const step: Engine.Step = (params, batch) => {
    const { z, y } = batch as { readonly z: NonNullable<typeof batch.z>; readonly y?: typeof batch.z }
    const noise = gan.noise.map((_, k) => batch[`noise/${k}`]!)
    const { mean, variance } = Ops.moments(at(params, { z, ...(y && { y }), noise }), [0, 1, 2])
    return { stats: { mean, variance } }
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
    return { latents: parts.length * BATCH, ...pooled(parts) }
  } finally {
    await program.dispose()
  }
}

/** Statistics of all batches, which are of one size: the mean of the means; the variance within batches plus that of their means. */
const pooled = (parts: readonly Engine.Arrays[]): Pick<Measured, "mean" | "deviation"> => {
  const channels = parts[0]!.mean!.data.length
  const [mean, square] = [new Float64Array(channels), new Float64Array(channels)]
  for (const part of parts)
    for (let c = 0; c < channels; c++) {
      const m = part.mean!.data[c]!
      mean[c]! += m / parts.length
      square[c]! += (part.variance!.data[c]! + m * m) / parts.length
    }
  const deviation = square.map((s, c) => Math.sqrt(Math.max(0, s - mean[c]! ** 2)))
  return { mean: rounded(mean), deviation: rounded(deviation) }
}

/** The gradient that flows back into the authors' head, as a share of its scale. */
export const SHARE = SmallHead.AUTHORS.head_gradient / SmallHead.AUTHORS.head_scale

type Scale = Pick<SmallHead.Config, "head_scale" | "head_gradient">

const digits = (value: number): number => Number(value.toPrecision(6))

/** The mean deviation, and the gradient that flows back into the head: `share` times the scale, by default the authors' share. */
export const scale = (config: Config, share = SHARE): Scale => {
  if (config.kind === "authors")
    return { head_scale: SmallHead.AUTHORS.head_scale, head_gradient: digits(share * SmallHead.AUTHORS.head_scale) }
  const { deviation } = config
  const head_scale = digits(deviation.reduce((sum, d) => sum + d, 0) / deviation.length)
  if (head_scale === 0)
    Failure.raise(
      "FlatFeatures",
      "the source's features at the graft are the same for every latent, so a small head has no scale to start with; take --head gp or --graft authors",
    )
  return { head_scale, head_gradient: digits(share * head_scale) }
}

/**
 * The generator with a small head that starts with the measured mean and deviation of each channel. The features' scale is the
 * weight plus the gradient's factor, so the factor is subtracted.
 */
export const start = (config: Config, { head_gradient }: Scale, generator: State.Params): State.Params => {
  if (config.kind === "authors") return generator
  const perChannel = (values: readonly number[]) => NdArray.float32([1, values.length, 1, 1], Float32Array.from(values))
  return Flat.merge(generator, {
    "small_H.weight": perChannel(config.deviation.map((d) => d - head_gradient)),
    "small_H.beta": perChannel(config.mean),
  })
}
