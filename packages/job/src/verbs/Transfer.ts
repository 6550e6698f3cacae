/** The main job: a pretrained GAN and a folder of images become a generator of such images. */
import { Failure, Files, Path } from "@adafm/core"
import { ImageSet } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { type DiffAugment, Gan, type GradientPenalty, ModelFolder, SmallHead, type Step } from "@adafm/gan"
import { Calibration, Graft, PreparedTarget, Recipe, type Surgery } from "@adafm/transfer"
import type * as TE from "fp-ts/lib/TaskEither.js"
import type { z } from "zod"
import * as Defaults from "../run/Defaults.ts"
import * as Habits from "../run/Habits.ts"
import * as ImageSelection from "../run/ImageSelection.ts"
import * as Model from "../run/Model.ts"
import * as ModelChannels from "../run/ModelChannels.ts"
import { RunConfig } from "../run/RunConfig.ts"
import * as Scorer from "../run/Scorer.ts"
import * as StepCheck from "../run/StepCheck.ts"
import * as Training from "../run/Training.ts"

export interface Options
  extends Omit<Training.Options, "steps" | "every">,
    Training.Stabilisers,
    ImageSelection.Options {
  /** A model folder or a run. */
  readonly source: string
  /** Take the source run's generator itself, not its moving average. */
  readonly raw?: boolean
  /** What becomes of the source's parameters; the recipe is chosen from the number of images where none is named. */
  readonly surgery?: Surgery.Given
  readonly seed: number
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
  readonly penalty?: Partial<GradientPenalty.Config>
  /** DiffAugment of what the discriminator sees; by default colour and translation for few images, none with `ada`. */
  readonly augment?: DiffAugment.Policy
  /** Of L2-SP, EWC or distillation in place of the published one. */
  readonly regulariserWeight?: number
  /** Called before training begins. */
  readonly onChoices?: (choices: readonly Defaults.Choice[], situation: Defaults.Situation) => void
  /** The moving average's decay is 0.999 from the first step, as in the paper, instead of growing towards it. */
  readonly constantEma?: boolean
  /** Flags that were given and need a new small head; the same settings of a preset may be without effect. */
  readonly forHead?: readonly string[]
}

/**
 * Whole settings by name: `paper`, what the authors' code does wherever this project has other defaults. It switches AdaFM on at the
 * end of iteration 10,000, so that the next one is the first to move it.
 */
export const presets = {
  paper: {
    raw: true,
    surgery: {
      generator: { top: "fresh" },
      discriminator: { top: "fresh" },
      graft: "authors",
      headNorm: "authors",
      unfreezeAt: 10_001,
    },
    steps: 60_000,
    learningRate: 1e-4,
    augment: [],
    constantEma: true,
  },
} satisfies Readonly<Record<string, Partial<Options>>>

/** What `--dry-run` prints: every parameter's fate and the counts. */
export interface DryRun {
  readonly recipe: string
  readonly steps: number
  /** What was chosen from the number of images; of a hundred where none are named. */
  readonly choices: readonly Defaults.Choice[]
  readonly plan: Graft.Counts
  readonly fates: ReturnType<typeof Graft.table>
  /** Paths of the source that are not used. */
  readonly unused: Readonly<Record<Step.Net, readonly string[]>>
  readonly warnings: readonly string[]
  /** Of a small head: the deviation of the features that it starts with, and the gradient that passes back through it. */
  readonly head?: {
    readonly start: Calibration.Config["kind"]
    readonly norm: SmallHead.Norm
    readonly blocks: number
    readonly scale: number
    readonly gradient: number
    /** Times the learning rate, for scale and shift of its last layer. */
    readonly rate: number
    /** The quietest and the loudest channel, where they were measured. */
    readonly range?: readonly [number, number]
  }
}

const headOf = ({ gan: { config }, start }: PreparedTarget.PreparedTarget): Pick<DryRun, "head"> =>
  config.architecture !== "gpgan-small-head" || start === undefined
    ? {}
    : {
        head: {
          start: start.kind,
          norm: SmallHead.normOf(config),
          blocks: config.head_blocks,
          scale: config.head_scale,
          gradient: config.head_gradient,
          rate: Calibration.rate(start, config),
          ...(start.kind === "calibrated" && {
            range: [Math.min(...start.deviation), Math.max(...start.deviation)] as const,
          }),
        },
      }

/** What would begin to train only after the run's last step. */
const tooLate = ({ graft }: PreparedTarget.PreparedTarget, steps: number): readonly string[] =>
  (["generator", "discriminator"] as const).flatMap((net) =>
    graft[net].trainable.flatMap(({ from, paths }) =>
      from < steps
        ? []
        : [
            `${paths.length} tensors of the ${net} (${paths[0]}${paths.length > 1 ? ", …" : ""}) begin to train at step ${from}, which ${steps} steps never reach: see --unfreeze-at, or unfreezeAt in a plan`,
          ],
    ),
  )

const checkSize = ({ size, source }: Pick<Options, "size" | "source">, own: number): void => {
  if (size !== undefined && size !== own)
    Failure.raise("WrongSize", `the source makes images of ${own} px, which a transfer cannot change to ${size}`, {
      file: source,
    })
}

/** Settings that are given and would have no effect are refused. */
const checkUsed = (
  {
    surgery: { zDim, headGradient } = {},
    regulariserWeight,
    modulationRate = 1,
    forHead = [],
  }: Pick<Options, "surgery" | "regulariserWeight" | "modulationRate" | "forHead">,
  { recipe, gan, start, graft }: PreparedTarget.PreparedTarget,
): void => {
  const { regularise } = Recipe.training(recipe)
  const isModulated = (["generator", "discriminator"] as const).some((net) => graft[net].modulation !== undefined)
  const noHead = "there is no new small head (see --head)"
  const idle = [
    zDim !== undefined && zDim !== gan.latent.dim && `--z-dim: ${noHead}`,
    headGradient !== undefined && start === undefined && `--head-gradient: ${noHead}`,
    ...forHead.map((flag) => start === undefined && `${flag}: ${noHead}`),
    regulariserWeight !== undefined &&
      regularise === undefined &&
      "--regulariser-weight: the recipe has no regulariser (l2-sp, ewc and distillation have one)",
    modulationRate !== 1 && !isModulated && "--modulation-rate: nothing is modulated",
  ].filter((reason) => reason !== false)
  if (idle.length > 0) Failure.raise("BadRecipe", `with recipe ${recipe} these have no effect: ${idle.join("; ")}`)
}

/** Refuses networks that no iteration accepts. What a regulariser adds does not depend on them. */
const checkTrainable = (
  { regularise: _, ...config }: RunConfig,
  { networks }: Pick<PreparedTarget.PreparedTarget, "networks">,
  source: string,
): Promise<void> => StepCheck.check(Training.setupOf(config), networks, source)

const situationOf = ({ gan }: Model.Model, images: number): Defaults.Situation => ({
  images,
  size: gan.image[0],
  architecture: Gan.plain(gan.config).architecture,
})

/** The number of images that a dry run without images assumes. */
const SUPPOSED = 100

export const plan = (
  options: Pick<
    Options,
    "source" | "raw" | "surgery" | "seed" | "size" | "regulariserWeight" | "modulationRate" | "forHead"
  > &
    Defaults.Given &
    Training.Stabilisers & { readonly images?: number; readonly labels?: number },
  engine: Engine.Engine,
): TE.TaskEither<Failure.Failure, DryRun> =>
  Failure.attempt(async () => {
    const source = await Failure.orThrow(Model.open(options.source, { raw: options.raw ?? false }))
    const situation = situationOf(source, options.images ?? SUPPOSED)
    checkSize(options, situation.size)
    ModelChannels.requirePhotographs(source.gan, options.source)
    const chosen = Defaults.resolve(options, situation)
    const { surgery, steps } = chosen
    const prepared = await PreparedTarget.of(source, { ...options, surgery, steps }, engine)
    checkUsed(options, prepared)
    const nowhere = { path: "", sha256: "", images: situation.images, classes: [] }
    await checkTrainable(configure(options, source, prepared, nowhere, engine), prepared, options.source)
    const { graft, recipe } = prepared
    const choices = Defaults.explain(options, chosen, situation, source.gan.config)
    const unused = { generator: graft.generator.unused, discriminator: graft.discriminator.unused }
    const warnings = tooLate(prepared, steps)
    return {
      recipe,
      steps,
      choices,
      plan: graft.counts,
      ...headOf(prepared),
      fates: Graft.table(graft),
      unused,
      warnings,
    }
  })

/** What an earlier call measured and decided for the run in this folder: a run that is resumed does not measure again. */
const recorded = async ({ out, restart, source }: Options, recipe: string): Promise<PreparedTarget.Recorded> => {
  const file = Path.join(out, "config.json")
  if (restart === true || !(await Files.exists(file))) return {}
  const run = await Failure.orThrow(ModelFolder.readJson(RunConfig, file))
  if (
    run.source === undefined ||
    Path.resolve(run.source.path) !== Path.resolve(source) ||
    run.source.recipe !== recipe
  )
    return {}
  const { generator, discriminator } = run.trainable
  return {
    unfreezeAt: Math.max(0, ...[...generator, ...discriminator].map(({ from }) => from)),
    ...(run.source.graft !== undefined && { graft: run.source.graft }),
  }
}

/** The filters that are modulated, as a run remembers them. */
const modulationOf = ({
  graft,
  plan,
}: PreparedTarget.PreparedTarget): Pick<z.input<typeof RunConfig>, "modulation"> => {
  const filters = (net: Step.Net): readonly string[] =>
    Object.values(graft[net].fates).flatMap(({ path, moves }) => (moves === "modulated" ? [path] : []))
  const [weights, discriminator] = [filters("generator"), filters("discriminator")]
  if (weights.length + discriminator.length === 0) return {}
  return { modulation: { config: plan.modulation, weights, ...(discriminator.length > 0 && { discriminator }) } }
}

/** The trainable groups, with the learning rate of the modulation's parameters multiplied by `rate`. */
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
        "You gave no other photos (--reference), so scores are measured on the training photos and look better than they are.",
      )
    return left
  }
  const narrowed = { seed, ...(classes !== undefined && { classes }) }
  return reference === undefined
    ? ImageSelection.use(data, narrowed, (whole) => body(own(whole)))
    : ImageSelection.use(reference, { seed }, body)
}

/** Everything that decides the numbers of a run, resolved. */
export const configure = (
  options: Defaults.Given &
    Training.Stabilisers &
    Pick<Options, "source" | "raw" | "seed" | "modulationRate" | "regulariserWeight" | "constantEma">,
  source: Model.Model,
  prepared: PreparedTarget.PreparedTarget,
  data: RunConfig["data"],
  engine: Engine.Engine,
): RunConfig => {
  const { description, graft, start } = prepared
  const { modulationRate = 1, seed } = options
  const { batch, learningRate, penalty, augment } = Defaults.resolve(options, situationOf(source, data.images))
  const { regularise } = Recipe.training(prepared.recipe)
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
      sha256: Model.sha256(source),
      recipe: prepared.recipe,
      ...(options.raw === true && source.step !== undefined && { raw: true }),
      decided: prepared.surgery,
      surgery: prepared.origins,
      ...(start !== undefined && { graft: start }),
    },
    data,
    seed,
    batch,
    learningRate: { generator: learningRate, discriminator: learningRate },
    ...Habits.of(source.gan.config.architecture).training,
    penalty,
    ...(augment.length > 0 && { augment }),
    ...Training.stabilisers(options, { thousands: 100 }),
    ...(regularise !== undefined && {
      regularise: {
        config: { ...regularise, weight: options.regulariserWeight ?? regularise.weight },
        anchored: PreparedTarget.anchored(graft),
      },
    }),
    ema: { decay: 0.999, ramp: options.constantEma !== true },
    ...Training.engineOf(engine),
  })
}

export interface Outcome extends Training.Outcome {
  readonly plan: Graft.Counts
  /** Steps that the run is to have. */
  readonly wanted: number
  /** Settings that were not given, each with its reason. */
  readonly choices: readonly Defaults.Choice[]
}

export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    ImageSelection.keepApart(options)
    const source = await Failure.orThrow(Model.open(options.source, { raw: options.raw ?? false }))
    const size = source.gan.image[0]
    checkSize(options, size)
    ModelChannels.requirePhotographs(source.gan, options.source)
    const note = ModelChannels.note(ModelChannels.of(source.gan))
    if (note !== undefined) options.onNote?.(note)
    const trained = async (set: ImageSet.ImageSet, reference: ImageSet.ImageSet): Promise<Outcome> => {
      const { scoreCount } = options
      if (scoreCount > 0) Scorer.requireTwo(Math.min(scoreCount, reference.names.length), reference.path)
      const labels = ImageSelection.labelsOf(set, options.conditional)
      const situation = situationOf(source, set.names.length)
      const chosen = Defaults.resolve(options, situation)
      const { surgery, steps } = chosen
      const before = await recorded(options, surgery.plan === undefined ? (surgery.recipe ?? "plan") : "plan")
      const prepared = await PreparedTarget.of(source, { surgery, steps, labels, seed: options.seed }, engine, before)
      checkUsed(options, prepared)
      const choices = Defaults.explain(options, chosen, situation, source.gan.config)
      options.onChoices?.(choices, situation)
      for (const warning of tooLate(prepared, steps)) options.onNote?.(warning)
      const data = await ImageSelection.describe(set, options)
      const config = configure(options, source, prepared, data, engine)
      await checkTrainable(config, prepared, options.source)
      const every = options.every ?? Math.max(1, Math.ceil(steps / 10))
      const outcome = await Training.run(config, prepared.networks, set, reference, engine, {
        ...options,
        steps,
        every,
      })
      return { ...outcome, plan: prepared.graft.counts, wanted: steps, choices }
    }
    return ImageSelection.use(options.data, options, (set) =>
      withReference(options, set, (reference) => trained(set, reference)),
    )
  })
