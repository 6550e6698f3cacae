/** The architecture of the model that a surgery makes of a source. */
import { Failure } from "@adafm/core"
import { Gan, GpGan, SmallHead, Stack } from "@adafm/gan"
import type { Surgery } from "./Surgery.ts"

/** What of a surgery decides the architecture. */
export interface Shape {
  readonly head?: Surgery["head"]
  /** Groups of the generator below a small head; min(4, S) by default, as in the paper. */
  readonly keep?: number
  readonly zDim?: number | undefined
  readonly miner?: true | undefined
}

export const shapeOf = ({ head, zDim, miner, generator: { keep } }: Surgery): Shape => ({
  head,
  zDim,
  miner,
  ...(typeof keep === "number" && keep > 0 && { keep }),
})

/** Style blocks of a small head above m groups: one for each of the S + 1 - m remaining resolutions. */
const headBlocks = (config: GpGan.Config, m: number): number => {
  const S = GpGan.stages(config)
  if (m < 1 || m > S)
    return Failure.raise(
      "BadRecipe",
      `a small head needs 1 to ${S} kept groups below it in a GP-GAN of ${config.resolution} px, found ${m}: see --keep-g`,
    )
  return S + 1 - m
}

/** An embedding of one number, normalised, is ±1: it tells two classes apart at most. */
const embedOf = ({ z_dim, embed }: { readonly z_dim: number; readonly embed: number }, labels: number): number =>
  labels === 1 ? 1 : embed > 1 ? embed : Math.max(2, Math.min(256, z_dim))

const plain = (config: Gan.Plain, { head = "gp", keep, zDim }: Shape, labels: number): Gan.Plain => {
  const { architecture } = config
  if (head === "small" && architecture !== "gpgan" && architecture !== "gpgan-small-head")
    return Failure.raise(
      "BadRecipe",
      `a small head needs a GP-GAN source, and this is a ${architecture}: take --head gp`,
    )
  if (architecture === "dcgan") {
    const classes = Math.max(Stack.labels(config.generator), Stack.labels(config.discriminator))
    if (labels === 1) return classes === 1 ? config : { ...config, averageClass: true }
    return labels === classes
      ? config
      : Failure.raise(
          "BadRecipe",
          `this dcgan has ${classes === 1 ? "no classes" : `${classes} classes`}, so its target cannot have ${labels}: leave out --conditional`,
        )
  }
  if (Gan.isUnlabelled(config))
    return labels === 1
      ? config
      : Failure.raise(
          "BadRecipe",
          `a ${architecture} has no classes, so its target cannot have any: leave out --conditional`,
        )
  const embed = embedOf(config, labels)
  const latents = zDim === undefined ? {} : { z_dim: zDim }
  if (architecture === "gpgan-small-head") return { ...config, nlabels: labels, embed, ...latents }
  if (head === "gp" || architecture !== "gpgan") return { ...config, nlabels: labels, embed }
  const { architecture: _, ...sizes } = config
  return SmallHead.Config.parse({
    ...sizes,
    architecture: "gpgan-small-head",
    ...latents,
    nlabels: labels,
    embed,
    style_dim: 256,
    head_blocks: headBlocks(config, keep ?? Math.min(4, GpGan.stages(config))),
  })
}

/**
 * The target's architecture: a class-conditional source becomes a model of `labels` classes, 1 for an unconditional one.
 * @throws `BadRecipe` where the source's architecture cannot have this head or classes
 */
export const of = (config: Gan.Config, shape: Shape = {}, labels = 1): Gan.Config => {
  const source = config.architecture === "mined" ? config.source : config
  if (shape.miner === true) return { architecture: "mined", source: plain(source, shape, labels) }
  return config.architecture === "mined"
    ? { ...config, source: plain(source, shape, labels) }
    : plain(source, shape, labels)
}
