/** The state of the page, and what changes it. */
import { Failure } from "@adafm/core"
import { computed, signal } from "@preact/signals"
import type {
  Engine,
  Job,
  Line,
  News,
  Photographs,
  Picture,
  Plan,
  Run,
  Settings,
  Source,
} from "../protocol/Protocol.ts"
import * as Client from "./Client.ts"
import * as WakeLock from "./WakeLock.ts"

export type View = "train" | "play" | "runs"

export const view = signal<View>("train")
export const engine = signal<Engine | undefined>(undefined)
export const sources = signal<readonly Source[]>([])
export const runs = signal<readonly Run[]>([])
export const source = signal("builtin:cifar32-small")
export const photographs = signal<Photographs | undefined>(undefined)
export const settings = signal<Settings>({})
export const plan = signal<Plan | undefined>(undefined)
/** What the page is doing for the person, in words. */
export const busy = signal<string | undefined>(undefined)
export const failure = signal<Failure.Failure | undefined>(undefined)

export interface Grid {
  readonly step: number
  readonly picture: Picture
}

export interface Training {
  readonly job: Job
  readonly state: "running" | "stopping" | "paused" | "done" | "failed"
  readonly phase: string
  readonly step: number
  readonly steps: number
  readonly secondsPerStep: number
  readonly stats: readonly Line[]
  readonly scores: readonly Line[]
  readonly notes: readonly string[]
  readonly grids: readonly number[]
}

export const training = signal<Training | undefined>(undefined)
/** The grid that is shown: the newest, or the one that the time slider points to. */
export const shown = signal<Grid | undefined>(undefined)
const isFollowing = signal(true)

/** The run that the view Play opens. */
export const toPlay = signal<string | undefined>(undefined)

export const isTraining = computed(() => ["running", "stopping"].includes(training.value?.state ?? ""))

/** Points of a curve that are kept: more cannot be seen. */
const POINTS = 2000

const thinned = (lines: readonly Line[]): readonly Line[] =>
  lines.length <= POINTS ? lines : lines.filter((_, i) => i % 2 === 0 || i === lines.length - 1)

type Step = Extract<News, { readonly kind: "step" }>

/** Steps that the page does not show yet: a call of the engine does several, and a curve need not be drawn for each. */
let unseen: readonly Step[] = []
/** Milliseconds between two drawings of the curves. */
const PACE = 500

const showSteps = (): void => {
  const [now, last] = [training.value, unseen.at(-1)]
  if (now !== undefined && last !== undefined) {
    const { step, steps, secondsPerStep } = last
    const added = unseen.map((one) => ({ step: one.step, ...one.stats }))
    training.value = { ...now, phase: "", step, steps, secondsPerStep, stats: thinned([...now.stats, ...added]) }
  }
  unseen = []
}

const hear = (news: News): void => {
  const now = training.value
  if (now === undefined) return
  switch (news.kind) {
    case "phase":
      training.value = { ...now, phase: news.text }
      break
    case "note":
      training.value = { ...now, notes: [...now.notes, news.text] }
      break
    case "step":
      if (unseen.length === 0) setTimeout(showSteps, PACE)
      unseen = [...unseen, news]
      break
    case "score":
      training.value = { ...now, scores: [...now.scores, news.line] }
      break
    case "grid":
      training.value = { ...now, grids: [...new Set([...now.grids, news.step])] }
      if (isFollowing.value) shown.value = { step: news.step, picture: news.picture }
      break
  }
}

const ended = (found: Failure.Failure): void => {
  failure.value = found
  if (training.value !== undefined && isTraining.value) training.value = { ...training.value, state: "failed" }
}

let trainer = Client.open(hear, ended)

/** Runs `body` with a note of what is done; what it throws is shown. */
export const doing = async (what: string, body: () => Promise<unknown>): Promise<void> => {
  busy.value = what
  failure.value = undefined
  try {
    await body()
  } catch (thrown) {
    failure.value = Failure.fromThrown(thrown)
  } finally {
    busy.value = undefined
  }
}

const asked = (): { provider?: "cpu" | "webgpu"; threads?: number } => {
  const query = new URLSearchParams(location.search)
  const [provider, threads] = [query.get("engine"), Number(query.get("threads"))]
  return {
    ...((provider === "cpu" || provider === "webgpu") && { provider }),
    ...(threads > 0 && { threads }),
  }
}

export const start = (): Promise<void> =>
  doing("starting the engine", async () => {
    const found = await trainer.call("start", asked())
    engine.value = found.engine
    runs.value = found.runs
    sources.value = found.sources
    isServed.value = await fetch("api/runs").then(
      ({ ok }) => ok,
      () => false,
    )
    const unfinished = found.runs.find(({ step, steps }) => step < steps)
    if (unfinished !== undefined) await show(unfinished)
  })

/** Opens a second worker for pictures, so that playing does not wait for a training. */
let player: Promise<Client.Client> | undefined
export const playing = (): Promise<Client.Client> => {
  player ??= (async () => {
    const client = Client.open(
      () => {},
      (found) => {
        failure.value = found
        player = undefined
      },
    )
    // single pictures are fast enough, and the graphics card is left to the training
    await client.call("start", { ...asked(), provider: "cpu" })
    return client
  })()
  player.catch(() => {
    player = undefined
  })
  return player
}

const SIZE = 32

const replan = async (): Promise<void> => {
  const found = photographs.value
  if (found === undefined || found.kept.length === 0) {
    plan.value = undefined
    return
  }
  plan.value = await trainer.call("plan", {
    source: source.value,
    photographs: found.folder,
    images: found.kept.length,
    settings: settings.value,
  })
}

export const drop = (files: readonly File[]): Promise<void> =>
  doing(`reading ${files.length === 1 ? files[0]!.name : `${files.length} files`}`, async () => {
    photographs.value = await trainer.call("addPhotographs", files, plan.value?.size ?? SIZE)
    await replan()
  })

export const choose = (path: string): Promise<void> =>
  doing("opening the source", async () => {
    source.value = path
    await replan()
  })

export const change = (given: Settings): Promise<void> =>
  doing("choosing the settings", async () => {
    settings.value = { ...settings.value, ...given }
    await replan()
  })

export const dropSource = (files: readonly File[]): Promise<void> =>
  doing(`reading ${files[0]!.name}`, async () => {
    const found = await trainer.call("addSource", files)
    sources.value = [...sources.value.filter(({ path }) => path !== found.path), found]
    source.value = found.path
    await replan()
  })

/** A run folder that was copied into this browser. */
export const bringRun = async (files: readonly File[]): Promise<Run> => {
  const found = await trainer.call("addRun", files)
  runs.value = await trainer.call("runs")
  return found
}

export const dropRun = (files: readonly File[]): Promise<void> =>
  doing(`reading ${files[0]!.name}`, async () => {
    await bringRun(files)
  })

/** Failures of the engine itself. A runtime that aborted once answers nothing more, so its worker is replaced. */
const BROKEN: readonly string[] = ["Unexpected", "WorkerEnded"]

/** Replaces a worker whose engine is broken. @returns whether the processor now does what the graphics card could not */
const recover = async ({ _tag, message }: Failure.Failure): Promise<boolean> => {
  if (!BROKEN.includes(_tag)) return false
  const wasOnCard = engine.value?.provider === "webgpu"
  trainer.end()
  trainer = Client.open(hear, ended)
  const found = await trainer.call("start", { ...asked(), ...(wasOnCard && { provider: "cpu" as const }) })
  engine.value = wasOnCard ? { ...found.engine, reason: `the graphics card failed (${message})` } : found.engine
  return wasOnCard
}

const train = async (job: Job): Promise<void> => {
  const before = training.value?.job.run === job.run ? training.value : undefined
  training.value = {
    job,
    state: "running",
    phase: "reading the photographs",
    step: before?.step ?? 0,
    steps: before?.steps ?? plan.value?.steps ?? 0,
    secondsPerStep: 0,
    stats: before?.stats ?? [],
    scores: before?.scores ?? [],
    notes: [],
    grids: before?.grids ?? [],
  }
  isFollowing.value = true
  failure.value = undefined
  const release = await WakeLock.hold()
  try {
    const { step, steps, stopped } = await trainer.call("train", job)
    showSteps()
    training.value = { ...training.value, step, steps, phase: "", state: stopped ? "paused" : "done" }
  } catch (thrown) {
    const found = Failure.fromThrown(thrown)
    const goesOn = await recover(found).catch(() => false)
    if (goesOn) return await train(job)
    failure.value = found
    training.value = { ...training.value, phase: "", state: "failed" }
  } finally {
    release()
    runs.value = await trainer.call("runs").catch(() => runs.value)
  }
}

/** `2026-01-31-1405`, unique enough for a person's own runs and sorted by time. */
const stamp = (): string => new Date().toISOString().slice(0, 19).replace("T", "-").replaceAll(":", "")

export const begin = (): void => {
  const found = photographs.value
  if (found === undefined) return
  shown.value = undefined
  training.value = undefined
  void train({
    run: `/runs/${stamp()}`,
    name: `run ${stamp().slice(0, 15)}`,
    source: source.value,
    photographs: found.folder,
    images: found.kept.length,
    settings: settings.value,
  })
}

/** Whether this page was opened by `adafm studio`, which can train natively. */
export const isServed = signal(false)

/** Sends the photographs to the program that serves this page, on this computer, and starts `adafm transfer` there. */
export const beginNatively = (): Promise<void> =>
  doing("handing the photographs to adafm", async () => {
    const found = photographs.value
    if (found === undefined) return
    const { recipe, steps, batch, learningRate } = settings.value
    const given = { source: source.value, recipe, steps, batch, learningRate, name: `studio-${stamp()}` }
    const query = new URLSearchParams(
      Object.entries(given).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])),
    )
    const { bytes } = await trainer.call("zip", found.folder)
    const response = await fetch(`api/transfers?${query}`, { method: "POST", body: bytes })
    if (!response.ok) Failure.raise("NotStarted", await response.text())
    view.value = "runs"
  })

export const pause = (): void => {
  if (training.value === undefined) return
  training.value = { ...training.value, state: "stopping" }
  void trainer.call("stop")
}

export const goOn = (): void => {
  if (training.value !== undefined) void train(training.value.job)
}

export const forget = (): void => {
  training.value = undefined
  shown.value = undefined
}

/** Shows a run of before, with its curves and pictures. */
export const show = async (run: Run): Promise<void> => {
  const { job, step, steps, grids } = run
  const [stats, scores] = await Promise.all([
    trainer.call("lines", job.run, "stats"),
    trainer.call("lines", job.run, "metric"),
  ])
  const last = grids.at(-1)
  training.value = {
    job,
    state: step < steps ? "paused" : "done",
    phase: "",
    step,
    steps,
    secondsPerStep: Number(stats.at(-1)?.ms ?? 0) / 1000,
    stats: stats.length > POINTS ? stats.filter((_, i) => i % Math.ceil(stats.length / POINTS) === 0) : stats,
    scores,
    notes: [],
    grids,
  }
  shown.value = last === undefined ? undefined : { step: last, picture: await trainer.call("grid", job.run, last) }
}

/** Shows the grid of a step; the newest one is followed again. */
export const lookBack = async (step: number): Promise<void> => {
  const now = training.value
  if (now === undefined) return
  isFollowing.value = step === now.grids.at(-1)
  shown.value = { step, picture: await trainer.call("grid", now.job.run, step) }
}

export const removeRun = (run: Run): Promise<void> =>
  doing("removing the run", async () => {
    await trainer.call("removeRun", run.job.run)
    if (training.value?.job.run === run.job.run) forget()
    runs.value = await trainer.call("runs")
  })

/** Makes a file in the other worker, so that a training goes on, and hands it to the browser. */
export const takeHome = (run: string, what: "onnx" | "safetensors" | "run" | "grid" | "walk"): Promise<void> =>
  doing(`making the file`, async () => {
    const { name, bytes } = await (await playing()).call("take", run, what)
    const link = document.createElement("a")
    link.href = URL.createObjectURL(new Blob([bytes]))
    link.download = name
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000)
  })
