/** Trains a run: the loop of `@adafm/gan` with images, scores, sample grids and a run folder. */
import { Regularisation } from "@adafm/baselines"
import { Failure, Files, Lock, Optimizer, Path } from "@adafm/core"
import { Image, type ImageSet, Pipeline } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import {
  Ada,
  DiffAugment,
  type Gan,
  Hinge,
  LeCam,
  ModelFolder,
  RunFolder,
  State,
  type Step,
  StepExtras,
  TrainingLoop,
} from "@adafm/gan"
import * as EventLog from "#run/EventLog"
import * as BestCheckpoint from "./BestCheckpoint.ts"
import * as Model from "./Model.ts"
import * as ModelChannels from "./ModelChannels.ts"
import * as RecordedConfig from "./RecordedConfig.ts"
import type * as RunCheckpoint from "./RunCheckpoint.ts"
import type { RunConfig } from "./RunConfig.ts"
import * as RunProvenance from "./RunProvenance.ts"
import * as Sampler from "./Sampler.ts"
import * as Scorer from "./Scorer.ts"
import * as TrainingNotes from "./TrainingNotes.ts"

export interface Progress {
  readonly step: number
  readonly steps: number
  readonly stats: TrainingLoop.Stats
  readonly secondsPerStep: number
}

export interface Score {
  readonly step: number
  readonly [metric: string]: RunFolder.Line[string]
}

export interface Options {
  readonly out: string
  readonly steps: number
  /** Steps between scores, sample grids and checkpoints. */
  readonly every: number
  /** Checkpoints at multiples of this many steps are kept. */
  readonly keepEvery?: number
  /** Bytes of disk for other checkpoints of earlier steps; `KEPT_BYTES` by default. */
  readonly keepBytes?: number
  /** Starts again although the folder holds a run, which is moved aside. */
  readonly restart?: boolean
  /** Images on each side of a score; 0 for no scores. */
  readonly scoreCount: number
  readonly extractor?: string
  /** Of the choice among more than `scoreCount` reference images; 0 by default. */
  readonly referenceSeed?: number
  /** Whether TensorBoard's event files are written too. */
  readonly tensorboard?: boolean
  /** How the run was asked for, which is recorded. */
  readonly invocation?: RunProvenance.Invocation
  /** Whether the checkpoint with the best score is kept; true by default, if scores are taken. */
  readonly keepBest?: boolean
  /** Whether the model is scored and sampled before the first step too; true by default. */
  readonly scoreStart?: boolean
  /** Stop if more than this share of the first images' pixels is saturated, when a small head is new; 0.2 by default. */
  readonly maxSaturation?: number
  readonly onProgress?: (progress: Progress) => void
  /** Called while the images are read, before the first step: of each pass over them, how many are done. */
  readonly onImages?: (done: number, total: number) => void
  readonly onScore?: (score: Score) => void
  /** Called with every sample grid, `[H, W, 3]`, once it is written to `file`. */
  readonly onGrid?: (step: number, sheet: Image.Rgb, file: string) => void
  readonly onNote?: (line: string) => void
  /** How the user calls the command, for messages: `npx adafm`. */
  readonly command?: string
  readonly shouldStop?: () => boolean
}

/** Bytes of disk in which checkpoints of earlier steps are kept, besides the last and the best, by default. */
export const KEPT_BYTES = 1e9

/** Steps between two scores, sample grids and checkpoints, by default. */
export const everyOf = (steps: number): number => Math.max(1, Math.ceil(steps / 10))

/** Besides DiffAugment, what keeps a discriminator from memorising few images. */
export interface Stabilisers {
  /** Adaptive discriminator augmentation. */
  readonly ada?: Partial<Ada.Config>
  /** The LeCam regulariser. */
  readonly lecam?: Partial<LeCam.Config>
}

/** The stabilisers as a run's configuration records them. */
export const stabilisers = (
  { ada, lecam }: Stabilisers,
  defaults: Partial<Ada.Config>,
): Pick<RunConfig, "ada" | "lecam"> => ({
  ...(ada !== undefined && { ada: Ada.Config.parse({ ...defaults, ...ada }) }),
  ...(lecam !== undefined && { lecam: LeCam.Config.parse(lecam) }),
})

/** The engine as a run's configuration records it. */
export const engineOf = ({ name, provider, threads }: Engine.Engine): Pick<RunConfig, "engine" | "threads"> => ({
  engine: provider === undefined ? name : `${name}/${provider}`,
  ...(threads !== undefined && { threads }),
})

export interface Outcome {
  readonly run: string
  readonly steps: number
  readonly seconds: number
  readonly metrics: readonly Score[]
  /** The best checkpoint, in `file`. */
  readonly best?: RunCheckpoint.Score & { readonly file: string }
  readonly broken: readonly { readonly name: string; readonly reason: string }[]
}

/** Renames an old run to `FOLDER.old-N`. */
const setAside = async (folder: string): Promise<void> => {
  for (let n = 1; ; n++) {
    const aside = `${Path.resolve(folder)}.old-${n}`
    if (await Files.exists(aside)) continue
    await Files.move(folder, aside)
    return
  }
}

/** What the configuration adds to a plain step. */
const extrasOf = (
  { augment, ada, lecam, regularise, loss, batch, seed }: RunConfig,
  gan: Gan.Gan,
): StepExtras.StepExtras => {
  const drawn = { size: gan.image[0], batch, seed }
  return StepExtras.combine(
    ...(augment === undefined ? [] : [DiffAugment.extras({ policy: augment, ...drawn })]),
    ...(ada === undefined ? [] : [Ada.extras({ config: ada, ...drawn })]),
    ...(lecam === undefined ? [] : [LeCam.extras(lecam)]),
    ...(loss === undefined ? [] : [Hinge.extras(loss, gan, drawn)]),
    ...(regularise === undefined ? [] : [Regularisation.extras(regularise.config, regularise.anchored, gan)]),
  )
}

export const setupOf = (config: RunConfig): Step.Setup => {
  const gan = ModelFolder.ganOf(config.model)
  const modulation = Model.modulationsOf(gan, config.modulation)
  const { betas, loss } = config
  const adam = (learningRate: number): Optimizer.Optimizer => ({
    ...Optimizer.adam,
    learningRate,
    ...(betas !== undefined && { beta1: betas[0], beta2: betas[1] }),
  })
  return {
    gan,
    batchSize: config.batch,
    optimizer: {
      generator: adam(config.learningRate.generator),
      discriminator: adam(config.learningRate.discriminator),
    },
    penalty: config.penalty,
    ...(loss !== undefined && { hinge: loss }),
    ema: config.ema,
    trainable: config.trainable,
    ...(modulation !== undefined && { modulation }),
    extras: extrasOf(config, gan),
  }
}

/** The setup of a new run, with what its regulariser needs of the source; a resumed run has that in its checkpoint. */
export const newSetupOf = async (
  config: RunConfig,
  networks: State.Networks,
  engine: Engine.Engine,
): Promise<Step.Setup> => {
  const setup = setupOf(config)
  const { regularise, seed } = config
  if (regularise === undefined) return setup
  const given = { gan: setup.gan, networks, engine, seed }
  const constants = await Regularisation.constants(regularise.config, regularise.anchored, given)
  return { ...setup, extras: { ...setup.extras, constants } }
}

const GRID = 64

/** A wrong scale at the graft saturates the very first images, and training does not correct it. */
const checkSaturation = ({ source }: RunConfig, { out, maxSaturation = 0.2 }: Options, share: number): void => {
  if (source?.graft === undefined || share <= maxSaturation) return
  const percent = (100 * share).toFixed(0)
  const advice =
    source.graft.kind === "authors"
      ? "the authors' scale does not fit this source; --graft calibrated with --new measures the right one"
      : "try --head gp, or, if the source's own images are like that, --max-saturation 1"
  Failure.raise("Saturated", `${percent} % of the first images' pixels are saturated (beyond ±0.99): ${advice}`, {
    file: out,
  })
}

/** Refuses to work in a run folder in which another process is working. */
const alone = <A>(out: string, body: () => Promise<A>): Promise<A> =>
  Lock.within(out, body, async () =>
    Failure.raise(
      "RunInUse",
      `another process is working in this run folder (${(await Lock.owner(out)) ?? "unknown"}): wait until it ends`,
      { file: out },
    ),
  )

/** The images as batches; says which pictures are skipped, and why. */
export const read = async (
  set: ImageSet.ImageSet,
  how: Pick<Pipeline.Options, "size" | "channels" | "batch" | "seed">,
  { onNote, onImages }: Pick<Options, "onNote" | "onImages">,
): Promise<Pipeline.Pipeline> => {
  const pipeline = await Failure.orThrow(Pipeline.open(set, { ...how, ...(onImages && { onProgress: onImages }) }))
  TrainingNotes.omissions(set, pipeline.broken, onNote)
  return pipeline
}

/** What a run reads besides its own folder. */
interface Opened {
  readonly pipeline: Pipeline.Pipeline
  readonly scorer: Scorer.Scorer | undefined
}

const train = async (
  config: RunConfig,
  networks: State.Networks,
  engine: Engine.Engine,
  { pipeline, scorer }: Opened,
  options: Options,
): Promise<Outcome> => {
  const { out, steps, every, onNote } = options
  await Failure.orThrow(RunFolder.open(out, config))
  await Failure.orThrow(RunFolder.sweep(out))
  const setup = setupOf(config)
  const size = setup.gan.image[0]
  const begun = (await Failure.orThrow(RunFolder.checkpoints(out))).at(-1) ?? 0
  // steps after the checkpoint are trained and scored again
  await Failure.orThrow(RunFolder.rewind(out, "metric", begun > 0 ? begun : -1))
  const metrics = [...((await Failure.orThrow(RunFolder.lines(out, "metric"))) as readonly Score[])]
  const isScored = (step: number): boolean => metrics.some((score) => score.step === step)
  const gridOf = (step: number): string => Path.join(out, `samples-${String(step).padStart(8, "0")}.png`)
  const isSeen = async (step: number): Promise<boolean> =>
    (scorer === undefined || isScored(step)) && (await Files.exists(gridOf(step)))
  const events = options.tensorboard === true ? await EventLog.open(out, begun) : undefined
  /** Uses the averaged generator. */
  const sampled = async <A>(generator: State.Params, use: (sampler: Sampler.Generator, gan: Gan.Gan) => Promise<A>) => {
    const gan = Model.wrap(setup.gan, setup.modulation)
    const sampler = await Sampler.open({ gan, generator, description: config.model }, engine)
    return use(sampler, gan).finally(sampler.dispose)
  }
  const scored = async (of: Scorer.Scorer, sampler: Sampler.Generator, gan: Gan.Gan): Promise<Scorer.Line> =>
    Scorer.line(await of.score(Sampler.stream(sampler, gan, { count: of.count, seed: config.seed })), of.about)
  const keeper =
    scorer === undefined || options.keepBest === false
      ? undefined
      : await BestCheckpoint.open({
          folder: out,
          lines: metrics,
          about: scorer.about,
          score: (generator) => sampled(generator, (sampler, gan) => scored(scorer, sampler, gan)),
          ...(onNote && { onNote }),
        })
  /** Writes samples of the averaged generator, and scores it. */
  const look = (step: number, generator: State.Params): Promise<void> =>
    sampled(generator, async (sampler, gan) => {
      const grid = await sampler.images(Sampler.inputs(gan, config.seed, [...Array(GRID).keys()]))
      const sheet = Image.sheet(Image.fromNchw(grid), { scale: size < 64 ? 2 : 1 })
      const png = await Failure.orThrow(Image.png(sheet))
      await Failure.orThrow(Files.write(gridOf(step), png))
      events?.grid(step, png)
      options.onGrid?.(step, sheet, gridOf(step))
      if (scorer === undefined || isScored(step)) return
      const score: Score = { step, ...(await scored(scorer, sampler, gan)) }
      // first, so that no score is on record whose checkpoint should have been kept and was not
      await keeper?.consider(score)
      metrics.push(score)
      await Failure.orThrow(RunFolder.append(out, "metric", [score]))
      options.onScore?.(score)
      events?.score(score)
      await events?.flush()
    })
  if (begun === 0 && options.scoreStart !== false) await look(0, networks.generator)
  if (begun > 0) {
    onNote?.(`resumed at step ${begun}`)
    TrainingNotes.threads(config, engineOf(engine), onNote)
    TrainingNotes.otherScores(metrics.at(-1), scorer, onNote)
    // the run may have been interrupted between a checkpoint and its score
    if (!(await isSeen(begun)))
      await look(begun, State.averagedGenerator(await Failure.orThrow(RunFolder.readCheckpoint(out, begun))))
    // a run of an older version kept none
    const now = metrics.find(({ step }) => step === begun)
    if (now !== undefined) await keeper?.consider(now)
  }

  let pace: number | undefined
  const outcome = await Failure.orThrow(
    TrainingLoop.run({
      setup: begun === 0 ? await newSetupOf(config, networks, engine) : setup,
      engine,
      networks,
      steps,
      seed: config.seed,
      batches: pipeline.batch,
      folder: out,
      config,
      checkpointEvery: every,
      keep: {
        last: 1,
        bytes: options.keepBytes ?? KEPT_BYTES,
        ...(options.keepEvery !== undefined && { every: options.keepEvery }),
      },
      onStats: (step, stats, seconds) => {
        if (step === 0) checkSaturation(config, options, stats.saturation ?? 0)
        pace = 0.95 * (pace ?? seconds) + 0.05 * seconds
        events?.stats(step + 1, { ...stats, ms: 1000 * seconds })
        options.onProgress?.({ step: step + 1, steps, stats, secondsPerStep: pace })
      },
      onCheckpoint: async (snapshot) => {
        await look(snapshot.step, await snapshot.generator())
      },
      onNote,
      ...(options.shouldStop !== undefined && { shouldStop: options.shouldStop }),
    }),
  )
  await events?.flush()
  const best = keeper?.best()
  return {
    run: out,
    steps: outcome.step,
    seconds: outcome.seconds,
    metrics,
    ...(best && { best: { ...best, file: RunFolder.bestFile(out) } }),
    broken: pipeline.broken.map(({ name, failure }) => ({ name, reason: failure.message })),
  }
}

/** Trains until `steps`, resuming what the folder holds. Nothing is written or moved aside before images and scores are known to be usable. */
export const run = async (
  asked: RunConfig,
  networks: State.Networks,
  pipeline: Pipeline.Pipeline,
  reference: ImageSet.ImageSet,
  engine: Engine.Engine,
  options: Options,
): Promise<Outcome> => {
  const { out, restart = false, scoreCount, extractor, referenceSeed, onNote } = options
  const config = restart
    ? { ...asked, made: await RunProvenance.of(options.invocation) }
    : await RecordedConfig.asWritten(asked, options)
  if (!restart) await Failure.orThrow(RunFolder.holds(out, config))
  const { seed } = config
  const gan = ModelFolder.ganOf(config.model)
  const size = gan.image[0]
  const scorer =
    scoreCount > 0
      ? await Scorer.open(ModelChannels.seen(reference, ModelChannels.of(gan)), {
          count: scoreCount,
          size,
          seed,
          onNote,
          ...(options.onImages !== undefined && { onProgress: options.onImages }),
          ...(extractor !== undefined && { extractor }),
          ...(referenceSeed !== undefined && { referenceSeed }),
        })
      : undefined
  try {
    if (scorer !== undefined) onNote?.(TrainingNotes.scores(scorer, options))
    if (restart && (await Files.exists(out))) {
      await alone(out, () => setAside(out))
    }
    return await alone(out, () => train(config, networks, engine, { pipeline, scorer }, options))
  } finally {
    await scorer?.close()
  }
}
