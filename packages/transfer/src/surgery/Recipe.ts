/**
 * Named plans. `gMdN` keeps m groups of the generator and n of the discriminator, counted from the image, and freezes them;
 * `gMdN-adafm` also modulates the generator's frozen filters; `adafm` is the default of this project, `adafm-25` the authors'
 * protocol for 25 images. Other published methods have the names of `@adafm/baselines`; `gMdN-random` and `gMdN-shuffled` keep the
 * statistics of the source's filters only.
 */
import { Filters, Recipes, type Regularise } from "@adafm/baselines"
import { Failure } from "@adafm/core"
import { Gan, GpGan, type GradientPenalty, SmallHead, type Step } from "@adafm/gan"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as Groups from "./Groups.ts"
import * as Plan from "./Plan.ts"

export interface Options {
  /**
   * Two readings of the paper: the authors' present code copies the source's `whole body`, trainable groups too; older
   * versions copy `only frozen` groups and start the others fresh.
   */
  readonly copy?: "whole body" | "only frozen"
  /**
   * GP-GAN's fully connected layers and embedding: `fresh`, as the authors' loader has them (default), or `view`, the source's
   * own through its unconditional view.
   */
  readonly top?: "fresh" | "view"
  /** A small head that the source has already: a new one takes its place (`fresh`, default), or it stays. */
  readonly smallHead?: "fresh" | "keep"
  /** The kept groups stay as they are (`frozen`, default), or are where training begins (`trained`) and nothing is modulated. */
  readonly kept?: "frozen" | "trained"
  /** Whether frozen filters of the generator are modulated; by default as the recipe has it. */
  readonly modulated?: boolean
  /** Iteration at which the modulation begins to train; 10,000 of 60,000 in the authors' code. */
  readonly unfreezeAt?: number
  /** The modulation in the discriminator's frozen filters too; not in the paper. */
  readonly modulateD?: boolean
}

export interface Keep {
  /** Groups of the generator and of the discriminator, counted from the image, that are kept and frozen. */
  readonly m: number
  readonly n: number
  /** The modulation of the generator's frozen filters. */
  readonly modulation?: Plan.Plan["modulation"]
  /** Batch norms behind frozen filters go on training: they undo a filter's scale, so modulation alone could not change it. */
  readonly trainNorms?: boolean
}

type RuleInput = Plan.Input["generator"][number]

const largest = (config: Gan.Config, net: Step.Net): number => Groups.of(config, net).groups.length

const adafm: Plan.Plan["modulation"] = { kind: "adafm" }

const suffixes = ["adafm", ...Filters.KINDS] as const
const LITERAL = new RegExp(`^g(\\d+)d(\\d+)(?:-(${suffixes.join("|")}))?$`)

/** The recipes of this project, which the paper's small head belongs to. */
export const isOurs = (name: string): boolean => name === "adafm" || name === "adafm-25"

/** What a name stands for. */
export const keepOf = (name: string, config: Gan.Config): E.Either<Failure.Failure, Keep> => {
  const [G, D] = [largest(config, "generator"), largest(config, "discriminator")]
  if (isOurs(name)) {
    // a small head leaves exactly the groups that are kept; elsewhere the two at the lowest resolutions stay free
    const { architecture } = Gan.plain(config)
    const m = architecture === "gpgan-small-head" || architecture === "dcgan" ? G : Math.min(4, G - 2)
    return E.right({ m, n: Math.min(name === "adafm-25" ? D - 1 : 2, D), modulation: adafm, trainNorms: true })
  }
  const published = Recipes.of(name)?.keep({ generator: G, discriminator: D })
  if (published !== undefined) return E.right({ m: published.generator, n: published.discriminator })
  const literal = LITERAL.exec(name)
  if (literal === null)
    return E.left(
      Failure.make(
        "BadRecipe",
        `no recipe is called ${name}; there are adafm, adafm-25, gMdN, ${suffixes.map((s) => `gMdN-${s}`).join(", ")}, scratch, ${Recipes.names.join(", ")}`,
      ),
    )
  const [m, n] = [Number(literal[1]), Number(literal[2])]
  return E.right({ m, n, ...(literal[3] === "adafm" && { modulation: adafm }) })
}

/** GP-GAN's embedding, normalised to a unit, of one class is ±1: it is never trained once anything is frozen. */
const headRules = (
  config: Gan.Config,
  net: Step.Net,
  frozen: number,
  { copy, top, smallHead }: Options,
): readonly RuleInput[] => {
  const plain = Gan.plain(config)
  const isKept = (paths: string): boolean =>
    plain.architecture === "dcgan" ||
    paths === "miner.*" ||
    (copy !== "only frozen" && (paths === "small_*" ? smallHead === "keep" : top === "view"))
  const isUnit = plain.architecture === "gpgan" && plain.nlabels === 1
  return Groups.of(config, net).head.map((paths) => ({
    paths,
    value: isKept(paths) ? "keep" : "fresh",
    ...(isUnit && paths === "embedding.*" && frozen > 0 && { fate: "freeze" as const }),
  }))
}

const rules = (
  config: Gan.Config,
  net: Step.Net,
  frozen: number,
  modulated: boolean,
  trainNorms: boolean,
  options: Options,
): readonly RuleInput[] => {
  const { copy = "whole body", kept = "frozen", unfreezeAt } = options
  const groups = Groups.of(config, net).groups.slice(0, frozen)
  const modulation = { fate: "modulate", ...(unfreezeAt !== undefined && { unfreezeAt }) } as const
  const rest: RuleInput = { paths: "*", value: copy === "whole body" ? "keep" : "fresh" }
  if (kept === "trained")
    return [
      ...headRules(config, net, 0, options),
      ...groups.flatMap(({ patterns }) => patterns.map((paths) => ({ paths }))),
      rest,
    ]
  return [
    ...headRules(config, net, frozen, options),
    ...groups.flatMap(({ patterns, filters, norms }) => [
      ...(modulated ? filters.map((paths) => ({ paths, ...modulation })) : []),
      ...(modulated && trainNorms ? norms.map((paths) => ({ paths })) : []),
      ...patterns
        .filter((paths) => !(modulated && trainNorms && norms.includes(paths)))
        .map((paths) => ({ paths, fate: "freeze" as const })),
    ]),
    rest,
  ]
}

/** The plan that keeps m and n groups. */
export const keep = (
  { m, n, modulation, trainNorms = false }: Keep,
  config: Gan.Config,
  options: Options = {},
): E.Either<Failure.Failure, Plan.Plan> => {
  const [G, D] = [largest(config, "generator"), largest(config, "discriminator")]
  if (m > G || n > D)
    return E.left(
      Failure.make("BadRecipe", `cannot keep ${m} and ${n} groups: the generator has ${G}, the discriminator ${D}`),
    )
  return Plan.decode({
    generator: rules(config, "generator", m, modulation !== undefined, trainNorms, options),
    discriminator: rules(
      config,
      "discriminator",
      n,
      modulation !== undefined && options.modulateD === true,
      false,
      options,
    ),
    ...(modulation !== undefined && { modulation }),
  })
}

/** MineGAN: the generator waits behind its miner. */
const mined = (config: Gan.Config, { unfreezeAt = 0, ...options }: Options): Plan.Input => ({
  generator: [
    { paths: "miner.*", value: "fresh" },
    ...rules(Gan.plain(config), "generator", 0, false, false, options).map((rule) => ({
      ...rule,
      fate: "freeze" as const,
      unfreezeAt,
    })),
  ],
  discriminator: [...rules(config, "discriminator", 0, false, false, options)],
})

/** The plan of a recipe for an architecture. */
export const plan = (name: string, config: Gan.Config, options: Options = {}): E.Either<Failure.Failure, Plan.Plan> =>
  name === "scratch"
    ? Plan.decode({ generator: Plan.fresh, discriminator: Plan.fresh })
    : config.architecture === "mined" && name === "minegan"
      ? Plan.decode(mined(config, options))
      : pipe(
          keepOf(name, config),
          E.flatMap(({ modulation, ...counts }) => {
            const { kept, modulated = modulation !== undefined } = options
            const isModulated = modulated && kept !== "trained"
            return keep({ ...counts, ...(isModulated && { modulation: modulation ?? adafm }) }, config, options)
          }),
        )

export type Head = "gp" | "small"

/** What stands above the kept groups unless somebody says otherwise: the paper's small head for `adafm`, where there is one. */
export const headOf = (name: string, { architecture }: Gan.Config): Head =>
  isOurs(name) && architecture === "gpgan" ? "small" : "gp"

/** What a recipe fixes beside its plan. */
export interface Settings {
  /** Width of the latents of a new head. */
  readonly z_dim?: number
  /** The gradient penalty at 128 px. */
  readonly penalty?: GradientPenalty.Config
  /** What holds trained parameters near the source's. */
  readonly regularise?: Regularise.Config
  /** What the frozen filters of the source become. */
  readonly filters?: Filters.Kind
  /** A miner stands before the generator. */
  readonly miner?: boolean
  /** The iteration at which what waits begins to train. */
  readonly unfreezeAt?: number
}

/** 25 images: latents of four numbers, and fakes are penalised too, all twice as much. */
export const settings = (name: string): Settings => {
  const { regularise, minerSteps } = Recipes.of(name) ?? {}
  const filters = Filters.KINDS.find((kind) => kind === LITERAL.exec(name)?.[3])
  return {
    ...(name === "adafm-25" && { z_dim: 4, penalty: { mode: "real_fake", weight: 20 } as const }),
    ...(regularise !== undefined && { regularise }),
    ...(filters !== undefined && { filters }),
    ...(minerSteps !== undefined && { miner: true, unfreezeAt: minerSteps }),
  }
}

/** Groups of the generator that a literal name `gMdN` keeps. */
export const kept = (name: string): number | undefined => {
  const literal = /^g(\d+)d\d+/.exec(name)
  return literal === null ? undefined : Number(literal[1])
}

export interface TargetOptions {
  /** Classes of the target's images. */
  readonly labels?: number
  /** What stands above the kept groups: the source's own layers, or the small head of the paper. */
  readonly head?: Head
  /** Groups below the small head; min(4, S) by default, as in the paper. */
  readonly keep?: number
  /** Width of the small head's styles. */
  readonly style_dim?: number
  /** Width of the small head's latents; the source's by default. */
  readonly z_dim?: number
  /** A miner before the generator. */
  readonly miner?: boolean
}

/** Style blocks of a small head that stands on m groups: the h = S + 1 - m resolutions that are left. */
const headBlocks = (config: GpGan.Config, m: number): number => {
  const S = GpGan.stages(config)
  if (m < 1 || m > S)
    return Failure.raise(
      "BadRecipe",
      `a small head stands on 1 to ${S} groups of a GP-GAN of ${config.resolution} px, not on ${m}`,
    )
  return S + 1 - m
}

/** The architecture of the target: a class-conditional source becomes a model of `labels` classes. */
export const target = (config: Gan.Config, { miner = false, ...options }: TargetOptions = {}): Gan.Config =>
  miner
    ? { architecture: "mined", source: plainTarget(Gan.plain(config), options) }
    : config.architecture === "mined"
      ? { ...config, source: plainTarget(config.source, options) }
      : plainTarget(config, options)

/** An embedding of one number, normalised, is ±1: it tells two classes apart at most. */
const embedOf = ({ z_dim, embed }: { readonly z_dim: number; readonly embed: number }, labels: number): number =>
  labels === 1 ? 1 : embed > 1 ? embed : Math.max(2, Math.min(256, z_dim))

const plainTarget = (
  config: Gan.Plain,
  { labels = 1, head = "gp", keep, style_dim = 256, z_dim }: TargetOptions,
): Gan.Plain => {
  const { architecture } = config
  if (head === "small" && (architecture === "dcgan" || architecture === "resnet3" || architecture === "resnet4"))
    return Failure.raise(
      "BadRecipe",
      `the small head stands above GP-GAN's groups; a ${architecture} keeps its own layers`,
    )
  if (architecture === "dcgan")
    return labels === 1 ? config : Failure.raise("BadRecipe", "a dcgan has no classes, its target cannot have any")
  const embed = embedOf(config, labels)
  if (architecture === "gpgan-small-head")
    return { ...config, nlabels: labels, embed, ...(z_dim !== undefined && { z_dim }) }
  if (head === "gp" || architecture !== "gpgan") return { ...config, nlabels: labels, embed }
  const { architecture: _, ...sizes } = config
  return SmallHead.Config.parse({
    ...sizes,
    architecture: "gpgan-small-head",
    ...(z_dim !== undefined && { z_dim }),
    nlabels: labels,
    embed,
    style_dim,
    head_blocks: headBlocks(config, keep ?? Math.min(4, GpGan.stages(config))),
  })
}
