/**
 * The demonstration, in minutes and without a download: AdaFM adapts the bundled source to drawn flowers, and a network of the
 * same shape trains from scratch for as many steps.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Failure, Files, type NdArray } from "@adafm/core"
import { Drawn, Image, type ImageSet } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { ModelFolder, RunFolder } from "@adafm/gan"
import { Extractor } from "@adafm/metrics"
import { Page } from "@adafm/report"
import * as E from "fp-ts/lib/Either.js"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as DemoPage from "../page/DemoPage.ts"
import * as BundledModels from "../run/BundledModels.ts"
import * as Model from "../run/Model.ts"
import { RunConfig } from "../run/RunConfig.ts"
import * as Sampler from "../run/Sampler.ts"
import * as Scorer from "../run/Scorer.ts"
import * as WeightFolders from "../run/WeightFolders.ts"
import * as DemoPlan from "./DemoPlan.ts"
import * as Transfer from "./Transfer.ts"
import * as TransferPlan from "./TransferPlan.ts"

export interface Options {
  /** The folder of the runs and the report. */
  readonly out: string
  readonly source?: string
  readonly steps?: number
  readonly seed?: number
  /** Seconds of training of both arms together: a slow machine takes fewer steps, of fewer images. */
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

export interface Outcome {
  readonly report: string
  /** False if the user stopped it; the next call resumes. */
  readonly done: boolean
  readonly arms: readonly DemoPage.Arm[]
  readonly seconds: number
  /** Commands to try next. */
  readonly next: readonly string[]
}

const SOURCE = "builtin:cifar32-small"
const COMMAND = "npx adafm"
const IMAGES = 100
const STEPS = 400
/** Seconds */
const BUDGET = 160
const SHOWN = 32
/** The small bundled extractor, which costs almost nothing. */
const BUNDLED = Extractor.best({ folders: [] })
/** Images on each side of the final score by Inception. */
const FINAL = 100

const RECIPES = [
  { name: "AdaFM", recipe: "adafm" },
  { name: "from scratch", recipe: "scratch" },
] as const

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

/** Scores the finished generators by the best extractor on this machine, unless that is the bundled one. */
const judge = async (
  models: readonly Model.Model[],
  options: { readonly reference: ImageSet.ImageSet; readonly size: number; readonly seed: number },
  engine: Engine.Engine,
): Promise<DemoPage.Judgement | undefined> => {
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

/** What an earlier call did in this folder. */
const earlier = async (run: string): Promise<Pick<DemoPlan.Measured, "done" | "batch">> => {
  const file = join(run, "config.json")
  if (!existsSync(file)) return {}
  const [config, steps] = await Promise.all([
    Failure.orThrow(ModelFolder.readJson(RunConfig, file)),
    Failure.orThrow(RunFolder.checkpoints(run)),
  ])
  return { batch: config.batch, done: steps.at(-1) ?? 0 }
}

/** Times a few steps of the first arm, and plans both arms from them. */
const planOf = async (
  asked: TransferPlan.Options,
  { steps: wanted = STEPS, budget = BUDGET, out }: Options,
  engine: Engine.Engine,
): Promise<DemoPlan.DemoPlan> => {
  const measured = await Failure.orThrow(
    TransferPlan.plan({ ...asked, batch: DemoPlan.BATCH, images: IMAGES, timed: { scoreCount: 0 } }, engine),
  )
  const { secondsPerStep } = measured.time!
  return DemoPlan.of({ wanted, secondsPerStep, seconds: budget, ...(await earlier(join(out, RECIPES[0].recipe))) })
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

export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const {
      out,
      source = SOURCE,
      seed = 0,
      steps = STEPS,
      scoreCount = 400,
      command = COMMAND,
      onNote,
      onProgress,
      shouldStop,
    } = options
    const began = performance.now()
    const elapsed = (): number => (performance.now() - began) / 1000
    const original = await Failure.orThrow(Model.open(source, { onNote }))
    const size = original.gan.image[0]
    const pictures = { size, count: IMAGES, seed }
    const data = Drawn.flowers(pictures)
    const reference = Drawn.flowers({ ...pictures, count: scoreCount, split: "held-out" })
    onNote?.(`source: ${source}; target: ${IMAGES} drawn flowers of ${size} px`)

    const arms: DemoPage.Arm[] = []
    // a small head begins untrained; in so few steps the source's own first layers get further
    const asked = (recipe: string) => ({
      source,
      surgery: { recipe, head: "gp" as const, unfreezeAt: Math.floor(steps / 6) },
      seed,
      learningRate: 2e-4,
    })
    const plan = await planOf(asked(RECIPES[0].recipe), options, engine)
    if (plan.steps < steps) onNote?.(DemoPlan.text(plan, steps))
    let stopped = false
    for (const [k, { name, recipe }] of RECIPES.entries()) {
      const outcome = await transfer(
        {
          ...asked(recipe),
          data: data.path,
          reference: reference.path,
          out: join(out, recipe),
          ...plan,
          every: Math.max(1, Math.ceil(steps / 5)),
          scoreCount,
          extractor: BUNDLED,
          onProgress: (p) => {
            onProgress?.(
              k * plan.steps + p.step,
              2 * plan.steps,
              `${name}, ${(1000 * p.secondsPerStep).toFixed(0)} ms a step`,
            )
          },
          onGrid: (step, _, file) => onNote?.(`${name}, step ${step}: pictures in ${file}`),
          onScore: (score) => {
            const found = DemoPage.scoreOf(score)
            if (found !== undefined) onNote?.(`${name}, step ${score.step}: ${found[0]} ${found[1].toFixed(3)}`)
          },
          shouldStop: () => {
            stopped ||= shouldStop?.() === true
            return stopped
          },
        },
        engine,
      )
      arms.push({ name, recipe, outcome })
      if (stopped) return { report: "", done: false, arms, seconds: elapsed(), next: [sameCommand(options)] }
    }

    const flowers = await Promise.all(
      Array.from({ length: SHOWN }, (_, i) => Failure.orThrow(data.decode(Math.floor((i * IMAGES) / SHOWN)))),
    )
    const models: Model.Model[] = []
    for (const { recipe } of arms) models.push(await Failure.orThrow(Model.open(join(out, recipe))))
    const after: (readonly Image.Rgb[])[] = []
    for (const model of models) after.push(await drawImages(model, engine, seed))
    const judged = options.judge === false ? undefined : await judge(models, { reference, size, seed }, engine)
    const shown = { wanted: steps, plan, source: await drawImages(original, engine, seed), target: flowers, after }
    const report = join(out, "report.html")
    await Failure.orThrow(
      Files.write(
        report,
        Page.html(
          await DemoPage.of(
            arms,
            shown,
            judged,
            { source, command, images: IMAGES, next: nextCommands(command) },
            engine,
          ),
        ),
      ),
    )
    return { report, done: true, arms, seconds: elapsed(), next: nextCommands(command) }
  })
