/** The main job: somebody's pretrained GAN and a folder of images become a generator for that domain. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Filters, type Regularise } from "@adafm/baselines"
import { Failure, Flat, Rng } from "@adafm/core"
import { ImageSet } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import {
  type DiffAugment,
  Gan,
  type GpGan,
  ModelFolder,
  type Penalty,
  type SmallHead,
  type State,
  type Step,
} from "@adafm/gan"
import { Calibration, Graft, Plan, Recipe, Unconditional } from "@adafm/transfer"
import * as E from "fp-ts/lib/Either.js"
import type * as TE from "fp-ts/lib/TaskEither.js"
import type { z } from "zod"
import * as Defaults from "./Defaults.ts"
import * as Images from "./Images.ts"
import * as Model from "./Model.ts"
import { RunConfig } from "./RunConfig.ts"
import * as Training from "./Training.ts"

export interface Surgery {
  /** A model folder or a run. */
  readonly source: string
  /** Take the source run's generator itself, not its moving average. */
  readonly raw?: boolean
  /** `adafm` (default), `gMdN`, `gMdN-adafm`, `gMdN-random`, `gMdN-shuffled`, `scratch`, or the name of a rival. */
  readonly recipe?: string
  /** A plan of one's own instead of a recipe. */
  readonly plan?: Plan.Plan
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
  /** GP-GAN's first and last layers: the source's own through its unconditional view, or fresh as in the authors' loader. */
  readonly top?: "view" | "fresh"
  readonly modulation?: Plan.Plan["modulation"]
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

export interface Options
  extends Omit<Surgery, "steps">,
    Omit<Training.Options, "steps" | "every">,
    Training.Stabilisers,
    Images.Options {
  readonly data: string
  /** Iterations in all; from the number of images by default. */
  readonly steps?: number
  /** Steps between two scores, grids and checkpoints; a tenth of all by default. */
  readonly every?: number
  /** Labels of the images condition the target. */
  readonly conditional?: boolean
  /** Images that scores compare with; by default those of `data` that are not trained on, if any are left. */
  readonly reference?: string
  readonly batch?: number
  /** Must be the architecture's own: it cannot change in a transfer. */
  readonly size?: number
  readonly learningRate?: number
  /** Times the learning rate for the modulation's parameters. */
  readonly modulationRate?: number
  readonly penalty?: Partial<Penalty.Config>
  /** DiffAugment of what the discriminator sees; by default colour and translation where images are few, nothing beside `ada`. */
  readonly augment?: DiffAugment.Policy
  /** Of L2-SP, EWC or distillation in place of the published one. */
  readonly regulariserWeight?: number
  /** Told before training begins. */
  readonly onChoices?: (choices: readonly Defaults.Choice[], situation: Defaults.Situation) => void
  /** The moving average's decay is 0.999 from the first step, as in the paper, instead of growing towards it. */
  readonly constantEma?: boolean
}

/** Whole settings by name: `paper`, what the authors' code does wherever this project has other defaults. */
export const presets = {
  paper: {
    ...{ graft: "authors", top: "fresh", unfreezeAt: 10_000 },
    ...{ learningRate: 1e-4, augment: [], constantEma: true },
  },
} as const satisfies Readonly<Record<string, Partial<Options>>>

export interface Prepared {
  readonly description: ModelFolder.Description
  readonly gan: Gan.Gan
  /** How the small head begins, if there is one. */
  readonly start?: Calibration.Config
  readonly graft: Graft.Graft
  readonly networks: State.Networks
  readonly plan: Plan.Plan
  readonly recipe: string
}

/** The target's architecture, and how a small head in it begins: measured on the engine unless a run has it recorded. */
const target = async (
  source: Model.Model,
  { recipe = "adafm", labels = 1, ...surgery }: Surgery,
  engine: Engine.Engine,
  known: Calibration.Config | undefined,
): Promise<{ readonly config: Gan.Config; readonly start?: Calibration.Config }> => {
  const head = surgery.head ?? (surgery.plan === undefined ? Recipe.headOf(recipe, source.gan.config) : "gp")
  const keep = surgery.plan === undefined ? Recipe.kept(recipe) : undefined
  const { miner = false, ...settings } = Recipe.settings(recipe)
  const z_dim = surgery.zDim ?? settings.z_dim
  const config = Recipe.target(source.gan.config, {
    ...{ labels, head, miner },
    ...(keep !== undefined && keep > 0 && { keep }),
    ...(z_dim !== undefined && { z_dim }),
  })
  if (config.architecture !== "gpgan-small-head" || recipe === "scratch") return { config }
  const start: Calibration.Config =
    surgery.graft === "authors"
      ? { kind: "authors" }
      : known?.kind === "calibrated"
        ? known
        : { kind: "calibrated", ...(await Calibration.measure(source, config.head_blocks, engine, surgery)) }
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
const anchored = (graft: Graft.Graft): Regularise.Anchored => {
  const paths = (net: Step.Net): readonly string[] => {
    const trained = new Set(graft[net].trainable.flatMap((group) => group.paths))
    return Object.values(graft[net].fates).flatMap(({ path, value }) =>
      value === "copied" && trained.has(path) ? [path] : [],
    )
  }
  return { generator: paths("generator"), discriminator: paths("discriminator") }
}

/** Decides the fate of every parameter and carries it out, without training anything. */
export const prepare = async (
  source: Model.Model,
  surgery: Surgery,
  engine: Engine.Engine,
  known?: Calibration.Config,
): Promise<Prepared> => {
  const { recipe = "adafm", copy, steps, seed, labels = 1 } = surgery
  if (source.modulation !== undefined) {
    Failure.raise(
      "ModulatedSource",
      "the source is itself modulated; export and import it first, which folds its modulation in",
      { file: source.path },
    )
  }
  const { config, start } = await target(source, surgery, engine, known)
  const isNewHead = config.architecture === "gpgan-small-head"
  const { missing: _, ...described } = source.description
  const description = { ...described, config, ...(isNewHead && { latent: Gan.of(config).latent }) }
  const gan = ModelFolder.ganOf(description)
  const { filters, ...settings } = surgery.plan === undefined ? Recipe.settings(recipe) : {}
  const unfreezeAt = surgery.unfreezeAt ?? settings.unfreezeAt ?? Math.floor(steps / 6)
  const viewed = source.gan.config.architecture === "gpgan" && labels === 1 && surgery.top !== "fresh"
  const networks: State.Networks = viewed ? Unconditional.of(source.gan.config as GpGan.Config, source) : source
  const named =
    surgery.plan ??
    Recipe.plan(recipe, config, {
      unfreezeAt,
      top: viewed ? "view" : "fresh",
      ...(copy !== undefined && { copy }),
      ...(surgery.modulateD === true && { modulateD: true }),
    })
  const found = "_tag" in named ? named : E.right(named)
  if (E.isLeft(found)) throw new Failure.Raised(found.left)
  const plan: Plan.Plan = {
    ...found.right,
    ...(surgery.freshD === true && { discriminator: Plan.fresh }),
    ...(surgery.modulation !== undefined && { modulation: surgery.modulation }),
  }
  if (plan.discriminator.some(({ value }) => value === "keep"))
    ModelFolder.requireDiscriminator(
      source,
      "there is no discriminator to keep; import the model again with its discriminator, or let a new one begin with --fresh-d",
      source.path,
    )
  const graft = Graft.prepare(gan, plan, networks)
  if (E.isLeft(graft)) throw new Failure.Raised(graft.left)
  const copied = Graft.params(gan, graft.right, networks, seed)
  const grafted = filters === undefined ? copied : destroyed(filters, graft.right, copied, seed)
  return {
    description,
    gan,
    plan,
    graft: graft.right,
    networks:
      start === undefined
        ? grafted
        : { ...grafted, generator: Calibration.start(start, config as SmallHead.Config, grafted.generator) },
    recipe: surgery.plan === undefined ? recipe : "plan",
    ...(start !== undefined && { start }),
  }
}

/** What `--dry-run` prints: every parameter's fate and the counts. */
export interface DryRun {
  readonly recipe: string
  readonly steps: number
  /** What was chosen from the number of images; of a hundred where none are named. */
  readonly choices: readonly Defaults.Choice[]
  readonly plan: Graft.Counts
  readonly fates: ReturnType<typeof Graft.table>
  /** Of a small head: the deviation of the features that it starts with, and the gradient that passes back through it. */
  readonly head?: {
    readonly start: Calibration.Config["kind"]
    readonly blocks: number
    readonly scale: number
    readonly gradient: number
    /** The quietest and the loudest channel, where they were measured. */
    readonly range?: readonly [number, number]
  }
}

const headOf = ({ gan: { config }, start }: Prepared): Pick<DryRun, "head"> =>
  config.architecture !== "gpgan-small-head" || start === undefined
    ? {}
    : {
        head: {
          start: start.kind,
          blocks: config.head_blocks,
          scale: config.head_scale,
          gradient: config.head_gradient,
          ...(start.kind === "calibrated" && {
            range: [Math.min(...start.deviation), Math.max(...start.deviation)] as const,
          }),
        },
      }

/** Images that a dry run without images has in mind. */
const SUPPOSED = 100

export const plan = (
  options: Omit<Surgery, "steps"> & Defaults.Given & { readonly images?: number },
  engine: Engine.Engine,
): TE.TaskEither<Failure.Failure, DryRun> =>
  Failure.attempt(async () => {
    const source = await Failure.orRaise(Model.open(options.source, { raw: options.raw ?? false }))
    const situation = { images: options.images ?? SUPPOSED, size: source.gan.image[0] }
    const chosen = Defaults.resolve(options, situation)
    const { recipe: name, steps } = chosen
    const prepared = await prepare(source, { ...options, recipe: name, steps }, engine)
    const { graft, recipe } = prepared
    const choices = Defaults.explain(options, chosen, situation, prepared.gan.config)
    return { recipe, steps, choices, plan: graft.counts, ...headOf(prepared), fates: Graft.table(graft) }
  })

/** What an earlier call decided for the run in this folder, and what a call that goes on must not decide anew. */
interface Recorded {
  /** How its small head began: measuring again may differ in the last bit. */
  readonly start?: Calibration.Config
  /** When its modulation begins to train, which by default depends on how many steps there were to be. */
  readonly unfreezeAt?: number
}

const recorded = async ({ out, restart, source }: Options, recipe: string): Promise<Recorded> => {
  const file = join(out, "config.json")
  if (restart === true || !existsSync(file)) return {}
  const run = await Failure.orRaise(ModelFolder.readJson(RunConfig, file))
  if (run.source?.path !== source || run.source.recipe !== recipe) return {}
  const late = run.trainable.generator.map(({ from }) => from).filter((from) => from > 0)
  return {
    ...(run.source.graft !== undefined && { start: run.source.graft }),
    ...(late.length > 0 && { unfreezeAt: Math.min(...late) }),
  }
}

/** The filters that are modulated, as a run remembers them. */
const modulationOf = ({ graft, plan }: Prepared): Pick<z.input<typeof RunConfig>, "modulation"> => {
  const filters = (net: Step.Net): readonly string[] =>
    Object.values(graft[net].fates).flatMap(({ path, moves }) => (moves === "modulated" ? [path] : []))
  const [weights, discriminator] = [filters("generator"), filters("discriminator")]
  if (weights.length + discriminator.length === 0) return {}
  return { modulation: { config: plan.modulation, weights, ...(discriminator.length > 0 && { discriminator }) } }
}

/** The modulation's own parameters may learn at another rate. */
const rated = (
  groups: readonly Step.Group[],
  modulation: Step.Modulation | undefined,
  rate: number,
): RunConfig["trainable"]["generator"] =>
  groups.flatMap(({ name, paths, from, factor = 1 }) => {
    const isOwn = (path: string): boolean => modulation !== undefined && path in modulation.leaves
    const [own, others] = [paths.filter(isOwn), paths.filter((path) => !isOwn(path))]
    return [
      ...(others.length > 0 ? [{ name, paths: others, from, factor }] : []),
      ...(own.length > 0 ? [{ name: `modulation, ${name}`, paths: own, from, factor: factor * rate }] : []),
    ]
  })

/** The images that were not chosen, as a set of their own; the chosen ones where none are left. */
const others = (whole: ImageSet.ImageSet, chosen: ImageSet.ImageSet): ImageSet.ImageSet => {
  const taken = new Set(chosen.names)
  const left = [...whole.names.keys()].filter((i) => !taken.has(whole.names[i]!))
  return left.length === 0 ? chosen : ImageSet.pick(whole, left)
}

const withReference = <A>(
  options: Options,
  set: ImageSet.ImageSet,
  body: (reference: ImageSet.ImageSet) => Promise<A>,
): Promise<A> => {
  const { reference, data, seed, classes, scoreCount, onNote } = options
  const own = (whole: ImageSet.ImageSet): ImageSet.ImageSet => {
    const left = others(whole, set)
    if (left === set && scoreCount > 0)
      onNote?.(
        "no images are left over, so scores compare with those that are trained on, which flatters: name others with --reference",
      )
    return left
  }
  const narrowed = { seed, ...(classes !== undefined && { classes }) }
  return reference === undefined
    ? Images.use(data, narrowed, (whole) => body(own(whole)))
    : Images.use(reference, { seed }, body)
}

/** Everything that decides the numbers of a run, resolved. */
export const configure = (
  options: Options,
  source: Model.Model,
  prepared: Prepared,
  data: RunConfig["data"],
  engine: Engine.Engine,
): RunConfig => {
  const { description, graft, start } = prepared
  const { modulationRate = 1, seed } = options
  const { batch, learningRate, penalty, augment } = Defaults.resolve(options, {
    images: data.images,
    size: prepared.gan.image[0],
  })
  const { regularise } = options.plan === undefined ? Recipe.settings(prepared.recipe) : {}
  return RunConfig.parse({
    kind: "transfer",
    model: description,
    ...modulationOf(prepared),
    trainable: {
      generator: rated(graft.generator.trainable, graft.generator.modulation, modulationRate),
      discriminator: rated(graft.discriminator.trainable, graft.discriminator.modulation, modulationRate),
    },
    source: {
      path: options.source,
      sha256: source.description.source?.sha256 ?? "",
      recipe: prepared.recipe,
      ...(start !== undefined && { graft: start }),
    },
    data,
    seed,
    batch,
    learningRate: { generator: learningRate, discriminator: learningRate },
    penalty,
    ...(augment.length > 0 && { augment }),
    ...Training.stabilisers(options, { thousands: 100 }),
    ...(regularise !== undefined && {
      regularise: {
        config: { ...regularise, weight: options.regulariserWeight ?? regularise.weight },
        anchored: anchored(graft),
      },
    }),
    ema: { decay: 0.999, ramp: options.constantEma !== true },
    engine: engine.provider === undefined ? engine.name : `${engine.name}/${engine.provider}`,
  })
}

export interface Outcome extends Training.Outcome {
  readonly plan: Graft.Counts
  /** Steps that the run is to have. */
  readonly wanted: number
  /** Settings that nobody gave, and why they are as they are. */
  readonly choices: readonly Defaults.Choice[]
}

const checkSize = ({ size, source }: Options, own: number): void => {
  if (size !== undefined && size !== own)
    Failure.raise("WrongSize", `the source makes images of ${own} px, which a transfer cannot change to ${size}`, {
      file: source,
    })
}

export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const source = await Failure.orRaise(Model.open(options.source, { raw: options.raw ?? false }))
    const size = source.gan.image[0]
    checkSize(options, size)
    return Images.use(options.data, options, async (set) => {
      const labels = options.conditional === true ? set.classes.length : 1
      const situation = { images: set.names.length, size }
      const chosen = Defaults.resolve(options, situation)
      const { recipe, steps } = chosen
      const { start, unfreezeAt } = await recorded(options, options.plan === undefined ? recipe : "plan")
      const surgery = { ...(unfreezeAt !== undefined && { unfreezeAt }), ...options, recipe, steps, labels }
      const prepared = await prepare(source, surgery, engine, start)
      const choices = Defaults.explain(options, chosen, situation, prepared.gan.config)
      options.onChoices?.(choices, situation)
      const data = await Images.describe(set, options)
      const config = configure(options, source, prepared, data, engine)
      const every = options.every ?? Math.max(1, Math.ceil(steps / 10))
      const outcome = await withReference(options, set, (reference) =>
        Training.run(config, prepared.networks, set, reference, engine, { ...options, steps, every }),
      )
      return { ...outcome, plan: prepared.graft.counts, wanted: steps, choices }
    })
  })
