/** A surgery carried out: the target's architecture, every parameter's fate and first value. Nothing is trained. */
import { Modulate } from "@adafm/adafm"
import { RandomisedFilters, type SourceNetworks } from "@adafm/baselines"
import { Failure, Flat, Leaf, Rng } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { Gan, ModelFolder, type SmallHead, type State, Step } from "@adafm/gan"
import * as Calibration from "./Calibration.ts"
import * as FreezeRules from "./FreezeRules.ts"
import * as Graft from "./Graft.ts"
import * as PathPattern from "./PathPattern.ts"
import type * as Plan from "./Plan.ts"
import * as Recipe from "./Recipe.ts"
import type * as Surgery from "./Surgery.ts"
import * as Target from "./Target.ts"
import * as UnconditionalView from "./UnconditionalView.ts"

/** A model that a surgery begins from. */
export interface Source extends State.Networks {
  readonly path: string
  readonly description: ModelFolder.Description
  readonly gan: Gan.Gan
  readonly modulation?: Partial<Record<Step.Net, Modulate.Modulation>>
}

export interface Options {
  readonly surgery: Surgery.Given
  /** Steps of the training, which decide when a modulation begins unless the surgery says so. */
  readonly steps: number
  readonly seed: number
  /** Classes of the target; 1 is an unconditional model. */
  readonly labels?: number
}

/** The step from which a modulation trains by default, of a run of so many steps. */
export const unfreezeAt = (steps: number): number => Math.floor(steps / 6)

/** What an earlier call decided for a run that goes on. */
export interface Recorded {
  readonly graft?: Calibration.Config
  readonly unfreezeAt?: number
}

/** Where values are from that are not the source's of the same path: `fresh`, `view of PATH`, another path. */
export type Origins = Flat.Flat<string>

export interface PreparedTarget {
  readonly description: ModelFolder.Description
  readonly gan: Gan.Gan
  readonly surgery: Surgery.Settled
  /** How the small head begins, if there is one. */
  readonly start?: Calibration.Config
  readonly graft: Graft.Graft
  readonly networks: State.Networks
  readonly plan: Plan.Plan
  /** The recipe's name, or `plan`. */
  readonly recipe: string
  readonly origins: Readonly<Record<Step.Net, Origins>>
}

type Architecture = Gan.Plain["architecture"]
const isSmallHead = ({ config }: Pick<Gan.Gan, "config">): boolean =>
  config.architecture === ("gpgan-small-head" satisfies Architecture)

/** A source's small head stays unless the surgery wants a new one or gives it other inputs. */
const keepsHead = ({ gan }: Source, { head, generator, zDim }: Surgery.Settled, labels: number): boolean =>
  isSmallHead(gan) &&
  head !== "small" &&
  generator.top !== "fresh" &&
  labels === gan.labels &&
  (zDim ?? gan.latent.dim) === gan.latent.dim

/** From scratch there is no source to measure: the same network without a small head, with its first values, takes its place. */
const drawn = ({ gan }: Source, seed: number): Pick<Source, "gan" | "generator"> => {
  const plain = Gan.of(Gan.plain(gan.config))
  return { gan: plain, generator: Leaf.initAll(plain.generator, seed, "generator") }
}

/** A new small head, before it has parameters. */
interface NewHead extends Calibration.Begun {
  readonly config: SmallHead.Config
}

/** The target's architecture, and how a new small head in it begins: measured on the engine unless a run has it recorded. */
const target = async (
  source: Source,
  surgery: Surgery.Settled,
  { labels = 1, seed }: Options,
  engine: Engine.Engine,
  recorded: Calibration.Config | undefined,
): Promise<{ readonly config: Gan.Config; readonly head?: NewHead }> => {
  const config = Target.of(source.gan.config, Target.shapeOf(surgery), labels)
  if (config.architecture !== "gpgan-small-head" || keepsHead(source, surgery, labels)) return { config }
  const measured = surgery.recipe === "scratch" ? drawn(source, seed) : source
  const begun = await Calibration.begin(surgery, measured, config.head_blocks, seed, engine, recorded)
  const scaled = { ...config, head_norm: begun.norm, ...Calibration.scale(begun.start, surgery.headGradient) }
  return { config: scaled, head: { ...begun, config: scaled } }
}

/** The purpose of a control's random draw. It is part of committed results, and older than the name `random`. */
const purpose = (kind: RandomisedFilters.Kind): string => `experiments/${kind === "random" ? "matched" : kind}`

/** The copied parameters of the low groups, with their statistics kept and their content destroyed where the surgery says so. */
const controlled = (
  { description: { config } }: Pick<PreparedTarget, "description">,
  surgery: Surgery.Settled,
  graft: Graft.Graft,
  networks: State.Networks,
  seed: number,
): State.Networks => {
  const network = (net: Step.Net): State.Params => {
    const { keep, low } = surgery[net]
    const kind = RandomisedFilters.KINDS.find((kind) => kind === low)
    if (kind === undefined) return networks[net]
    const patterns = FreezeRules.low(config, net, keep).map(PathPattern.compile)
    return Flat.map(networks[net], (array, path) => {
      const { value, moves } = graft[net].fates[path]!
      return value === "copied" &&
        moves !== "statistic" &&
        patterns.some((pattern) => pattern.match(path) !== undefined)
        ? RandomisedFilters.randomise[kind](Rng.at(seed, `${purpose(kind)}/${net}/${path}`), array)
        : array
    })
  }
  return { generator: network("generator"), discriminator: network("discriminator") }
}

/** The parameters that are the source's and are trained. */
export const anchored = (graft: Graft.Graft): SourceNetworks.Anchored => {
  const paths = (net: Step.Net): readonly string[] => {
    const trained = new Set(graft[net].trainable.flatMap((group) => group.paths))
    return Object.values(graft[net].fates).flatMap(({ path, value }) =>
      value === "copied" && trained.has(path) ? [path] : [],
    )
  }
  return { generator: paths("generator"), discriminator: paths("discriminator") }
}

/** A source that is itself modulated, with its modulation folded in. */
const ordinary = (source: Source): Source => {
  const { modulation, ...rest } = source
  if (modulation === undefined) return source
  if (!Object.values(modulation).every(({ folds }) => folds))
    Failure.raise(
      "ModulatedSource",
      "the source's scales follow its input, so they cannot be folded into filters; begin from the model that it was transferred from",
      { file: source.path },
    )
  const fold = (net: Step.Net): State.Params =>
    modulation[net] === undefined ? source[net] : Modulate.fold(modulation[net], source[net])
  return {
    ...rest,
    gan: ModelFolder.ganOf(source.description),
    generator: fold("generator"),
    discriminator: fold("discriminator"),
  }
}

/** The source with its first and last layers for the target's classes; undefined where the target's are new. */
const viewed = (
  source: Source,
  target: Gan.Gan,
  surgery: Surgery.Settled,
  { labels = 1, seed }: Options,
): State.Networks | undefined => {
  const [from, to] = [Gan.plain(source.gan.config), Gan.plain(target.config)]
  const isFresh = Step.nets.every((net) => surgery[net].top === "fresh")
  if (isFresh || Gan.isUnlabelled(from) || Gan.isUnlabelled(to)) return undefined
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

/** A modulation that is asked for and has nothing to modulate is refused. */
const checkModulated = ({ modulation, discriminator }: Surgery.Given, graft: Graft.Graft, recipe: string): void => {
  const refuse = (network: string): never =>
    Failure.raise(
      "BadRecipe",
      `${recipe} leaves no frozen filter of the ${network} to modulate; keep groups, as gMdN or with --keep-g and --keep-d`,
    )
  if (
    modulation !== undefined &&
    graft.generator.modulation === undefined &&
    graft.discriminator.modulation === undefined
  )
    refuse("generator")
  if (discriminator?.moves === "modulated" && graft.discriminator.modulation === undefined) refuse("discriminator")
}

/** The plan of a settled surgery for a target of this architecture. Without a view, first and last layers are new. */
const planOf = (
  surgery: Surgery.Settled,
  config: Gan.Config,
  options: FreezeRules.Options & { readonly view: boolean },
) => {
  const { view, ...rest } = options
  const fresh = view ? {} : { top: "fresh" as const }
  return Failure.orThrow(
    FreezeRules.plan(
      {
        ...surgery,
        generator: { ...surgery.generator, ...fresh },
        discriminator: { ...surgery.discriminator, ...fresh },
      },
      config,
      rest,
    ),
  )
}

/**
 * Decides the fate of every parameter and carries it out, without training anything.
 * @throws `BadRecipe`, `BadPlan`, `ModulatedSource`, `NoDiscriminator` where the source cannot become what is asked for
 */
export const of = async (
  given: Source,
  options: Options,
  engine: Engine.Engine,
  recorded: Recorded = {},
): Promise<PreparedTarget> => {
  const { steps, seed, labels = 1 } = options
  const source = ordinary(given)
  const surgery = Failure.orThrow(Recipe.settle(options.surgery, source.gan.config))
  const { config, head } = await target(source, surgery, options, engine, recorded.graft)
  const { missing: _, ...described } = source.description
  const description = { ...described, config, ...(head !== undefined && { latent: Gan.of(config).latent }) }
  const gan = ModelFolder.ganOf(description)
  const view = viewed(source, gan, surgery, options)
  const networks = view ?? source
  const plan = planOf(surgery, config, {
    view: view !== undefined,
    unfreezeAt: surgery.unfreezeAt ?? recorded.unfreezeAt ?? unfreezeAt(steps),
    keepsHead: keepsHead(source, surgery, labels),
    ...(head !== undefined && { headRate: Calibration.rate(head.start, head.config) }),
  })
  if (plan.discriminator.some(({ value }) => value === "keep"))
    ModelFolder.requireDiscriminator(
      source,
      "there is no discriminator to keep; import the model again with its discriminator, or let a new one begin with --fresh-d",
      source.path,
    )
  const decided = Failure.orThrow(Graft.prepare(gan, plan, networks))
  // every rule of a plan that a person wrote decides something: a pattern that covers nothing is misspelt
  const graft = surgery.plan === undefined ? decided : Failure.orThrow(Graft.everyRuleCounts(plan, decided))
  const recipe = surgery.plan === undefined ? (surgery.recipe ?? "plan") : "plan"
  checkModulated(options.surgery, graft, recipe)
  const grafted = controlled({ description }, surgery, graft, Graft.params(gan, graft, networks, seed), seed)
  const start = head && (await Calibration.complete(head, { ...grafted, gan }, { ...options, engine }))
  return {
    description,
    gan,
    surgery,
    plan,
    graft,
    networks:
      start === undefined
        ? grafted
        : { ...grafted, generator: Calibration.start(start, head!.config, grafted.generator) },
    recipe,
    origins: {
      generator: originsOf(graft.generator, source.generator, networks.generator),
      discriminator: originsOf(graft.discriminator, source.discriminator, networks.discriminator),
    },
    ...(start !== undefined && { start }),
  }
}
