/**
 * What the project does, in minutes and with nothing but what comes along: the bundled source becomes a generator of drawn
 * flowers by AdaFM, beside a network of the same shape that starts from nothing and trains for as long.
 */
import { join } from "node:path"
import { Failure, Files, type NdArray } from "@adafm/core"
import { Drawn, Image, type ImageSet } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { Extractor } from "@adafm/metrics"
import { Page, type Table } from "@adafm/report"
import * as E from "fp-ts/lib/Either.js"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as BundledModels from "../run/BundledModels.ts"
import * as Model from "../run/Model.ts"
import * as Sampler from "../run/Sampler.ts"
import * as Scorer from "../run/Scorer.ts"
import type * as Training from "../run/Training.ts"
import * as WeightFolders from "../run/WeightFolders.ts"
import * as Transfer from "./Transfer.ts"

export interface Options {
  /** Where runs and report go. */
  readonly out: string
  readonly source?: string
  readonly steps?: number
  readonly seed?: number
  /** The first arm ends after half of these seconds, the second after as many steps: a slow machine is not kept for long. */
  readonly budget?: number
  /** Images of each side of the curves' scores. */
  readonly scoreCount?: number
  /** Scores the finished generators through Inception where its weights are found; true by default. */
  readonly judge?: boolean
  readonly onNote?: (line: string) => void
  /** Steps of both arms together. */
  readonly onProgress?: (done: number, total: number, note: string) => void
  readonly shouldStop?: () => boolean
}

export interface Arm {
  readonly name: string
  readonly recipe: string
  readonly outcome: Transfer.Outcome
}

export interface Outcome {
  readonly report: string
  /** False when somebody asked to stop; the next call goes on. */
  readonly done: boolean
  readonly arms: readonly Arm[]
  readonly seconds: number
  /** Commands to go on with. */
  readonly next: readonly string[]
}

const SOURCE = "builtin:cifar32-small"
const IMAGES = 100
const SHOWN = 32
/** The small extractor that comes along: curves through it cost next to nothing. */
const SHIPPED = Extractor.best({ folders: [] })
/** Of the last score, through Inception, where its weights are found. */
const JUDGED = 100

const RECIPES = [
  { name: "AdaFM", recipe: "adafm" },
  { name: "from scratch", recipe: "scratch" },
] as const

const sheet = (images: readonly Image.Rgb[]): Promise<Uint8Array> =>
  Failure.orThrow(Image.png(Image.sheet(images, { columns: 8, scale: images[0]!.shape[0]! < 64 ? 2 : 1 })))

const drawImages = async (model: Model.Model, engine: Engine.Engine, seed: number): Promise<readonly Image.Rgb[]> => {
  const images: NdArray.NdArray<"float32"> = await Failure.orThrow(
    Sampler.images(model, engine, seed, [...Array(SHOWN).keys()]),
  )
  return Image.fromNchw(images)
}

/** A folder of an older version, or of other steps, gives way. */
const transfer = async (options: Transfer.Options, engine: Engine.Engine): Promise<Transfer.Outcome> => {
  const first = await Transfer.run(options, engine)()
  if (E.isRight(first)) return first.right
  if (first.left._tag !== "OtherRun") throw new Failure.Raised(first.left)
  return Failure.orThrow(Transfer.run({ ...options, restart: true }, engine))
}

/** `FID (embedded, …)` of a line of scores: the label and its value. */
const scoreOf = (score: Training.Score | undefined): readonly [label: string, value: number] | undefined =>
  Object.entries(score ?? {}).find((entry): entry is [string, number] => entry[0].startsWith("FID"))

const points = ({ outcome }: Arm): readonly { readonly x: number; readonly y: number }[] =>
  outcome.metrics.flatMap((score) => {
    const found = scoreOf(score)
    return found === undefined ? [] : [{ x: score.step, y: found[1] }]
  })

/** The finished generators through the best extractor of this machine, where that is another than the one that comes along. */
const judge = async (
  models: readonly Model.Model[],
  options: { readonly reference: ImageSet.ImageSet; readonly size: number; readonly seed: number },
  engine: Engine.Engine,
): Promise<Judgement | undefined> => {
  if (Extractor.best({ folders: WeightFolders.all() }) === SHIPPED) return undefined
  const scorer = await Scorer.open(options.reference, { ...options, count: JUDGED, metrics: ["fid"] })
  try {
    const values: number[] = []
    for (const model of models) {
      const generator = await Sampler.open(model, engine)
      const batches = Sampler.stream(generator, model.gan, { count: scorer.count, seed: options.seed })
      const report = await scorer.score(batches)
      values.push(report.metrics.fid!.value as number)
      await generator.dispose()
    }
    return { label: `FID (${scorer.extractor.name}), ${scorer.count} images`, values }
  } finally {
    await scorer.close()
  }
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

const slow = (steps: number, wanted: number): string =>
  `this machine is slow: both arms end after ${steps} of ${wanted} steps, early ones; the same command again goes on from there`

/** What the one seed shows, in words. */
const verdict = (arms: readonly Arm[]): string => {
  const ends = arms.flatMap((arm) => {
    const end = points(arm).at(-1)
    return end === undefined ? [] : [{ name: arm.name, ...end }]
  })
  const said = ends.map(({ name, y }) => `${name} is at ${y.toFixed(1)}`).join(", ")
  return ends.length === 0 ? "" : `After ${ends[0]!.x} steps ${said}. That is one seed: another may end otherwise.`
}

/** PHOTOS stands for a folder or zip of one's own. */
const nextCommands = (): readonly string[] => [
  `pnpm -s adafm transfer --source ${BundledModels.recommended()} --data PHOTOS --out runs/mine`,
  "pnpm -s adafm sample runs/mine --count 64 --grid mine.png",
  "pnpm -s adafm export runs/mine --onnx mine.onnx",
]

interface Judgement {
  readonly label: string
  readonly values: readonly number[]
}

interface Shown {
  /** Steps that the arms were to take. */
  readonly wanted: number
  readonly source: readonly Image.Rgb[]
  readonly target: readonly Image.Rgb[]
  readonly after: readonly (readonly Image.Rgb[])[]
}

const page = async (
  arms: readonly Arm[],
  shown: Shown,
  judged: Judgement | undefined,
  source: string,
  engine: Engine.Engine,
): Promise<Page.Page> => {
  const label = scoreOf(arms[0]!.outcome.metrics[0])?.[0] ?? "score"
  const steps = Math.max(...arms.map(({ outcome }) => outcome.steps))
  const rows = arms.map((arm, k): readonly Table.Cell[] => {
    const { trainable, copied } = arm.outcome.plan
    const curve = points(arm)
    return [
      arm.name,
      trainable / 1e6,
      copied / 1e6,
      curve[0]?.y,
      curve.at(-1)?.y,
      ...(judged ? [judged.values[k]] : []),
    ]
  })
  const shownAfter = await Promise.all(
    arms.map(async ({ name }, k) => ({ png: await sheet(shown.after[k]!), caption: `${name}, ${steps} steps` })),
  )
  return {
    title: "A hundred flowers, two generators",
    subtitle: `${steps} steps each on ${IMAGES} drawn pictures: once with the filters of a pretrained GAN, once from nothing.`,
    blocks: [
      Page.note(
        "Illustration, not evidence: one seed, a small source, a few minutes of training, pictures that a program drew. " +
          "The experiments of this project are where claims are tested.",
      ),
      ...(steps < shown.wanted ? [Page.text(`${capital(slow(steps, shown.wanted))}.`)] : []),
      Page.heading("Before"),
      Page.grid({
        pictures: [
          { png: await sheet(shown.source), caption: `What the source makes (${source})` },
          { png: await sheet(shown.target), caption: `Some of the ${IMAGES} flowers to learn from` },
        ],
      }),
      Page.heading("After"),
      Page.grid({ pictures: shownAfter }),
      Page.heading("How it went"),
      Page.chart({
        kind: "lines",
        title: `${label}: lower is nearer to flowers that nobody trained on`,
        x: { label: "step" },
        y: { label: label.replace(/ \(.*/, ""), from: 0 },
        series: arms.map((arm) => ({ name: arm.name, points: points(arm) })),
      }),
      Page.table({
        columns: [
          { title: "" },
          { title: "trained, millions", digits: 2 },
          { title: "copied, millions", digits: 2 },
          { title: "start", digits: 3 },
          { title: "end", digits: 3, best: "low" },
          ...(judged ? [{ title: judged.label, digits: 3, best: "low" as const }] : []),
        ],
        rows,
      }),
      Page.text(verdict(arms)),
      Page.facts({
        "score looks through": String(arms[0]!.outcome.metrics[0]?.extractor ?? "nothing"),
        "images of each side": Number(arms[0]!.outcome.metrics[0]?.count ?? 0),
        engine: engine.provider === undefined ? engine.name : `${engine.name}, ${engine.provider}`,
      }),
      Page.heading("With your own images"),
      Page.text(
        "PHOTOS is a folder or a zip; docs/photos.md goes through it step by step. Where pnpm is not found: npx pnpm@10.34.8.",
      ),
      Page.code(nextCommands().join("\n")),
    ],
  }
}

export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const {
      out,
      source = SOURCE,
      seed = 0,
      steps = 400,
      budget = 160,
      scoreCount = 400,
      onNote,
      onProgress,
      shouldStop,
    } = options
    const began = performance.now()
    const elapsed = (): number => (performance.now() - began) / 1000
    const original = await Failure.orThrow(Model.open(source))
    const size = original.gan.image[0]
    const pictures = { size, count: IMAGES, seed }
    const data = Drawn.flowers(pictures)
    const reference = Drawn.flowers({ ...pictures, count: scoreCount, split: "held-out" })
    onNote?.(`source: ${source}; target: ${IMAGES} drawn flowers of ${size} px`)

    const arms: Arm[] = []
    let length = steps
    let stopped = false
    for (const [k, { name, recipe }] of RECIPES.entries()) {
      const left = (): number => (k === 0 ? budget / 2 - elapsed() : Number.POSITIVE_INFINITY)
      /** Steps that this arm comes to at its pace, so that a slow machine is not told of minutes that are not taken. */
      const ahead = ({ step, secondsPerStep }: Training.Progress): number =>
        elapsed() < budget / 8 ? length : Math.min(length, step + Math.max(0, Math.ceil(left() / secondsPerStep)))
      const outcome = await transfer(
        {
          // a small head is new and has much to learn; in so few steps the source's own first layers get further
          source,
          surgery: { recipe, head: "gp", unfreezeAt: Math.floor(steps / 6) },
          seed,
          data: data.path,
          reference: reference.path,
          out: join(out, recipe),
          steps: length,
          every: Math.max(1, Math.ceil(steps / 5)),
          scoreCount,
          extractor: SHIPPED,
          learningRate: 2e-4,
          onProgress: (p) => {
            onProgress?.(
              k * length + p.step,
              2 * ahead(p),
              `${name}, ${(1000 * p.secondsPerStep).toFixed(0)} ms a step`,
            )
          },
          onScore: (score) => {
            const found = scoreOf(score)
            if (found !== undefined) onNote?.(`${name}, step ${score.step}: ${found[0]} ${found[1].toFixed(3)}`)
          },
          shouldStop: () => {
            stopped ||= shouldStop?.() === true
            return stopped || left() < 0
          },
        },
        engine,
      )
      arms.push({ name, recipe, outcome })
      if (stopped) return { report: "", done: false, arms, seconds: elapsed(), next: ["npm start"] }
      if (outcome.steps < length) onNote?.(slow(outcome.steps, length))
      length = outcome.steps
    }

    const flowers = await Promise.all(
      Array.from({ length: SHOWN }, (_, i) => Failure.orThrow(data.decode(Math.floor((i * IMAGES) / SHOWN)))),
    )
    const models: Model.Model[] = []
    for (const { recipe } of arms) models.push(await Failure.orThrow(Model.open(join(out, recipe))))
    const after: (readonly Image.Rgb[])[] = []
    for (const model of models) after.push(await drawImages(model, engine, seed))
    const judged = options.judge === false ? undefined : await judge(models, { reference, size, seed }, engine)
    const shown = { wanted: steps, source: await drawImages(original, engine, seed), target: flowers, after }
    const report = join(out, "report.html")
    await Failure.orThrow(Files.write(report, Page.html(await page(arms, shown, judged, source, engine))))
    return { report, done: true, arms, seconds: elapsed(), next: nextCommands() }
  })
