/**
 * What becomes of a source's parameters in the model that is trained from it: which groups of layers are kept, where values begin,
 * what training moves. One value: the command line fills it from flags, a job carries it out, an experiment's cell stores it, a
 * report prints it. `Recipe` has the published ones by name, `FreezeRules` turns one into a plan.
 */
import { Modulate } from "@adafm/adafm"
import { Gan, SmallHead, Step } from "@adafm/gan"
import { z } from "zod"
import * as Plan from "./Plan.ts"

const natural = z.number().int().nonnegative()

/** What becomes of one network. Groups are counted from the image (`Groups`); the first `keep` of them are "low". */
export const Network = z.strictObject({
  /** `middle` is what the paper's method keeps: m = min(4, S) groups of the generator and n = 2 of the discriminator. */
  keep: z.union([natural, z.literal("middle")]).default(0),
  /**
   * Where the low groups begin: with the source's values, new ones, random ones with the mean and deviation of each of the source's
   * tensors, or the source's kernels in another order. The last two are controls.
   */
  low: z.enum(["copied", "fresh", "random", "shuffled"]).default("copied"),
  /** What training does with the low groups. */
  moves: z.enum(["frozen", "modulated", "trained"]).default("frozen"),
  /** Batch norms after modulated filters: they undo a filter's scale, so they train with the modulation unless they are frozen. */
  norms: z.enum(["trained", "frozen"]).optional(),
  /** Where the groups above begin; they always train. */
  rest: z.enum(["copied", "fresh"]).default("copied"),
  /**
   * Fully connected layers and the embedding: the source's through its unconditional view, or new ones as in the authors' loader.
   * Where `rest` is fresh they are new too.
   */
  top: z.enum(["view", "fresh"]).default("view"),
})
export type Network = z.output<typeof Network>

export const Surgery = z.strictObject({
  /** The name of a recipe; what is given next to it replaces the recipe's decisions. */
  recipe: z.string().optional(),
  generator: Network.prefault({}),
  discriminator: Network.prefault({}),
  /** Above the kept groups of the generator: the source's own layers (`gp`), or a new small head as in the paper. */
  head: z.enum(["gp", "small"]).default("gp"),
  /**
   * How a small head begins: with features of the source's scale (`calibrated`, default), or with the authors' constants. `overall`
   * is the first version of `calibrated`, for the committed cells of experiments: under the authors' norm, with the deviation over
   * latents and pixels, which is too large there, and the last layer trained at the full learning rate.
   */
  graft: z.enum(["calibrated", "authors", "overall"]).optional(),
  /**
   * What the last layer of a small head normalises each channel with: constants, measured over latents (`measured`, default), or, as
   * in the paper, the mean and deviation of each sample (`authors`, default where `graft` is not `calibrated`).
   */
  headNorm: z.enum(SmallHead.NORMS).optional(),
  /** The share of the gradient that passes back into a small head; 1e-5 by default, as in the paper. */
  headGradient: z.number().positive().optional(),
  /** Width of a small head's latents; the source's by default. */
  zDim: z.number().int().positive().optional(),
  /** A miner before the generator (MineGAN). */
  miner: z.literal(true).optional(),
  /** The kind of modulation; AdaFM by default. */
  modulation: Modulate.Config.optional(),
  /** The step from which the modulation trains (with a miner: the generator); a sixth of all steps by default. */
  unfreezeAt: natural.optional(),
  /** Rules by path. They decide in place of both networks' settings above. */
  plan: Plan.Plan.optional(),
})
export type Surgery = z.output<typeof Surgery>

/** A surgery with parts left out: the recipe decides them, or the defaults do. */
export type Given = z.input<typeof Surgery>

type Counted = Network & { readonly keep: number }

/** A surgery whose numbers of groups are known. */
export interface Settled extends Surgery {
  readonly generator: Counted
  readonly discriminator: Counted
}

const present = <A extends object>(value: A | undefined): Partial<A> =>
  Object.fromEntries(Object.entries(value ?? {}).filter(([, v]) => v !== undefined)) as Partial<A>

/** The second where it says something, else the first. */
export const merge = (base: Given, given: Given): Given => ({
  ...present(base),
  ...present(given),
  generator: { ...present(base.generator), ...present(given.generator) },
  discriminator: { ...present(base.discriminator), ...present(given.discriminator) },
})

/** S, the number of doublings from 4 px to the image. */
export const stages = (config: Gan.Config): number => Math.round(Math.log2(Gan.of(config).image[0] / 4))

/** @param stages S of the source */
export const settled = ({ generator, discriminator, ...rest }: Surgery, stages: number): Settled => {
  const keep = (n: number | "middle", middle: number): number => (n === "middle" ? middle : n)
  return {
    ...rest,
    generator: { ...generator, keep: keep(generator.keep, Math.min(4, stages)) },
    discriminator: { ...discriminator, keep: keep(discriminator.keep, 2) },
  }
}

/** Whether a modulation is trained. */
export const isModulated = (surgery: Pick<Surgery, Step.Net>): boolean =>
  Step.nets.some((net) => surgery[net].moves === "modulated")

const LOW: Readonly<Record<Network["low"], string>> = {
  copied: "copied",
  fresh: "new",
  random: "random with the source's mean and deviation",
  shuffled: "copied with their kernels shuffled",
}

const networkText = ({ keep, low, moves, rest, top }: Network): string => {
  const kept =
    keep === 0 ? [] : [`the ${keep === 1 ? "group" : `${keep} groups`} nearest to the image ${LOW[low]}, ${moves}`]
  const above = `${keep === 0 ? "all groups" : "the other groups"} ${rest === "copied" ? "copied" : "new"}, trained`
  const ends = rest === "copied" && top === "fresh" ? ["first and last layers new"] : []
  return [...kept, above, ...ends].join("; ")
}

/** A surgery in words, a sentence for each network. */
export const text = ({
  generator,
  discriminator,
  head,
  headNorm,
  modulation,
  miner,
  plan,
}: Surgery): readonly string[] => {
  if (plan !== undefined) return ["By the rules of a plan"]
  const kind = generator.moves === "modulated" ? [`modulation ${modulation?.kind ?? "adafm"}`] : []
  const norm = headNorm === undefined ? "" : ` (norm: ${headNorm})`
  const own = [...(head === "small" ? [`a new small head${norm}`] : []), ...(miner === true ? ["a new miner"] : [])]
  return [
    `Generator: ${[networkText(generator), ...kind, ...own].join("; ")}`,
    `Discriminator: ${networkText(discriminator)}`,
  ]
}
