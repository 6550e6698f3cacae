/**
 * How a new small head starts: the constants of its last layer and how fast they train. The authors' head starts with features of
 * standard deviation 1000, which fits the groups of their ImageNet GP-GAN. Groups of another source expect another scale, and with
 * features that are too large the images saturate to black and white. So the source's features are measured where the head is
 * grafted, and the head starts with their mean and deviation.
 */
import { Failure, Flat, NdArray } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { SmallHead, type State } from "@adafm/gan"
import { z } from "zod"
import * as FeatureMoments from "./FeatureMoments.ts"
import type { Surgery } from "./Surgery.ts"

/** The new head's own features before its last layer, which the constants of a measured norm are. */
const head = FeatureMoments.Moments.optional()

/** How a small head starts: with measured values, or with the authors' constants. */
export const Config = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("authors"), head }),
  z.strictObject({
    kind: z.literal("calibrated"),
    ...FeatureMoments.Measured.shape,
    /**
     * What the deviation was measured over: what the head's norm takes it over. Left out in runs of the first version, which took
     * latents and pixels under the authors' norm and trained the last layer at the full learning rate.
     */
    over: z.enum(FeatureMoments.OVER).optional(),
    head,
  }),
])
export type Config = z.output<typeof Config>

type Wanted = Pick<Surgery, "graft" | "headNorm">

const normOf = (start: Config): SmallHead.Norm => (start.head === undefined ? "authors" : "measured")

/** The authors' constants are those of their norm; everything else starts with the measured one. */
const norm = ({ graft, headNorm }: Wanted): SmallHead.Norm =>
  headNorm ?? (graft === "authors" || graft === "overall" ? "authors" : "measured")

/** Whether a run's recorded start is what a surgery asks for. What the surgery leaves open is as it was recorded. */
const suits = (recorded: Config, { graft, headNorm }: Wanted): boolean =>
  (recorded.kind === "authors") === (graft === "authors") &&
  (headNorm ?? normOf(recorded)) === normOf(recorded) &&
  (graft !== "overall" || (recorded.kind === "calibrated" && recorded.over === undefined))

/** What is known before the head has parameters: its norm, and the start without what the head itself is measured for. */
export interface Begun {
  readonly start: Config
  readonly norm: SmallHead.Norm
}

/** Measures the source where the head is grafted, unless a run has it recorded. @param blocks style blocks of the head */
export const begin = async (
  wanted: Wanted,
  source: FeatureMoments.Model,
  blocks: number,
  seed: number,
  engine: Engine.Engine,
  recorded?: Config,
): Promise<Begun> => {
  if (recorded !== undefined && suits(recorded, wanted)) return { start: recorded, norm: normOf(recorded) }
  const own = norm(wanted)
  if (wanted.graft === "authors") return { start: { kind: "authors" }, norm: own }
  const over = own === "authors" && wanted.graft !== "overall" ? "sample" : "all"
  const at = FeatureMoments.atGraft(source.gan.config, blocks)
  const measured = await FeatureMoments.measure(source, at, engine, { seed, over })
  return { start: { kind: "calibrated", ...measured, ...(wanted.graft !== "overall" && { over }) }, norm: own }
}

/** Measures the new head itself, if its norm needs that. @param model with the head's first values */
export const complete = async (
  { start, norm, config }: Begun & { readonly config: SmallHead.Config },
  model: FeatureMoments.Model,
  { seed, engine }: { readonly seed: number; readonly engine: Engine.Engine },
): Promise<Config> => {
  if (norm === "authors" || start.head !== undefined) return start
  const at = FeatureMoments.beforeNorm(config)
  const { mean, deviation } = await FeatureMoments.measure(model, at, engine, { seed })
  return { ...start, head: { mean, deviation: deviation.map((d) => digits(Math.sqrt(d * d + SmallHead.EPSILON))) } }
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
 * Times the learning rate, for scale and shift of the last layer. Adam moves every number by about the learning rate a step,
 * whatever its size: the authors' 1000 by 0.6 % in their 60,000 steps, but 1.65 by a third in 3,000 steps. In proportion to the
 * scale, the layer moves as little as the authors' does.
 */
export const rate = (config: Config, { head_scale }: Scale): number =>
  config.kind === "calibrated" && config.over === undefined ? 1 : digits(head_scale / SmallHead.AUTHORS.head_scale)

/**
 * The generator with a small head that starts with the measured mean and deviation of each channel. The features' scale is the
 * weight plus the gradient's factor, so the factor is subtracted.
 */
export const start = (config: Config, { head_gradient }: Scale, generator: State.Params): State.Params => {
  const list = (values: readonly number[]) => NdArray.float32([values.length], Float32Array.from(values))
  const perChannel = (values: readonly number[]) => NdArray.reshape(list(values), [1, values.length, 1, 1])
  return Flat.merge(
    generator,
    config.kind === "authors"
      ? {}
      : {
          "small_H.weight": perChannel(config.deviation.map((d) => d - head_gradient)),
          "small_H.beta": perChannel(config.mean),
        },
    config.head === undefined
      ? {}
      : { "small_H.norm.mean": list(config.head.mean), "small_H.norm.deviation": list(config.head.deviation) },
  )
}
