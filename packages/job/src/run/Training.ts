/** Trains a run: the loop of `@adafm/gan` with images, scores, sample grids and a run folder. */
import { Regularisation } from "@adafm/baselines"
import { Disk, Failure, Files, Lock, Optimizer, Path } from "@adafm/core"
import { Image, ImageSet, Pipeline } from "@adafm/data"
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
import * as BestCheckpoint from "./BestCheckpoint.ts"
import * as Model from "./Model.ts"
import * as ModelChannels from "./ModelChannels.ts"
import type * as RunCheckpoint from "./RunCheckpoint.ts"
import { RunConfig } from "./RunConfig.ts"
import * as Sampler from "./Sampler.ts"
import * as Scorer from "./Scorer.ts"

export interface Progress {
  readonly step: number
  readonly steps: number
  readonly stats: TrainingLoop.Stats
  readonly secondsPerStep: number
}

export interface Score {
  readonly step: number
  readonly [metric: string]: number | string
}

export interface Options {
  readonly out: string
  readonly steps: number
  /** Steps between scores, sample grids and checkpoints. */
  readonly every: number
  /** Checkpoints at multiples of this many steps are kept. */
  readonly keepEvery?: number
  /** Starts again although the folder holds a run, which is moved aside. */
  readonly restart?: boolean
  /** Images on each side of a score; 0 for no scores. */
  readonly scoreCount: number
  readonly extractor?: string
  /** Whether the checkpoint with the best score is kept; true by default, if scores are taken. */
  readonly keepBest?: boolean
  /** Whether the model is scored and sampled before the first step too; true by default. */
  readonly scoreStart?: boolean
  /** Stop if more than this share of the first images' pixels is saturated, when a small head is new; 0.2 by default. */
  readonly maxSaturation?: number
  readonly onProgress?: (progress: Progress) => void
  readonly onScore?: (score: Score) => void
  /** Called with every sample grid, `[H, W, 3]`, once it is written. */
  readonly onGrid?: (step: number, sheet: Image.Rgb) => void
  readonly onNote?: (line: string) => void
  /** How the user calls the command, for messages: `npx adafm`. */
  readonly command?: string
  readonly shouldStop?: () => boolean
}

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
    await Disk.rename(folder, aside)
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

const scoresNote = (
  { extractor: { name }, count }: Scorer.Scorer,
  { extractor, command = "npx adafm" }: Options,
): string => {
  const own =
    name === "embedded" && extractor === undefined
      ? `; this is the small bundled network, whose scores compare only with each other (for FID as published: \`${command} weights fetch inception\`)`
      : ""
  return `scores: ${name}, ${count} images on each side${own}`
}

/** Says that scores from here on are not comparable with those of the run so far. */
const noteOtherScores = (
  last: Score | undefined,
  scorer: Scorer.Scorer | undefined,
  onNote: Options["onNote"],
): void => {
  if (last === undefined || scorer === undefined) return
  const changed = Scorer.differing(last, { ...scorer.about })
  if (changed.length > 0)
    onNote?.(
      `scores up to step ${last.step} had other settings (${changed.join(", ")}): later scores do not compare with them, and a report draws two curves`,
    )
}

/** Says which pictures are skipped, and why. */
const noteOmissions = (
  set: ImageSet.ImageSet,
  broken: Pipeline.Pipeline["broken"],
  onNote: Options["onNote"],
): void => {
  const foreign = ImageSet.advice(set)
  if (foreign !== undefined) onNote?.(foreign)
  if (broken.length === 0) return
  const [{ name, failure }] = broken as [(typeof broken)[number]]
  const others = broken.length > 1 ? ` and ${broken.length - 1} more` : ""
  onNote?.(
    `skipped ${broken.length} of ${set.names.length} images, which cannot be decoded: ${name} (${failure.message})${others}`,
  )
}

type Source = NonNullable<RunConfig["source"]>

/** Older versions recorded no hash, or that of the source's import, and no surgery: what they did not record counts as equal. */
const sourceAsWritten = (there: Source, here: Source, { source }: RunConfig["model"]): Source => ({
  ...here,
  ...(Path.resolve(there.path) === Path.resolve(here.path) && { path: there.path }),
  ...(["", source?.sha256].includes(there.sha256) && { sha256: there.sha256 }),
  ...(there.surgery === undefined && { raw: there.raw, surgery: there.surgery }),
  // what was decided follows from the values and the groups that train, which are compared
  decided: there.decided,
})

/** The model with the recorded norm of its head: older versions had only that of the authors, and did not record it. */
const modelAsWritten = (there: RunConfig["model"], here: RunConfig["model"]): RunConfig["model"] => {
  if (there.config.architecture !== "gpgan-small-head" || here.config.architecture !== "gpgan-small-head") return here
  if (there.config.head_norm !== undefined || here.config.head_norm !== "authors") return here
  const { head_norm: _, ...config } = here.config
  return { ...here, config }
}

/** The configuration with the recorded paths, if the same images have moved or the source's path is written in another way. */
const asWritten = async (config: RunConfig, { out }: Options): Promise<RunConfig> => {
  const file = Path.join(out, "config.json")
  if (!(await Files.exists(file))) return config
  const written = await Failure.orThrow(ModelFolder.readJson(RunConfig, file))
  const [from, to] = [written.source, config.source]
  const { threads: _, ...rest } = config
  return {
    ...rest,
    ...(written.threads !== undefined && { threads: written.threads }),
    model: modelAsWritten(written.model, config.model),
    ...(written.data.sha256 === config.data.sha256 && { data: { ...config.data, path: written.data.path } }),
    ...(from && to && { source: sourceAsWritten(from, to, config.model) }),
  }
}

/** Says that the rounding changes where a run goes on. */
const noteThreads = (written: RunConfig, { threads }: RunConfig, onNote: Options["onNote"]): void => {
  if (written.threads !== undefined && threads !== undefined && written.threads !== threads)
    onNote?.(
      `this run was begun with ${written.threads} ${written.threads === 1 ? "thread" : "threads"} and goes on with ${threads}: sums are rounded in another order, so its bits differ from those of a run that never stopped; --threads ${written.threads} keeps them`,
    )
}

/** Refuses to work in a run folder in which another process is working. */
const alone = <A>(out: string, body: () => Promise<A>): Promise<A> =>
  Lock.within(out, body, async () =>
    Failure.raise(
      "RunInUse",
      "another process is working in this run folder: wait until it ends, or three minutes if it was killed",
      {
        file: out,
      },
    ),
  )

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
  const before = (await Failure.orThrow(RunFolder.lines(out, "metric"))) as readonly Score[]
  /** Steps after the checkpoint are trained and scored again. */
  const metrics: Score[] = before.filter(({ step }) => begun > 0 && step <= begun)
  const isScored = (step: number): boolean => metrics.some((score) => score.step === step)
  const gridOf = (step: number): string => Path.join(out, `samples-${String(step).padStart(8, "0")}.png`)
  const isSeen = async (step: number): Promise<boolean> =>
    (scorer === undefined || isScored(step)) && (await Files.exists(gridOf(step)))
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
      await Failure.orThrow(Image.writePng(gridOf(step), sheet))
      options.onGrid?.(step, sheet)
      if (scorer === undefined || isScored(step)) return
      const score: Score = { step, ...(await scored(scorer, sampler, gan)) }
      // first, so that no score is on record whose checkpoint should have been kept and was not
      await keeper?.consider(score)
      metrics.push(score)
      await Failure.orThrow(RunFolder.append(out, "metric", [score]))
      options.onScore?.(score)
    })
  if (begun === 0 && options.scoreStart !== false) await look(0, networks.generator)
  if (begun > 0) {
    onNote?.(`resumed at step ${begun}`)
    noteThreads(config, { ...config, ...engineOf(engine) }, onNote)
    noteOtherScores(metrics.at(-1), scorer, onNote)
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
      keepCheckpoints: 1,
      ...(options.keepEvery !== undefined && { keepEvery: options.keepEvery }),
      onStats: (step, stats, seconds) => {
        if (step === 0) checkSaturation(config, options, stats.saturation ?? 0)
        pace = 0.95 * (pace ?? seconds) + 0.05 * seconds
        options.onProgress?.({ step: step + 1, steps, stats, secondsPerStep: pace })
      },
      onCheckpoint: async (snapshot) => {
        await look(snapshot.step, await snapshot.generator())
      },
      ...(options.shouldStop !== undefined && { shouldStop: options.shouldStop }),
    }),
  )
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
  set: ImageSet.ImageSet,
  reference: ImageSet.ImageSet,
  engine: Engine.Engine,
  options: Options,
): Promise<Outcome> => {
  const { out, restart = false, scoreCount, extractor, onNote } = options
  const config = restart ? asked : await asWritten(asked, options)
  if (!restart) await Failure.orThrow(RunFolder.holds(out, config))
  const { batch, seed } = config
  const gan = ModelFolder.ganOf(config.model)
  const size = gan.image[0]
  const channels = ModelChannels.of(gan)
  const pipeline = await Failure.orThrow(Pipeline.open(set, { size, channels, batch, seed }))
  noteOmissions(set, pipeline.broken, onNote)
  const scorer =
    scoreCount > 0
      ? await Scorer.open(ModelChannels.seen(reference, channels), {
          count: scoreCount,
          size,
          seed,
          ...(extractor !== undefined && { extractor }),
        })
      : undefined
  try {
    if (scorer !== undefined) onNote?.(scoresNote(scorer, options))
    if (restart && (await Files.exists(out))) {
      await alone(out, async () => {})
      await setAside(out)
    }
    return await alone(out, () => train(config, networks, engine, { pipeline, scorer }, options))
  } finally {
    await scorer?.close()
  }
}
