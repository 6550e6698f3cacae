/** How good the checkpoints of a training are: a curve through cheap features, the real scores at a few of them, the best one reported. */
import { join } from "node:path"
import { Failure, Flat, type NdArray, Safetensors } from "@adafm/core"
import { Image, Subset } from "@adafm/data"
import type { Engine } from "@adafm/engine"
import { RunFolder } from "@adafm/gan"
import { Model, References, Sample, Weights } from "@adafm/job"
import { Evaluate, Extractor, Features } from "@adafm/metrics"
import { z } from "zod"
import type * as Cell from "./Cell.ts"
import * as Conditional from "./Conditional.ts"
import * as Target from "./Target.ts"
import * as Trained from "./Trained.ts"

export const Metric = z.looseObject({ value: z.unknown(), label: z.string() })
export type Metric = z.output<typeof Metric>

export const Scores = z.strictObject({
  /** KID through cheap features against the images that choose. */
  curve: z.array(z.strictObject({ step: z.number(), seconds: z.number(), kid: z.number(), fid: z.number() })),
  curveLabel: z.string(),
  /** Through the real extractor: against the images that choose, and those that report. */
  candidates: z.array(z.strictObject({ step: z.number(), choosing: z.number(), reporting: z.number() })),
  /** The candidate with the lowest KID against the images that choose. */
  chosen: z.number(),
  /** Of the chosen checkpoint, each with its provenance as `evaluate` gives it. */
  metrics: z.record(z.string(), Metric),
})
export type Scores = z.output<typeof Scores>

export interface Ask {
  readonly training: Cell.Training
  readonly score: Cell.Score
  readonly places: Target.Places
  readonly engine: Engine
  /** Threads of the extractors. */
  readonly threads?: number
  /** Where pictures and the modulation's parameters go. */
  readonly folder: string
}

/** One set of latents for all: any two variants are compared on what they make of the same ones. */
const LATENTS = 0
const SHOWN = 40
const RESAMPLES = 200

const openExtractor = (name: string, threads: number | undefined): Promise<Extractor.Extractor> =>
  Failure.orRaise(Extractor.open({ name, ...Weights.search(), ...(threads !== undefined && { threads }) }))

/** Features of a place's images, at most `count` of them, kept in the cache. */
export const reference = (
  place: Target.Place,
  extractor: Extractor.Extractor,
  { count, size }: { readonly count: number; readonly size: number },
): Promise<Features.Features> =>
  Target.withImages(place, (set) =>
    References.features(Subset.take(set, { limit: count, seed: 0 }), extractor, { size, seed: 0 }),
  )

const fakes = (
  generator: Sample.Generator,
  gan: Model.Model["gan"],
  extractor: Extractor.Extractor,
  count: number,
): Promise<Features.Features> => {
  const batches = Sample.stream(generator, gan, { count, seed: LATENTS })
  const options = { count, size: gan.image[0], seed: 0 }
  return Failure.orRaise(Features.of({ kind: "batches", name: "generator", batches }, extractor, options))
}

/** A generator of the run as it was after `step` steps. */
const withGenerator = async <A>(
  run: string,
  step: number,
  engine: Engine,
  body: (generator: Sample.Generator, model: Model.Model) => Promise<A>,
): Promise<A> => {
  const model = await Failure.orRaise(Model.open(run, { step }))
  const generator = await Sample.open(model, engine, 64)
  try {
    return await body(generator, model)
  } finally {
    await generator.dispose()
  }
}

const evaluate = async (
  a: Features.Features,
  b: Features.Features,
  metrics: readonly Evaluate.Metric[],
  bootstrap = 0,
): Promise<Record<string, Metric>> => {
  const report = await Failure.orRaise(Evaluate.scores(a, b, { metrics, bootstrap, seed: 0 }))
  return JSON.parse(JSON.stringify(report.metrics)) as Record<string, Metric>
}

export const kidOf = async (a: Features.Features, b: Features.Features): Promise<number> =>
  (await evaluate(a, b, ["kid"])).kid!.value as number

/**
 * Everything that is reported of one set of features.
 * @param train images that were trained on: are the others copies of them?
 */
export const report = async (
  a: Features.Features,
  { reporting, train }: { readonly reporting: Features.Features; readonly train?: Features.Features },
): Promise<Record<string, Metric>> => {
  const few = reporting.matrix.rows <= 5
  const { kid } = await evaluate(a, reporting, ["kid"], RESAMPLES)
  const found = await evaluate(a, reporting, few ? ["fid", "diversity"] : ["fid", "prdc", "diversity"])
  // FID of few images brings a KID without an interval
  if (train === undefined) return { ...found, kid: kid! }
  const { memorisation } = await evaluate(a, train, ["memorisation"])
  const heldOut = await evaluate(reporting, train, ["memorisation"])
  return { ...found, kid: kid!, memorisation: { ...memorisation!, heldOutMedian: heldOut.memorisation!.median } }
}

/** The steps that the real extractor looks at: evenly spread, the last at the end. */
export const candidates = (steps: readonly number[], count: number): readonly number[] =>
  [...new Set(Array.from({ length: count }, (_, k) => Math.ceil((steps.length * (k + 1)) / count) - 1))].map(
    (i) => steps[i]!,
  )

const curve = async ({ training, score, places, engine, threads }: Ask, steps: readonly number[]) => {
  const run = Trained.runOf(training)
  const { at } = await Trained.times(training)
  const extractor = await openExtractor(score.curve, threads)
  try {
    const points: Scores["curve"] = []
    let against: Features.Features | undefined
    let label = ""
    for (const step of steps) {
      await withGenerator(run, step, engine, async (generator, { gan }) => {
        against ??= await reference(places.choosing, extractor, { count: score.count, size: gan.image[0] })
        const found = await evaluate(await fakes(generator, gan, extractor, score.count), against, ["kid", "fid"])
        label = found.kid!.label
        points.push({ step, seconds: at(step), kid: found.kid!.value as number, fid: found.fid!.value as number })
      })
    }
    return { points, label }
  } finally {
    await extractor.close()
  }
}

const real = async ({ training, score, places, engine, threads }: Ask, steps: readonly number[]) => {
  const run = Trained.runOf(training)
  const extractor = await openExtractor(score.extractor, threads)
  try {
    const found: { readonly step: number; readonly features: Features.Features; readonly size: number }[] = []
    for (const step of candidates(steps, score.chosenFrom))
      await withGenerator(run, step, engine, async (generator, { gan }) => {
        found.push({ step, features: await fakes(generator, gan, extractor, score.count), size: gan.image[0] })
      })
    const { size } = found[0]!
    const side = (place: Target.Place): Promise<Features.Features> =>
      reference(place, extractor, { count: score.count, size })
    const [choosing, reporting] = [await side(places.choosing), await side(places.reporting)]
    const train = await side(places.train)
    const judged = []
    for (const { step, features } of found) {
      const [a, b] = [await kidOf(features, choosing), await kidOf(features, reporting)]
      judged.push({ step, features, choosing: a, reporting: b })
    }
    const best = judged.reduce((a, b) => (b.choosing < a.choosing ? b : a))
    const perClass = training.conditional
      ? await withGenerator(run, best.step, engine, (generator, { gan }) =>
          Conditional.score({ generator, gan, extractor, places }),
        )
      : {}
    return {
      candidates: judged.map(({ step, choosing, reporting }) => ({ step, choosing, reporting })),
      chosen: best.step,
      metrics: { ...(await report(best.features, { reporting, train })), ...perClass },
    }
  } finally {
    await extractor.close()
  }
}

export const samplesOf = (folder: string): string => join(folder, "samples.png")
export const learnedOf = (folder: string): string => join(folder, "learned.safetensors")

/** Pictures of the chosen checkpoint, and what its modulation learned. */
const keep = async ({ training, engine, folder }: Ask, step: number): Promise<void> =>
  withGenerator(Trained.runOf(training), step, engine, async (generator, model) => {
    const [size] = model.gan.image
    const images = await generator.images(Sample.inputs(model.gan, LATENTS, [...Array(SHOWN).keys()]))
    const sheet = Image.sheet(Image.fromNchw(images), { columns: 10, scale: size < 64 ? 2 : 1 })
    await Failure.orRaise(Image.writePng(samplesOf(folder), sheet))
    const leaves = model.modulation?.generator?.leaves
    if (leaves === undefined) return
    const own: Flat.Flat<NdArray.NdArray> = Flat.map(leaves, (_, path) => model.generator[path]!)
    await Failure.orRaise(Safetensors.write(learnedOf(folder), own))
  })

/** Scores a finished training. */
export const of = async (ask: Ask): Promise<Scores> => {
  const steps = await Failure.orRaise(RunFolder.checkpoints(Trained.runOf(ask.training)))
  const { points, label } = await curve(ask, steps)
  const found = await real(ask, steps)
  await keep(ask, found.chosen)
  return { curve: points, curveLabel: label, ...found }
}
