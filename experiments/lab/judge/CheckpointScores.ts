/** Scores of a training's checkpoints: a curve in cheap features, the deciding scores at a few of them; the best one is reported. */
import { join } from "node:path"
import { Failure, Flat, NdArray, Safetensors } from "@adafm/core"
import { Image, type ImageSet, Subset } from "@adafm/data"
import type { Engine } from "@adafm/engine"
import { Gan, RunFolder } from "@adafm/gan"
import { Model, ReferenceFeatures, Sample, Sampler } from "@adafm/job"
import { Comparison, type Extractor, FeatureSet, Kid, NearestNeighbours } from "@adafm/metrics"
import { z } from "zod"
import * as Cell from "../declare/Cell.ts"
import * as FeatureExtractors from "../material/FeatureExtractors.ts"
import * as TargetImages from "../material/TargetImages.ts"
import * as TrainingRun from "../run/TrainingRun.ts"
import * as ClassScores from "./ClassScores.ts"
import * as DiscriminatorKid from "./DiscriminatorKid.ts"
import { Metric } from "./Metric.ts"

export const Scores = z.strictObject({
  /** KID and FID in cheap features, against the images that choose. */
  curve: z.array(z.strictObject({ step: z.number(), seconds: z.number(), kid: z.number(), fid: z.number() })),
  curveLabel: z.string(),
  /** KID in the deciding features, against the images that choose and those that report. */
  candidates: z.array(z.strictObject({ step: z.number(), choosing: z.number(), reporting: z.number() })),
  /** Step of the candidate with the lowest KID against the images that choose. */
  chosen: z.number(),
  /** Scores of the chosen checkpoint, with their provenance. */
  metrics: z.record(z.string(), Metric),
  /** The nearest training image of every sample that is shown. */
  nearest: z.array(z.strictObject({ image: z.string(), distance: z.number() })),
  /** KID after each group of the source's discriminator, counted from the image. */
  alignment: z.array(z.number()).optional(),
})
export type Scores = z.output<typeof Scores>

export interface Inputs {
  readonly training: Cell.Training
  readonly score: Cell.Score
  readonly places: TargetImages.Places
  /** Path of the source model. */
  readonly source: string
  readonly engine: Engine
  /** Threads of the feature extractors. */
  readonly threads?: number
  /** Where images and the modulation's parameters are written. */
  readonly folder: string
}

/** Seed of the latents: the same for all cells, so that two variants are compared on the same latents. */
const LATENTS = 0
const SHOWN = 20
const RESAMPLES = 200

/** Features of at most `count` images of a place, from the cache if they are there. */
export const reference = (
  place: TargetImages.Place,
  extractor: Extractor.Extractor,
  { count, size }: { readonly count: number; readonly size: number },
): Promise<FeatureSet.Features> =>
  TargetImages.withImages(place, (set) => ReferenceFeatures.features(some(set, count), extractor, { size, seed: 0 }))

const some = (set: ImageSet.ImageSet, count: number): ImageSet.ImageSet => Subset.take(set, { limit: count, seed: 0 })

type Batches = readonly NdArray.NdArray<"float32">[]

/** @param name what made the images */
export const featuresOf = (
  batches: Batches,
  size: number,
  extractor: Extractor.Extractor,
  name = "generator",
): Promise<FeatureSet.Features> =>
  Failure.orThrow(FeatureSet.of({ kind: "batches", name, batches }, extractor, { size, seed: 0 }))

interface Work extends Inputs {
  /** The model after `step` steps. The generator is shared: another step replaces it. */
  readonly at: (step: number) => Promise<{ readonly generator: Sampler.Generator; readonly model: Model.Model }>
}

/** Runs `body` with one compiled generator for all steps. */
const working = async <A>(inputs: Inputs, body: (work: Work) => Promise<A>): Promise<A> => {
  let generator: Sampler.Generator | undefined
  const at: Work["at"] = async (step) => {
    const model = await Failure.orThrow(Model.open(TrainingRun.runOf(inputs.training), { checkpoint: step }))
    if (generator === undefined) generator = await Sampler.open(model, inputs.engine, 64)
    else generator.use(model.generator)
    return { generator, model }
  }
  try {
    return await body({ ...inputs, at })
  } finally {
    await generator?.dispose()
  }
}

/** The images that are scored, from the same latents in every cell. */
export const scoredImages = async (generator: Sampler.Generator, gan: Gan.Gan, count: number): Promise<Batches> => {
  const found: NdArray.NdArray<"float32">[] = []
  for await (const batch of Sampler.stream(generator, gan, { count, seed: LATENTS })) found.push(batch)
  return found
}

const fakes = async ({ at, score }: Work, step: number): Promise<Batches> => {
  const { generator, model } = await at(step)
  return scoredImages(generator, model.gan, score.count)
}

/** The images that a page shows. */
const samples = async ({ at }: Work, step: number): Promise<NdArray.NdArray<"float32">> => {
  const { generator, model } = await at(step)
  return generator.images(Sampler.inputs(model.gan, LATENTS, [...Array(SHOWN).keys()]))
}

const evaluate = async (
  a: FeatureSet.Features,
  b: FeatureSet.Features,
  metrics: readonly Comparison.Metric[],
): Promise<Record<string, Metric>> => {
  const report = await Failure.orThrow(Comparison.scores(a, b, { metrics, bootstrap: 0, seed: 0 }))
  return JSON.parse(JSON.stringify(report.metrics)) as Record<string, Metric>
}

export const kidOf = async (a: FeatureSet.Features, b: FeatureSet.Features): Promise<number> =>
  (await evaluate(a, b, ["kid"])).kid!.value as number

/**
 * KID with its bootstrap interval, and the KID of every resample: those of two cells with the same photographs are paired (`Verdict`).
 */
const resampledKid = async (a: FeatureSet.Features, b: FeatureSet.Features): Promise<Metric> => {
  const { kid } = await evaluate(a, b, ["kid"])
  // a resample of very few images may hold copies of one image only
  if (Math.min(a.matrix.rows, b.matrix.rows) <= 4) return kid!
  const values = await Kid.resampled(a.matrix, b.matrix, { resamples: RESAMPLES, seed: 0 })
  return { ...kid!, interval: Kid.interval(values), resampled: [...values].map((v) => Number(v.toPrecision(6))) }
}

/**
 * All scores of one set of features.
 * @param train features of the training images, to measure memorisation
 */
export const report = async (
  a: FeatureSet.Features,
  { reporting, train }: { readonly reporting: FeatureSet.Features; readonly train?: FeatureSet.Features },
): Promise<Record<string, Metric>> => {
  const few = reporting.matrix.rows <= 5
  const kid = await resampledKid(a, reporting)
  const found = await evaluate(a, reporting, few ? ["fid", "diversity"] : ["fid", "prdc", "diversity"])
  // the report of FID may hold a KID without an interval
  if (train === undefined) return { ...found, kid }
  const { memorisation } = await evaluate(a, train, ["memorisation"])
  const heldOut = await evaluate(reporting, train, ["memorisation"])
  return { ...found, kid, memorisation: { ...memorisation!, heldOutMedian: heldOut.memorisation!.median } }
}

/** The steps that the deciding extractor scores: evenly spread, the last one at the end. */
export const candidates = (steps: readonly number[], count: number): readonly number[] =>
  [...new Set(Array.from({ length: count }, (_, k) => Math.ceil((steps.length * (k + 1)) / count) - 1))].map(
    (i) => steps[i]!,
  )

const curve = async (inputs: Work, steps: readonly number[], imagesAt: (step: number) => Promise<Batches>) => {
  const { training, score, places, threads } = inputs
  const { at } = await TrainingRun.times(training)
  return FeatureExtractors.using(score.curve, threads, async (extractor) => {
    const points: Scores["curve"] = []
    let label = ""
    for (const step of steps) {
      const batches = await imagesAt(step)
      const size = batches[0]!.shape[2]!
      const against = await reference(places.choosing, extractor, { count: score.count, size })
      const found = await evaluate(await featuresOf(batches, size, extractor), against, ["kid", "fid"])
      label = found.kid!.label
      points.push({ step, seconds: at(step), kid: found.kid!.value as number, fid: found.fid!.value as number })
    }
    return { points, label }
  })
}

/** The nearest training image of each sample that is shown. */
const nearestOf = async (inputs: Work, step: number, extractor: Extractor.Extractor, train: FeatureSet.Features) => {
  const shown = await samples(inputs, step)
  const { matrix } = await featuresOf([shown], shown.shape[2]!, extractor)
  const { index, distance } = await NearestNeighbours.nearest(matrix, train.matrix)
  const names = await TargetImages.withImages(inputs.places.train, async (set) => some(set, inputs.score.count).names)
  return [...index].map((row, i) => ({ image: names[row]!, distance: distance[i]! }))
}

const real = async (inputs: Work, steps: readonly number[], imagesAt: (step: number) => Promise<Batches>) => {
  const { training, score, places, threads } = inputs
  return FeatureExtractors.using(score.extractor, threads, async (extractor) => {
    const found: { readonly step: number; readonly features: FeatureSet.Features; readonly size: number }[] = []
    for (const step of candidates(steps, score.chosenFrom)) {
      const batches = await imagesAt(step)
      const size = batches[0]!.shape[2]!
      found.push({ step, features: await featuresOf(batches, size, extractor), size })
    }
    const { size } = found[0]!
    const side = (place: TargetImages.Place): Promise<FeatureSet.Features> =>
      reference(place, extractor, { count: score.count, size })
    const [choosing, reporting] = [await side(places.choosing), await side(places.reporting)]
    const train = await side(places.train)
    const judged = []
    for (const { step, features } of found) {
      const [a, b] = [await kidOf(features, choosing), await kidOf(features, reporting)]
      judged.push({ step, features, choosing: a, reporting: b })
    }
    const best = judged.reduce((a, b) => (b.choosing < a.choosing ? b : a))
    const { generator, model } = await inputs.at(best.step)
    const perClass = training.conditional
      ? await ClassScores.score({ generator, gan: model.gan, extractor, places })
      : {}
    return {
      candidates: judged.map(({ step, choosing, reporting }) => ({ step, choosing, reporting })),
      chosen: best.step,
      metrics: { ...(await report(best.features, { reporting, train })), ...perClass },
      nearest: await nearestOf(inputs, best.step, extractor, train),
    }
  })
}

/** KID in other features, under the name of its metric. */
export const secondKid = async (
  extractor: string,
  a: FeatureSet.Features,
  reporting: FeatureSet.Features,
): Promise<Record<string, Metric>> => ({
  [`kid-${extractor}`]: await resampledKid(a, reporting),
})

const second = async ({ score, places, threads }: Inputs, batches: Batches): Promise<Record<string, Metric>> => {
  const found: Record<string, Metric> = {}
  const size = batches[0]!.shape[2]!
  for (const name of score.second)
    await FeatureExtractors.using(name, threads, async (extractor) => {
      const against = await reference(places.reporting, extractor, { count: score.count, size })
      Object.assign(found, await secondKid(name, await featuresOf(batches, size, extractor), against))
    })
  return found
}

/** KID after each group of the source's discriminator. */
const alignment = async ({ source, engine, places, score }: Inputs, batches: Batches) => {
  const levels = await DiscriminatorKid.open(await Failure.orThrow(Model.open(source)), engine)
  if (levels === undefined) return undefined
  try {
    const size = batches[0]!.shape[2]!
    const against = await reference(places.reporting, levels, { count: score.count, size })
    return await DiscriminatorKid.perGroup(
      (await featuresOf(batches, size, levels)).matrix,
      against.matrix,
      levels.widths,
    )
  } finally {
    await levels.close()
  }
}

/** Files in a cell's folder. */
export const SAMPLES = "samples.png"
export const LEARNED = "learned.safetensors"
/** The layouts of some samples (rows) with the styles of others (columns); small heads only. */
export const MIXING = "mixing.png"
/** Interpolations from sample to sample. */
export const WALK = "walk.png"

const range = (from: number, to: number): readonly number[] => Array.from({ length: to - from }, (_, i) => from + i)

/** Writes images of the chosen checkpoint and the parameters of its modulation. */
const keep = async (work: Work, step: number): Promise<void> => {
  const images = await samples(work, step)
  const { model } = await work.at(step)
  const scale = images.shape[2]! < 64 ? 2 : 1
  const sheet = Image.sheet(Image.fromNchw(images), { columns: 10, scale })
  await Failure.orThrow(Image.writePng(join(work.folder, SAMPLES), sheet))
  const drawn = { model: model.path, checkpoint: step, seed: LATENTS }
  const draw = (options: Omit<Sample.Options, keyof typeof drawn>) =>
    Failure.orThrow(Sample.run({ ...drawn, ...options }, work.engine))
  await draw({ numbers: range(0, 5), interpolate: 8, grid: join(work.folder, WALK) })
  if (Gan.plain(model.gan.config).architecture === "gpgan-small-head")
    await draw({ numbers: range(0, 5), mix: range(5, 12), grid: join(work.folder, MIXING) })
  const leaves = model.modulation?.generator?.leaves
  if (leaves === undefined) return
  const own = Flat.map(leaves, (_, path) => NdArray.toFloat16(model.generator[path]!))
  await Failure.orThrow(Safetensors.write(join(work.folder, LEARNED), own))
}

/** Keeps what all scores of a cell have in common at the KID alone. */
const lean = (metrics: Readonly<Record<string, Metric>>): Record<string, Metric> =>
  Object.fromEntries(
    Object.entries(metrics).map(([name, metric]) => {
      const { images: _, versions: __, warnings: ___, ...own } = metric
      return [name, name === "kid" ? metric : own]
    }),
  )

const scored = async (work: Work): Promise<Scores> => {
  const { training, score } = work
  // an interrupted run has other checkpoints too
  const every = Cell.every(training, score)
  const all = await Failure.orThrow(RunFolder.checkpoints(TrainingRun.runOf(training)))
  const steps = all.filter((step) => step % every === 0 || step === training.schedule.steps)
  const wanted = new Set(candidates(steps, score.chosenFrom))
  const kept = new Map<number, Batches>()
  const imagesAt = async (step: number): Promise<Batches> => {
    const batches = kept.get(step) ?? (await fakes(work, step))
    if (wanted.has(step)) kept.set(step, batches)
    return batches
  }
  const { points, label } = await curve(work, steps, imagesAt)
  const found = await real(work, steps, imagesAt)
  const best = await imagesAt(found.chosen)
  const levels = await alignment(work, best)
  await keep(work, found.chosen)
  return {
    curve: points,
    curveLabel: label,
    ...found,
    metrics: lean({ ...found.metrics, ...(await second(work, best)) }),
    ...(levels !== undefined && { alignment: [...levels] }),
  }
}

/** Scores a finished training. */
export const of = (inputs: Inputs): Promise<Scores> => working(inputs, scored)
