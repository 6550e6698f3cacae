/** One call of an experiment: plans its cells, runs the unfinished ones and writes the pages. */
import { existsSync } from "node:fs"
import { rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Failure, Files } from "@adafm/core"
import { ModelFolder } from "@adafm/gan"
import { Page } from "@adafm/report"
import * as Catalogue from "../declare/Catalogue.ts"
import type * as Experiment from "../declare/Experiment.ts"
import type { Results } from "../judge/ExperimentResults.ts"
import * as ReferenceScores from "../judge/ReferenceScores.ts"
import * as ResultsFile from "../judge/ResultsFile.ts"
import * as FeatureExtractors from "../material/FeatureExtractors.ts"
import * as TargetImages from "../material/TargetImages.ts"
import * as ExperimentPage from "../page/ExperimentPage.ts"
import * as CellQueue from "./CellQueue.ts"
import * as CellRunner from "./CellRunner.ts"
import * as CellShare from "./CellShare.ts"
import * as ExperimentPlan from "./ExperimentPlan.ts"

export interface Options extends ExperimentPlan.Choices {
  /** Names of the variants and targets to run; the pages show all. */
  readonly only?: readonly string[]
  /** Only these cells, by id. No pages are written: another call collects the results. */
  readonly cells?: readonly string[]
  /** Only part `index`, from 1, of `of` parts of the cells. No pages are written either. */
  readonly shard?: CellShare.Shard
  readonly jobs?: number
  readonly threads?: number
  readonly provider?: string
  /** Seconds after which no further cell starts. */
  readonly budget?: number
  /** Writes the pages from the finished cells and runs nothing, not even reference scores. */
  readonly pages?: boolean
  /** Where RESULTS.md goes; by default next to the `config.ts` for `standard` and `paper`. */
  readonly out?: string
  readonly onNote: (line: string) => void
  readonly shouldStop?: () => boolean
}

export interface Outcome {
  readonly found: Results
  /** RESULTS.md, results.json, splits.json, report.html. */
  readonly files: readonly string[]
  readonly done: number
  readonly cells: number
  readonly failed: number
}

const text = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

/** What `splits.json` and `splits/` hold: every draw once and every target once. */
const splits = ({
  plan,
}: Results): { readonly draws: readonly object[]; readonly targets: ReadonlyMap<string, object> } => {
  const draws = new Map(
    plan.entries.map(({ target, seed }) => [`${seed}/${target.places.train.sha256}`, { target, seed }]),
  )
  return {
    draws: [...draws.values()].map(({ target, seed }) => TargetImages.describeDraw(seed, target)),
    targets: new Map(
      plan.entries.map(({ target }) => [target.name.replace(/\W/g, "-"), TargetImages.describe(target)]),
    ),
  }
}

/** @param shared the folder that holds `splits/` */
const write = async (found: Results, out: string, shared: string, command: string): Promise<readonly string[]> => {
  const { experiment, profile } = found
  const page = await ExperimentPage.page(found, command)
  const { text: markdown, files } = Page.markdown(page, "figures")
  const html = join("runs", "experiments", `${experiment.name}-${profile}`, "report.html")
  await rm(join(out, "figures"), { recursive: true, force: true })
  for (const [file, bytes] of Object.entries(files)) await Failure.orThrow(Files.write(join(out, file), bytes))
  const { draws, targets } = splits(found)
  for (const [name, about] of targets)
    await Failure.orThrow(Files.write(join(shared, "splits", `${name}.json`), text(about)))
  const written = [
    [join(out, "RESULTS.md"), markdown],
    [join(out, "results.json"), text(ResultsFile.make(found, command))],
    [join(out, "splits.json"), text(draws)],
    [html, Page.html(page)],
  ] as const
  for (const [file, content] of written) await Failure.orThrow(Files.write(file, content))
  return written.map(([file]) => file)
}

/** Which cells to run: those of the named variants and targets; if no variant is named all of them count, likewise targets. */
const wanted = (experiment: Experiment.Experiment, plan: ExperimentPlan.Plan, only: readonly string[] = []) => {
  const variants = new Set(experiment.variants.map(({ id }) => id))
  const targets = new Set(plan.entries.map(({ target }) => target.name))
  const unknown = only.find((name) => !variants.has(name) && !targets.has(name))
  if (unknown !== undefined) {
    const known = [...targets, ...variants].join(", ")
    Failure.raise("BadArguments", `no variant or target is called ${unknown}; known are ${known}`)
  }
  const admits = (names: ReadonlySet<string>) => {
    const named = only.filter((name) => names.has(name))
    return (name: string): boolean => named.length === 0 || named.includes(name)
  }
  const [ofVariants, ofTargets] = [admits(variants), admits(targets)]
  return ({ variant, target }: ExperimentPlan.Entry): boolean => ofVariants(variant.id) && ofTargets(target.name)
}

/** Copies the files of finished cells to the bank. */
const publish = async ({ plan, results, experiment }: Results, bank: string): Promise<void> => {
  const floored = new Map(plan.entries.map((entry) => [entry.target.name, entry]))
  for (const { order } of floored.values()) await ReferenceScores.publish(bank, order)
  for (const { order, seed, variant } of plan.entries)
    if (results.has(order.id))
      await CellRunner.publish(bank, order.id, {
        pictures: seed === 0,
        analysed: experiment.analysed.includes(variant.id),
      })
}

/** The commit that computed the numbers. Pages that are only written again keep the one that they name. */
const commitOf = async (out: string, pages: boolean): Promise<string | null> => {
  const file = join(out, "results.json")
  if (!pages || !existsSync(file)) return Catalogue.commit()
  return (await Failure.orThrow(ModelFolder.readJson(ResultsFile.ResultsFile, file))).commit
}

/** While cells run, pages are written at most this often; they are written at the end too. */
const PAUSE = 60_000 // ms

/** Runs bodies one after the other; a failure reaches only the caller of the body that failed. */
export const inTurn = (): ((body: () => Promise<unknown>) => Promise<void>) => {
  let last: Promise<unknown> = Promise.resolve()
  return async (body) => {
    const own = last.then(body)
    last = own.catch(() => {})
    await own
  }
}

interface Opened {
  readonly plan: ExperimentPlan.Plan
  /** Of the finished cells, by id. */
  readonly results: Map<string, CellRunner.Result>
  readonly missing: readonly ExperimentPlan.Entry[]
}

const open = async (experiment: Experiment.Experiment, options: Options): Promise<Opened> => {
  const plan = await ExperimentPlan.make(experiment, options)
  const results = new Map<string, CellRunner.Result>()
  for (const { order } of plan.entries) {
    const result = await CellRunner.read(order.id)
    if (result !== undefined) results.set(order.id, result)
  }
  const isWanted = wanted(experiment, plan, options.only)
  const isOurs = CellShare.admits(options)
  const missing = plan.entries.filter(
    (entry) => !results.has(entry.order.id) && isWanted(entry) && isOurs(entry.order.id),
  )
  return { plan, results, missing }
}

/** The ids of the cells that are still to be run, in order. */
export const remaining = async (experiment: Experiment.Experiment, options: Options): Promise<readonly string[]> => {
  const { missing } = await open(experiment, options)
  return missing.map(({ order }) => order.id)
}

export const run = async (experiment: Experiment.Experiment, options: Options, command: string): Promise<Outcome> => {
  const { profile, jobs = 1, threads = 1, provider, pages = false, onNote } = options
  const { shouldStop = () => false } = options
  const budget = pages ? -1 : (options.budget ?? Number.POSITIVE_INFINITY)
  const choice = { threads, provider }
  const scratch = join("runs", "experiments", `${experiment.name}-${profile}`)
  const isCommitted = profile === "standard" || profile === "paper"
  const out = options.out ?? (isCommitted ? join(Catalogue.here, experiment.name) : scratch)
  const shared = isCommitted && options.out === undefined ? Catalogue.lab : dirname(out)
  const engine = CellQueue.lazily(choice)
  // a missing provider is refused once, not by every cell
  if (provider !== undefined && !pages) await engine()
  const { plan, results, missing } = await open(experiment, options)
  for (const { variant, reason } of plan.missing) onNote(`${variant.id} is not run: ${reason}`)
  const { path, step } = plan.source
  onNote(
    `${experiment.name}, ${profile}: ${plan.entries.length} cells, ${missing.length} to run; ` +
      `source ${path}${step === undefined ? "" : ` (step ${step}; to continue from the same snapshot, pass --source ${path})`}`,
  )
  // a missing extractor is refused before anything is trained
  const scored = missing.find(({ order }) => order.cell.lesson === undefined)
  if (scored !== undefined && budget > 0)
    await FeatureExtractors.using(scored.order.cell.score.extractor, threads, async () => {})
  const floors = new Map<string, ReferenceScores.References>()
  const found: Results = { experiment, profile, plan, results, floors, commit: await commitOf(out, pages) }
  const isPart = CellShare.isPart(options)
  const floorOf = async ({ target, order }: ExperimentPlan.Entry): Promise<void> => {
    if (isPart) return
    if (order.cell.lesson === undefined && !floors.has(target.name))
      floors.set(target.name, await ReferenceScores.ensure(order, engine, threads))
  }
  const settle = async (): Promise<readonly string[]> => {
    if (isPart) return []
    if (isCommitted) await publish(found, join(shared, "bank"))
    return write(found, out, shared, command)
  }
  const turn = inTurn()
  let written = performance.now()
  for (const entry of plan.entries) {
    const known = floors.has(entry.target.name) ? undefined : await ReferenceScores.read(entry.order)
    if (known !== undefined) floors.set(entry.target.name, known)
    else if (results.has(entry.order.id) && !pages) await floorOf(entry)
  }
  const { failed, left } = await CellQueue.run(
    missing,
    { jobs, ...choice, budget, onNote, shouldStop },
    async (entry, result) => {
      results.set(entry.order.id, result)
      await turn(async () => {
        await floorOf(entry)
        if (performance.now() - written < PAUSE) return
        await settle()
        written = performance.now()
      })
    },
  )
  if (left > 0 && !isPart) onNote(`${left} cells remain; run the same command to continue`)
  const files = await settle()
  const done = plan.entries.filter(({ order }) => results.has(order.id)).length
  return { found, files, done, cells: plan.entries.length, failed }
}
