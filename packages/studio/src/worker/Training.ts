/** Plans and runs a training: the transfer of the command line, on files in the browser's private file system. */
import { Failure } from "@adafm/core"
import * as Defaults from "@adafm/job/run/Defaults"
import * as Model from "@adafm/job/run/Model"
import * as Transfer from "@adafm/job/verbs/Transfer"
import type { Calls, Job, News, Plan, Settings } from "../protocol/Protocol.ts"
import * as EngineChoice from "./EngineChoice.ts"
import * as Pictures from "./Pictures.ts"
import * as Runs from "./Runs.ts"
import * as Sources from "./Sources.ts"

/** The share of the photographs that is kept apart for scores. */
const HELD_OUT = 0.2
/** With fewer on one side a score says nothing: then all photographs are trained on. */
const FEWEST = 10
/** Images on each side of a score. */
const SCORED = 128

/** At least as many are left as the usual method needs. */
const heldOutOf = (images: number): number => {
  const apart = Math.min(Math.round(HELD_OUT * images), images - Defaults.SCARCE)
  return apart < FEWEST ? 0 : apart
}

/** A picture, a score and a checkpoint about forty times in a run, but not more often than every ten steps. */
const everyOf = (steps: number): number => Math.max(10, Math.round(steps / 40))

const given = ({ recipe, steps, learningRate, batch, augment }: Settings) => ({
  ...(recipe !== undefined && { surgery: { recipe } }),
  ...(steps !== undefined && { steps }),
  ...(learningRate !== undefined && { learningRate }),
  ...(batch !== undefined && { batch }),
  ...(augment !== undefined && { augment: [...augment] }),
})

export const plan: (job: Parameters<Calls["plan"]>[0]) => Promise<Plan> = async ({ source, images, settings }) => {
  await Sources.ready(source)
  const heldOut = heldOutOf(images)
  const model = await Failure.orThrow(Model.open(source))
  const situation = { images: images - heldOut, size: model.gan.image[0] }
  const chosen = Defaults.resolve(given(settings), situation)
  const { steps } = chosen
  const choices = Defaults.explain(given(settings), chosen, situation, model.gan.config)
  return { size: situation.size, steps, every: settings.every ?? everyOf(steps), choices, heldOut }
}

let isStopping = false

/** Ends the training after the current step; its state is kept. */
export const stop = (): void => {
  isStopping = true
}

export const run = async (job: Job, tell: (news: News) => void): ReturnTypeOf<"train"> => {
  isStopping = false
  const { run: out, source, photographs, images, settings } = job
  await Sources.ready(source)
  const { steps, every, heldOut } = await plan(job)
  await Runs.remember({ ...job, settings: { ...settings, steps, every } })
  const engine = await EngineChoice.engine()
  await Runs.useEngine(out, `${engine.name}/${engine.provider}`)
  tell({ kind: "phase", text: "preparing the networks" })
  let isFirst = true
  const outcome = await Failure.orThrow(
    Transfer.run(
      {
        source,
        data: photographs,
        out,
        seed: settings.seed ?? 0,
        steps,
        every,
        ...given(settings),
        ...(heldOut > 0 && { limit: images - heldOut }),
        scoreCount: heldOut > 0 ? SCORED : 0,
        extractor: "embedded",
        scoreStart: true,
        // a browser gives a page little disk space
        keepBytes: 0,
        onNote: (text) => tell({ kind: "note", text }),
        onScore: (line) => tell({ kind: "score", line }),
        onGrid: (step, sheet) => {
          tell({ kind: "grid", step, picture: Pictures.ofRgb(sheet) })
          if (isFirst) tell({ kind: "phase", text: "compiling the training step" })
          isFirst = false
        },
        onProgress: ({ step, steps, stats, secondsPerStep }) =>
          tell({ kind: "step", step, steps, stats, secondsPerStep }),
        shouldStop: () => isStopping,
      },
      engine,
    ),
  )
  return { step: outcome.steps, steps, stopped: outcome.steps < steps }
}

type ReturnTypeOf<K extends keyof Calls> = Promise<ReturnType<Calls[K]>>
