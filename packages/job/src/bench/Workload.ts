/** The work that is timed: one training iteration, or one batch of images, of a fixed variant with random weights. */
import { Modulate } from "@adafm/adafm"
import { Flat, Layout, Leaf, Optimizer, Rng } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { Gan, GpGan, State, Step, TrainingLoop } from "@adafm/gan"
import { Groups, type Surgery } from "@adafm/transfer"
import { wrap } from "../run/Model.ts"
import * as Sampler from "../run/Sampler.ts"
import * as Trainable from "../run/Trainable.ts"

/**
 * `scratch`: everything trains. `g4d2`: 4 groups of G and 2 of D are frozen. `adafm`: small head, the groups above it frozen and
 * modulated, 2 groups of an unconditional D frozen; the same with every other kind of modulation.
 */
export const VARIANTS = ["scratch", "g4d2", ...Modulate.names, "low-rank"] as const
export const MODES = ["train", "sample"] as const

export interface Workload {
  readonly variant: (typeof VARIANTS)[number]
  readonly mode: (typeof MODES)[number]
  readonly size: number
  readonly nf: number
  readonly nfMax?: number
  readonly batch: number
  readonly seed: number
}

const isModulated = (variant: Workload["variant"]): boolean => variant !== "scratch" && variant !== "g4d2"

/** z 256, one class, embedding 1, style_dim 256. */
const ganOf = ({ variant, size, nf, nfMax }: Workload): Gan.Gan => {
  const sizes = { resolution: size, nf, z_dim: 256, ...(nfMax !== undefined && { nf_max: nfMax }) }
  const head = { style_dim: 256, head_blocks: Math.max(1, Math.log2(size / 4) - 3) }
  return Gan.of(
    Gan.Config.parse(
      isModulated(variant)
        ? { architecture: "gpgan-small-head", ...sizes, ...head }
        : { architecture: "gpgan", ...sizes, embed: 1 },
    ),
  )
}

/** Without a recipe nothing is frozen. */
const surgeryOf = ({ variant }: Workload, gan: Gan.Gan): Surgery.Given =>
  variant === "scratch"
    ? {}
    : variant === "g4d2"
      ? { recipe: variant }
      : {
          generator: { keep: Groups.of(gan.config, "generator").groups.length },
          discriminator: { keep: 2 },
          modulation: Modulate.Config.parse({ kind: variant }),
        }

const setupOf = (workload: Workload): Step.Setup => {
  const gan = ganOf(workload)
  return {
    gan,
    batchSize: workload.batch,
    optimizer: { generator: Optimizer.adam, discriminator: Optimizer.adam },
    penalty: { mode: "real", weight: 10 },
    ema: { decay: 0.999, ramp: false },
    ...Trainable.of(gan, surgeryOf(workload, gan)),
  }
}

export interface Prepared {
  readonly step: Engine.Step
  readonly state: Engine.Arrays
  readonly inputs: Engine.Arrays
}

/** @throws ZodError when the architecture does not take these sizes */
export const prepare = async (workload: Workload): Promise<Prepared> => {
  const { mode, batch, seed } = workload
  const setup = setupOf(workload)
  const { gan } = setup
  const modulation = setup.modulation?.generator
  const networks = {
    generator: Leaf.initAll(Flat.merge(gan.generator, modulation?.leaves ?? {}), seed, "generator"),
    discriminator: Leaf.initAll(gan.discriminator, seed, "discriminator"),
  }
  if (mode === "sample")
    return {
      step: Sampler.step(wrap(gan, setup.modulation)),
      state: Flat.map(networks.generator, Layout.toCompute),
      inputs: Sampler.inputs(gan, seed, [...Array(batch).keys()]),
    }
  const batches = async (): Promise<Engine.Arrays> => ({
    x: Rng.uniform(Rng.at(seed, "bench/x"), [batch, ...gan.image], -1, 1),
  })
  return {
    step: Step.make(setup, 0),
    state: State.initial(setup, networks),
    inputs: await TrainingLoop.batchAt({ setup, seed, batches }, 0),
  }
}

/** Whether the generator has the 4 groups that `g4d2` keeps. */
export const fits = ({ variant, size }: Pick<Workload, "variant" | "size">): boolean =>
  variant !== "g4d2" || GpGan.stages({ resolution: size as 16 }) + 2 >= 4
