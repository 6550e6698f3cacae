/** What becomes of a source: the target's architecture, every parameter's fate, where the new parts begin. Nothing is trained. */
import { Modulate } from "@adafm/adafm"
import { Filters, type Regularise } from "@adafm/baselines"
import { Failure, Flat, Leaf, Rng } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { Gan, ModelFolder, type SmallHead, type State, type Step } from "@adafm/gan"
import { Calibration, Graft, Plan, Recipe, UnconditionalView } from "@adafm/transfer"
import * as E from "fp-ts/lib/Either.js"
import type * as Model from "./Model.ts"

export interface Surgery {
  /** A model folder or a run. */
  readonly source: string
  /** Take the source run's generator itself, not its moving average. */
  readonly raw?: boolean
  /** `adafm` (default), `gMdN`, `gMdN-adafm`, `gMdN-random`, `gMdN-shuffled`, `scratch`, or the name of a rival. */
  readonly recipe?: string
  /** A plan of one's own instead of a recipe. */
  readonly plan?: Plan.Plan
  /** Every rule of the plan must decide something: a person wrote it, so a pattern that covers nothing is misspelt. */
  readonly strict?: boolean
  readonly copy?: "whole body" | "only frozen"
  readonly head?: Recipe.Head
  /**
   * How a small head begins: with the source's features where it is grafted (`calibrated`, default), or with the constants of
   * the authors' ImageNet source.
   */
  readonly graft?: Calibration.Config["kind"]
  /** The share of the gradient that passes back into a small head; 1e-5 in the paper, which is under Adam's ε for most of it. */
  readonly headGradient?: number
  /** Width of a new head's latents; the source's by default. */
  readonly zDim?: number
  /** The first layer of G and the last of D: the source's own through its unconditional view, or fresh as in the authors' loader. */
  readonly top?: "view" | "fresh"
  /** The kept groups stay as they are (`frozen`, default), or are where training begins, end to end (`trained`). */
  readonly kept?: Recipe.Options["kept"]
  /** Of the frozen filters, in place of the recipe's own; `none`: they stay the source's. */
  readonly modulation?: Plan.Plan["modulation"] | "none"
  /** The frozen filters of the discriminator are modulated too. */
  readonly modulateD?: boolean
  /** The discriminator begins anew, whatever the recipe keeps of it: a source may be a generator alone. */
  readonly freshD?: boolean
  /** The step at which the modulation begins to train; a sixth of all steps by default (10,000 of 60,000 in the paper). */
  readonly unfreezeAt?: number
  readonly steps: number
  readonly seed: number
  /** Classes of the target; 1 is an unconditional model. */
  readonly labels?: number
}

export interface Prepared {
  readonly description: ModelFolder.Description
  readonly gan: Gan.Gan
  /** How the small head begins, if there is one. */
  readonly start?: Calibration.Config
  readonly graft: Graft.Graft
  readonly networks: State.Networks
  readonly plan: Plan.Plan
  readonly recipe: string
  readonly origins: Readonly<Record<Step.Net, Origins>>
}

/** Where values are from that are not the source's own of the same path: `fresh`, `view of PATH`, another path. */
export type Origins = Flat.Flat<string>

/** What an earlier call decided for a run that goes on. */
export interface Recorded {
  readonly graft?: Calibration.Config
  readonly unfreezeAt?: number
}

type Architecture = Gan.Plain["architecture"]
const isSmallHead = ({ config }: Pick<Gan.Gan, "config">): boolean =>
  config.architecture === ("gpgan-small-head" satisfies Architecture)

/** A source's own small head stays, where nobody wants a new one and its inputs are the same. */
const keepsHead = ({ gan }: Model.Model, { recipe = "adafm", plan, head, top, labels = 1, zDim }: Surgery): boolean =>
  isSmallHead(gan) &&
  head !== "small" &&
  top !== "fresh" &&
  labels === gan.labels &&
  (zDim ?? gan.latent.dim) === gan.latent.dim &&
  (plan !== undefined || !Recipe.isOurs(recipe))

/** From scratch there is no source to measure: the same network without a small head, as it is drawn, takes its place. */
const drawn = ({ gan }: Model.Model, seed: number): Calibration.Source => {
  const plain = Gan.of(Gan.plain(gan.config))
  return { gan: plain, generator: Leaf.initAll(plain.generator, seed, "generator") }
}

/** The target's architecture, and how a small head in it begins: measured on the engine unless a run has it recorded. */
const target = async (
  source: Model.Model,
  { recipe = "adafm", labels = 1, ...surgery }: Surgery,
  engine: Engine.Engine,
  recorded: Calibration.Config | undefined,
): Promise<{ readonly config: Gan.Config; readonly start?: Calibration.Config }> => {
  const head = surgery.head ?? (surgery.plan === undefined ? Recipe.headOf(recipe, source.gan.config) : "gp")
  const keep = surgery.plan === undefined ? Recipe.kept(recipe) : undefined
  const { miner = false, ...settings } = Recipe.settings(recipe)
  const z_dim = surgery.zDim ?? settings.z_dim
  const config = Recipe.target(source.gan.config, {
    labels,
    head,
    miner,
    ...(keep !== undefined && keep > 0 && { keep }),
    ...(z_dim !== undefined && { z_dim }),
  })
  if (config.architecture !== "gpgan-small-head" || keepsHead(source, { ...surgery, recipe, labels })) return { config }
  const measured = recipe === "scratch" ? drawn(source, surgery.seed) : source
  const start: Calibration.Config =
    surgery.graft === "authors"
      ? { kind: "authors" }
      : recorded?.kind === "calibrated"
        ? recorded
        : { kind: "calibrated", ...(await Calibration.measure(measured, config.head_blocks, engine, surgery)) }
  return { config: { ...config, ...Calibration.scale(start, surgery.headGradient) }, start }
}

/** The copied parameters that never move, with their statistics kept and their content destroyed. */
const destroyed = (kind: Filters.Kind, graft: Graft.Graft, networks: State.Networks, seed: number): State.Networks => {
  const network = (net: Step.Net): State.Params =>
    Flat.map(networks[net], (array, path) => {
      const { value, moves, unfreezeAt } = graft[net].fates[path]!
      return value === "copied" && moves === "frozen" && unfreezeAt === undefined
        ? Filters.destroy[kind](Rng.at(seed, `filters/${kind}/${net}/${path}`), array)
        : array
    })
  return { generator: network("generator"), discriminator: network("discriminator") }
}

/** The parameters that are the source's and are trained. */
export const anchored = (graft: Graft.Graft): Regularise.Anchored => {
  const paths = (net: Step.Net): readonly string[] => {
    const trained = new Set(graft[net].trainable.flatMap((group) => group.paths))
    return Object.values(graft[net].fates).flatMap(({ path, value }) =>
      value === "copied" && trained.has(path) ? [path] : [],
    )
  }
  return { generator: paths("generator"), discriminator: paths("discriminator") }
}

/** A source that is itself modulated, with its modulation folded in. */
const ordinary = (source: Model.Model): Model.Model => {
  const { modulation, ...rest } = source
  if (modulation === undefined) return source
  if (!Object.values(modulation).every(({ folds }) => folds))
    Failure.raise("ModulatedSource", "the source's scales follow what comes in: they are no filters to transfer", {
      file: source.path,
    })
  const fold = (net: Step.Net): State.Params =>
    modulation[net] === undefined ? source[net] : Modulate.fold(modulation[net], source[net])
  return {
    ...rest,
    gan: ModelFolder.ganOf(source.description),
    generator: fold("generator"),
    discriminator: fold("discriminator"),
  }
}

/** The source with its first and last layers for the target's classes; undefined where the target's are to be fresh. */
const viewed = (
  source: Model.Model,
  target: Gan.Gan,
  { top, labels = 1, seed }: Surgery,
): State.Networks | undefined => {
  const [from, to] = [Gan.plain(source.gan.config), Gan.plain(target.config)]
  if (top === "fresh" || from.architecture === "dcgan" || to.architecture === "dcgan") return undefined
  if (from.architecture === "gpgan-small-head")
    return { generator: source.generator, discriminator: UnconditionalView.discriminator(source.discriminator, labels) }
  return UnconditionalView.of(from, source, { labels, embed: to.embed, seed })
}

/** A modulation's own parameters, which no rule decides, are left out. */
const originsOf = ({ fates }: Graft.Side, source: State.Params, viewed: State.Params): Origins =>
  Flat.fromEntries(
    Object.values(fates)
      .filter(({ rule }) => rule >= 0)
      .map(({ path, from }): readonly [Flat.Path, string] => {
        if (from === undefined) return [path, "fresh"]
        return [path, viewed[from] === source[from] ? from : `view of ${from}`]
      })
      .filter(([path, origin]) => path !== origin),
  )

/** Nobody should believe that something is modulated where nothing is. */
const checkModulated = ({ modulation, modulateD }: Surgery, graft: Graft.Graft, recipe: string): void => {
  const wanted = modulation !== undefined && modulation !== "none"
  const refuse = (network: string): never =>
    Failure.raise(
      "BadRecipe",
      `${recipe} leaves no frozen filter of the ${network} to modulate; keep groups, as gMdN or with --keep-g and --keep-d`,
    )
  if (wanted && graft.generator.modulation === undefined && graft.discriminator.modulation === undefined)
    refuse("generator")
  if (modulateD === true && graft.discriminator.modulation === undefined) refuse("discriminator")
}

const modulatedOf = ({ modulation }: Surgery): Pick<Recipe.Options, "modulated"> =>
  modulation === undefined ? {} : { modulated: modulation !== "none" }

/** Decides the fate of every parameter and carries it out, without training anything. */
export const prepare = async (
  given: Model.Model,
  surgery: Surgery,
  engine: Engine.Engine,
  recorded: Recorded = {},
): Promise<Prepared> => {
  const { recipe = "adafm", copy, kept, steps, seed, modulateD } = surgery
  const source = ordinary(given)
  const { config, start } = await target(source, surgery, engine, recorded.graft)
  const { missing: _, ...described } = source.description
  const description = { ...described, config, ...(start !== undefined && { latent: Gan.of(config).latent }) }
  const gan = ModelFolder.ganOf(description)
  const { filters, ...settings } = surgery.plan === undefined ? Recipe.settings(recipe) : {}
  const unfreezeAt = surgery.unfreezeAt ?? recorded.unfreezeAt ?? settings.unfreezeAt ?? Math.floor(steps / 6)
  const view = viewed(source, gan, surgery)
  const networks = view ?? source
  const named =
    surgery.plan ??
    Recipe.plan(recipe, config, {
      unfreezeAt,
      top: view === undefined ? "fresh" : "view",
      ...(keepsHead(source, surgery) && { smallHead: "keep" }),
      ...(copy !== undefined && { copy }),
      ...(kept !== undefined && { kept }),
      ...(modulateD === true && { modulateD }),
      ...modulatedOf(surgery),
    })
  const found = "_tag" in named ? named : E.right(named)
  if (E.isLeft(found)) throw new Failure.Raised(found.left)
  const plan: Plan.Plan = {
    ...found.right,
    ...(surgery.freshD === true && { discriminator: Plan.fresh }),
    ...(surgery.modulation !== undefined && surgery.modulation !== "none" && { modulation: surgery.modulation }),
  }
  if (plan.discriminator.some(({ value }) => value === "keep"))
    ModelFolder.requireDiscriminator(
      source,
      "there is no discriminator to keep; import the model again with its discriminator, or let a new one begin with --fresh-d",
      source.path,
    )
  const decided = Graft.prepare(gan, plan, networks)
  const prepared = surgery.strict === true && E.isRight(decided) ? Graft.everyRuleCounts(plan, decided.right) : decided
  if (E.isLeft(prepared)) throw new Failure.Raised(prepared.left)
  const graft = prepared.right
  checkModulated(surgery, graft, recipe)
  const copied = Graft.params(gan, graft, networks, seed)
  const grafted = filters === undefined ? copied : destroyed(filters, graft, copied, seed)
  return {
    description,
    gan,
    plan,
    graft,
    networks:
      start === undefined
        ? grafted
        : { ...grafted, generator: Calibration.start(start, config as SmallHead.Config, grafted.generator) },
    recipe: surgery.plan === undefined ? recipe : "plan",
    origins: {
      generator: originsOf(graft.generator, source.generator, networks.generator),
      discriminator: originsOf(graft.discriminator, source.discriminator, networks.discriminator),
    },
    ...(start !== undefined && { start }),
  }
}
