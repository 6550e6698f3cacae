/**
 * The demonstration, in minutes and without a download: AdaFM adapts the bundled source to drawn flowers, and a network of the
 * same shape trains from scratch for as many steps.
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
  /** The folder of the runs and the report. */
  readonly out: string
  readonly source?: string
  readonly steps?: number
  readonly seed?: number
  /** Seconds. The first arm ends after half of them, the second after the same number of steps: a slow machine does fewer. */
  readonly budget?: number
  /** Images on each side of the scores along training. */
  readonly scoreCount?: number
  /** Whether Inception scores the finished generators too, if its weights are found; true by default. */
  readonly judge?: boolean
  /** How the user calls the command, for messages: `npx adafm`. */
  readonly command?: string
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
  /** False if the user stopped it; the next call resumes. */
  readonly done: boolean
  readonly arms: readonly Arm[]
  readonly seconds: number
  /** Commands to try next. */
  readonly next: readonly string[]
}

const SOURCE = "builtin:cifar32-small"
const COMMAND = "npx adafm"
const IMAGES = 100
const SHOWN = 32
/** The small bundled extractor, which costs almost nothing. */
const BUNDLED = Extractor.best({ folders: [] })
/** Images on each side of the final score by Inception. */
const FINAL = 100

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

/** Runs a transfer; a run with another configuration (of an older version, of other steps) is moved aside. */
const transfer = async (options: Transfer.Options, engine: Engine.Engine): Promise<Transfer.Outcome> => {
  const first = await Transfer.run(options, engine)()
  if (E.isRight(first)) return first.right
  if (first.left._tag !== "OtherRun") throw new Failure.Raised(first.left)
  return Failure.orThrow(Transfer.run({ ...options, restart: true }, engine))
}

/** The FID of a line of scores: its label, `FID (embedded, …)`, and value. */
const scoreOf = (score: Training.Score | undefined): readonly [label: string, value: number] | undefined =>
  Object.entries(score ?? {}).find((entry): entry is [string, number] => entry[0].startsWith("FID"))

const points = ({ outcome }: Arm): readonly { readonly x: number; readonly y: number }[] =>
  outcome.metrics.flatMap((score) => {
    const found = scoreOf(score)
    return found === undefined ? [] : [{ x: score.step, y: found[1] }]
  })

/** Scores the finished generators by the best extractor on this machine, unless that is the bundled one. */
const judge = async (
  models: readonly Model.Model[],
  options: { readonly reference: ImageSet.ImageSet; readonly size: number; readonly seed: number },
  engine: Engine.Engine,
): Promise<Judgement | undefined> => {
  if (Extractor.best({ folders: WeightFolders.all() }) === BUNDLED) return undefined
  const scorer = await Scorer.open(options.reference, { ...options, count: FINAL, metrics: ["fid"] })
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
  `this machine is slow: both arms end early, after ${steps} of ${wanted} steps; the same command again continues from there`

/** The last scores, in words. */
const verdict = (arms: readonly Arm[]): string => {
  const ends = arms.flatMap((arm) => {
    const end = points(arm).at(-1)
    return end === undefined ? [] : [{ name: arm.name, ...end }]
  })
  const said = ends.map(({ name, y }) => `${name} ${y.toFixed(1)}`).join(", ")
  return ends.length === 0
    ? ""
    : `FID after ${ends[0]!.x} steps: ${said}. This is one seed; another may end differently.`
}

/** `PHOTOS` is the user's folder or zip of images. */
const nextCommands = (command: string): readonly string[] => [
  `${command} transfer --source ${BundledModels.recommended()} --data PHOTOS --out runs/mine`,
  `${command} sample runs/mine --count 64 --grid mine.png`,
  `${command} export runs/mine --onnx mine.onnx`,
]

/** The command that continues. */
const sameCommand = ({ command = COMMAND, out, source, steps, seed }: Options): string =>
  [
    `${command} demo --out ${out}`,
    ...(source === undefined ? [] : [`--source ${source}`]),
    ...(steps === undefined ? [] : [`--steps ${steps}`]),
    ...(seed === undefined || seed === 0 ? [] : [`--seed ${seed}`]),
  ].join(" ")

interface Judgement {
  readonly label: string
  readonly values: readonly number[]
}

interface Shown {
  /** Steps that both arms should have taken. */
  readonly wanted: number
  readonly source: readonly Image.Rgb[]
  readonly target: readonly Image.Rgb[]
  readonly after: readonly (readonly Image.Rgb[])[]
}

const page = async (
  arms: readonly Arm[],
  shown: Shown,
  judged: Judgement | undefined,
  { source = SOURCE, command = COMMAND }: Options,
  engine: Engine.Engine,
): Promise<Page.Page> => {
  const label = scoreOf(arms[0]!.outcome.metrics[0])?.[0] ?? "score"
  const metric = label.replace(/ \(.*/, "")
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
    subtitle: `${steps} steps each on ${IMAGES} drawn pictures: one starts with the filters of a pretrained GAN, the other from scratch.`,
    blocks: [
      Page.note(
        "Illustration, not evidence: one seed, a small source, a few minutes of training, pictures drawn by a program. " +
          "The experiments of this project test its claims.",
      ),
      ...(steps < shown.wanted ? [Page.text(`${capital(slow(steps, shown.wanted))}.`)] : []),
      Page.heading("Before"),
      Page.grid({
        pictures: [
          { png: await sheet(shown.source), caption: `Samples of the source (${source})` },
          { png: await sheet(shown.target), caption: `Some of the ${IMAGES} flowers to learn from` },
        ],
      }),
      Page.heading("After"),
      Page.grid({ pictures: shownAfter }),
      Page.heading("Scores"),
      Page.chart({
        kind: "lines",
        title: `${label} against flowers that are not trained on; lower is better`,
        x: { label: "step" },
        y: { label: metric, from: 0 },
        series: arms.map((arm) => ({ name: arm.name, points: points(arm) })),
      }),
      Page.table({
        columns: [
          { title: "" },
          { title: "trained parameters, millions", digits: 2 },
          { title: "copied parameters, millions", digits: 2 },
          { title: `${metric} before`, digits: 3 },
          { title: `${metric} after`, digits: 3, best: "low" },
          ...(judged ? [{ title: judged.label, digits: 3, best: "low" as const }] : []),
        ],
        rows,
      }),
      Page.text(verdict(arms)),
      Page.facts({
        "feature extractor": String(arms[0]!.outcome.metrics[0]?.extractor ?? "none"),
        "images on each side": Number(arms[0]!.outcome.metrics[0]?.count ?? 0),
        engine: engine.provider === undefined ? engine.name : `${engine.name}, ${engine.provider}`,
      }),
      Page.heading("With your own images"),
      Page.text(
        "Put your folder or zip of images in place of PHOTOS. docs/photos.md explains every step." +
          (command.startsWith("pnpm") ? " If pnpm is not found, write npx pnpm@10.34.8 in its place." : ""),
      ),
      Page.code(nextCommands(command).join("\n")),
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
      command = COMMAND,
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
      /** Steps that this arm will reach at its pace: on a slow machine the time left counts no others. */
      const ahead = ({ step, secondsPerStep }: Training.Progress): number =>
        elapsed() < budget / 8 ? length : Math.min(length, step + Math.max(0, Math.ceil(left() / secondsPerStep)))
      const outcome = await transfer(
        {
          // a small head begins untrained; in so few steps the source's own first layers get further
          source,
          surgery: { recipe, head: "gp", unfreezeAt: Math.floor(steps / 6) },
          seed,
          data: data.path,
          reference: reference.path,
          out: join(out, recipe),
          steps: length,
          every: Math.max(1, Math.ceil(steps / 5)),
          scoreCount,
          extractor: BUNDLED,
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
      if (stopped) return { report: "", done: false, arms, seconds: elapsed(), next: [sameCommand(options)] }
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
    await Failure.orThrow(Files.write(report, Page.html(await page(arms, shown, judged, options, engine))))
    return { report, done: true, arms, seconds: elapsed(), next: nextCommands(command) }
  })
