/** The main job: a pretrained GAN and a folder of images become a generator of such images. */
import { Failure, Files, Path } from "@adafm/core"
import { ImageSet, Subset } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { type DiffAugment, type GradientPenalty, ModelFolder } from "@adafm/gan"
import { type Graft, PreparedTarget, type Surgery } from "@adafm/transfer"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as HubModel from "#hub/HubModel"
import * as Defaults from "../run/Defaults.ts"
import * as Habits from "../run/Habits.ts"
import * as ImageSelection from "../run/ImageSelection.ts"
import * as Model from "../run/Model.ts"
import * as ModelChannels from "../run/ModelChannels.ts"
import { RunConfig } from "../run/RunConfig.ts"
import type * as RunProvenance from "../run/RunProvenance.ts"
import * as Scorer from "../run/Scorer.ts"
import * as Training from "../run/Training.ts"
import * as TransferChecks from "../run/TransferChecks.ts"
import * as TransferConfig from "../run/TransferConfig.ts"

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
  /** Seeds of runs that are compared with this one: without `reference`, what any of them trains on is left out of the images that scores compare with. */
  readonly alongside?: readonly number[]
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

/** The path of the source that the run in this folder recorded. */
const recordedSource = async ({ out, restart }: Options): Promise<string | undefined> => {
  const file = Path.join(out, "config.json")
  if (restart === true || !(await Files.exists(file))) return undefined
  return (await Failure.orThrow(ModelFolder.readJson(RunConfig, file))).source?.path
}

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

/** Says that a run which was begun for other steps has a modulation that begins earlier or later than in a new run. */
const noteSchedule = (
  { surgery: { unfreezeAt } = {}, out, onNote }: Options,
  { graft }: PreparedTarget.PreparedTarget,
  before: PreparedTarget.Recorded,
  steps: number,
): void => {
  const [then, now] = [before.unfreezeAt, PreparedTarget.unfreezeAt(steps)]
  if (unfreezeAt !== undefined || graft.counts.modulated === 0 || then === undefined || then === now) return
  onNote?.(
    `${out} was begun for another number of steps: its modulation trains from step ${then}, and in a new run of ${steps} steps it would train from step ${now} (--new, or another --out)`,
  )
}

/** The images that were not chosen, as a set of their own; the chosen ones where none are left. */
const others = (
  whole: ImageSet.ImageSet,
  chosen: ImageSet.ImageSet,
  { alongside = [], limit, limitPerClass }: Options,
): ImageSet.ImageSet => {
  const without = (taken: ReadonlySet<string>): readonly number[] =>
    [...whole.names.keys()].filter((i) => !taken.has(whole.names[i]!))
  const narrowed = {
    ...(limit !== undefined && { limit }),
    ...(limitPerClass !== undefined && { perClass: limitPerClass }),
  }
  const draws = alongside.flatMap((seed) => Subset.take(whole, { seed, ...narrowed }).names)
  const [shared, own] = [without(new Set([...draws, ...chosen.names])), without(new Set(chosen.names))]
  // a score needs two images
  const left = shared.length > 1 ? shared : own
  return left.length === 0 ? chosen : ImageSet.pick(whole, left)
}

const withReference = <A>(
  options: Options,
  set: ImageSet.ImageSet,
  body: (reference: ImageSet.ImageSet) => Promise<A>,
): Promise<A> => {
  const { reference, data, seed, classes, scoreCount, onNote } = options
  const own = (whole: ImageSet.ImageSet): ImageSet.ImageSet => {
    const left = others(whole, set, options)
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

/** The settings with those that were chosen, so that a run that is repeated from them does not choose again. */
const repeatable = ({ invocation = {}, source }: Options, chosen: Defaults.Chosen): RunProvenance.Invocation => {
  const { settings } = invocation
  if (settings === undefined) return invocation
  const { surgery, steps, batch, learningRate, penalty, augment } = chosen
  const isNamed = ["plan", "keep-g", "keep-d"].some((key) => settings[key] !== undefined)
  return {
    ...invocation,
    settings: {
      ...settings,
      // with the commit of a source of the Hub
      source,
      ...(surgery.recipe !== undefined && !isNamed && { recipe: surgery.recipe }),
      steps,
      batch,
      lr: learningRate,
      penalty: penalty.weight,
      "penalty-mode": penalty.mode,
      augment: augment.length === 0 ? ["none"] : augment,
    },
  }
}

export interface Outcome extends Training.Outcome {
  readonly plan: Graft.Counts
  /** Steps that the run is to have. */
  readonly wanted: number
  /** Settings that were not given, each with its reason. */
  readonly choices: readonly Defaults.Choice[]
}

export const run = (given: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    ImageSelection.keepApart(given)
    const wanted = HubModel.pinned(given.source, await recordedSource(given))
    const source = await Failure.orThrow(Model.open(wanted, { raw: given.raw ?? false, onNote: given.onNote }))
    // a source of the Hub is recorded with its commit
    const options = { ...given, source: source.path }
    const size = source.gan.image[0]
    TransferChecks.size(options, size)
    ModelChannels.requirePhotographs(source.gan, options.source)
    const channels = ModelChannels.of(source.gan)
    const note = ModelChannels.note(channels)
    if (note !== undefined) options.onNote?.(note)
    const trained = async (set: ImageSet.ImageSet, reference: ImageSet.ImageSet): Promise<Outcome> => {
      const { scoreCount } = options
      if (scoreCount > 0) Scorer.requireTwo(Math.min(scoreCount, reference.names.length), reference.path)
      const labels = ImageSelection.labelsOf(set, options.conditional)
      const { seed, batch = Habits.of(source.gan.config.architecture).batch, onNote } = options
      const pipeline = await Training.read(set, { size, channels, batch, seed }, options)
      const situation = TransferConfig.situationOf(source, pipeline.count)
      const chosen = Defaults.resolve(options, situation)
      const { surgery, steps } = chosen
      const before = await recorded(options, surgery.plan === undefined ? (surgery.recipe ?? "plan") : "plan")
      const prepared = await PreparedTarget.of(source, { surgery, steps, labels, seed: options.seed }, engine, before)
      TransferChecks.used(options, prepared)
      const choices = Defaults.explain(options, chosen, situation, source.gan.config)
      options.onChoices?.(choices, situation)
      for (const warning of TransferChecks.tooLate(prepared, steps)) onNote?.(warning)
      noteSchedule(options, prepared, before, steps)
      const data = await ImageSelection.describe(set, options, pipeline.count, options.onImages)
      const config = TransferConfig.of(options, source, prepared, data, engine)
      await TransferChecks.trainable(config, prepared, options.source)
      const every = options.every ?? Training.everyOf(steps)
      const outcome = await Training.run(config, prepared.networks, pipeline, reference, engine, {
        ...options,
        steps,
        every,
        invocation: repeatable(options, chosen),
      })
      return { ...outcome, plan: prepared.graft.counts, wanted: steps, choices }
    }
    return ImageSelection.use(options.data, options, (set) =>
      withReference(options, set, (reference) => trained(set, reference)),
    )
  })
