/** Which parameters are copied, frozen, modulated and trained: the plan that carries out a surgery, a rule for every path. */
import { Failure } from "@adafm/core"
import { Gan, type Step } from "@adafm/gan"
import * as E from "fp-ts/lib/Either.js"
import * as Groups from "./Groups.ts"
import * as Plan from "./Plan.ts"
import type * as Surgery from "./Surgery.ts"

export interface Options {
  /** The step from which the modulation trains (with a miner: the generator). */
  readonly unfreezeAt?: number
  /** The source has a small head already, and it stays. */
  readonly keepsHead?: boolean
  /** Times the learning rate, for scale and shift of a new small head's last layer. */
  readonly headRate?: number
}

type Rule = Plan.Input["generator"][number]
type Network = Surgery.Settled["generator"]

/** Layers that no group contains. GP-GAN's embedding of one class, normalised, is ±1: it is not trained once anything is frozen. */
const headRules = (
  config: Gan.Config,
  net: Step.Net,
  { keep, moves, rest, top }: Network,
  { keepsHead = false }: Options,
): readonly Rule[] => {
  const plain = Gan.plain(config)
  const isKept = (paths: string): boolean =>
    Gan.isUnlabelled(plain) ||
    paths === "miner.*" ||
    (rest === "copied" && (paths === "small_*" ? keepsHead : top === "view"))
  const isUnit = plain.architecture === "gpgan" && plain.nlabels === 1
  const isFrozen = keep > 0 && moves !== "trained"
  return Groups.of(config, net).head.map((paths) => ({
    paths,
    value: isKept(paths) ? "keep" : "fresh",
    ...(isUnit && paths === "embedding.*" && isFrozen && { fate: "freeze" as const }),
  }))
}

const groupRules = (
  { patterns, filters, norms }: Groups.Group,
  { low, moves, norms: normsMove = "trained" }: Network,
  { unfreezeAt }: Options,
): readonly Rule[] => {
  const value = low === "fresh" ? "fresh" : "keep"
  const rule = (paths: string, fate: Plan.Rule["fate"]): Rule => ({ paths, value, fate })
  if (moves === "trained") return patterns.map((paths) => rule(paths, "train"))
  if (moves === "frozen") return patterns.map((paths) => rule(paths, "freeze"))
  const trained = normsMove === "trained" ? norms : []
  return [
    ...filters.map((paths) => ({ ...rule(paths, "modulate"), ...(unfreezeAt !== undefined && { unfreezeAt }) })),
    ...trained.map((paths) => rule(paths, "train")),
    ...patterns.filter((paths) => !trained.includes(paths)).map((paths) => rule(paths, "freeze")),
  ]
}

/** Scale and shift of a new small head's last layer, which have a learning rate of their own. */
const headScale = (config: Gan.Config, net: Step.Net, { headRate = 1 }: Options): readonly Rule[] =>
  config.architecture === "gpgan-small-head" && net === "generator" && headRate !== 1
    ? [{ paths: "small_H.{weight,beta}", value: "fresh", lr: headRate }]
    : []

/** The rules of one network; the first that matches a path decides. */
const rules = (config: Gan.Config, net: Step.Net, network: Network, options: Options): readonly Rule[] => {
  const { keep, rest } = network
  const scale = headScale(config, net, options)
  if (keep === 0 && rest === "fresh") return [...scale, ...Plan.fresh]
  return [
    ...scale,
    ...headRules(config, net, network, options),
    ...Groups.of(config, net)
      .groups.slice(0, keep)
      .flatMap((group) => groupRules(group, network, options)),
    { paths: "*", value: rest === "copied" ? "keep" : "fresh" },
  ]
}

/** MineGAN: a new miner; the generator stays frozen until `unfreezeAt`. */
const mined = (config: Gan.Config, generator: Network, options: Options): readonly Rule[] => [
  { paths: "miner.*", value: "fresh" },
  ...rules(Gan.plain(config), "generator", generator, options).map(
    (rule): Rule => ({ ...rule, fate: "freeze", unfreezeAt: options.unfreezeAt ?? 0 }),
  ),
]

/** The problem, if a surgery keeps more groups than the networks have. */
const tooMany = (surgery: Surgery.Settled, config: Gan.Config): string | undefined => {
  const count = (net: Step.Net): number => Groups.of(config, net).groups.length
  const [G, D] = [count("generator"), count("discriminator")]
  const [m, n] = [surgery.generator.keep, surgery.discriminator.keep]
  return m > G || n > D ? `cannot keep ${m} and ${n} groups: the generator has ${G}, the discriminator ${D}` : undefined
}

/**
 * The plan of a surgery for the target's architecture.
 * @returns `BadRecipe` where more groups are to be kept than there are
 */
export const plan = (
  surgery: Surgery.Settled,
  config: Gan.Config,
  options: Options = {},
): E.Either<Failure.Failure, Plan.Plan> => {
  const { generator, discriminator, modulation } = surgery
  if (surgery.plan !== undefined) return E.right({ ...surgery.plan, ...(modulation !== undefined && { modulation }) })
  const problem = tooMany(surgery, config)
  if (problem !== undefined) return E.left(Failure.make("BadRecipe", problem))
  const isMined = surgery.miner === true && config.architecture === "mined"
  return Plan.decode({
    generator: isMined ? mined(config, generator, options) : rules(config, "generator", generator, options),
    discriminator: rules(config, "discriminator", discriminator, options),
    ...(modulation !== undefined && { modulation }),
  })
}

/** Patterns of a network's low groups. */
export const low = (config: Gan.Config, net: Step.Net, keep: number): readonly string[] =>
  Groups.of(config, net)
    .groups.slice(0, keep)
    .flatMap(({ patterns }) => patterns)
