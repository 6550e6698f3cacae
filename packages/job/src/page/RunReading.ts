/** What the folders of runs hold, for a page about them. */
import { existsSync, readdirSync, statSync } from "node:fs"
import { join, resolve, sep } from "node:path"
import { Failure, Lock, NdArray } from "@adafm/core"
import { ModelFolder, RunFolder, type State, type Step } from "@adafm/gan"
import * as Model from "../run/Model.ts"
import * as RunCheckpoint from "../run/RunCheckpoint.ts"
import { RunConfig } from "../run/RunConfig.ts"

/** One network's parameters. */
export interface Counts {
  readonly total: number
  readonly frozen: number
  readonly trained: number
}

export interface RunSummary {
  readonly run: string
  readonly steps: number
  /** Seconds of training alone, of all calls together. */
  readonly seconds: number
  readonly config: RunConfig
  readonly parameters: Readonly<Record<Step.Net, Counts>>
  readonly scores: readonly RunFolder.Line[]
  /** The best checkpoint, if the run keeps one. */
  readonly best?: RunCheckpoint.Score
}

/** Whether a process is working in the run now. */
export const isLive = (run: string): Promise<boolean> => Lock.isHeld(run)

const isRun = (folder: string): boolean => existsSync(join(folder, "config.json"))

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

const hasBegun = async (run: string): Promise<boolean> => (await Failure.orThrow(RunFolder.checkpoints(run))).length > 0

const noRun = (folder: string, inside: readonly string[]): string => {
  if (inside.length > 0) return "none of the runs in this folder has a checkpoint yet"
  const expected = "expected a run (a folder with config.json) or a folder of runs"
  return existsSync(folder) ? `${expected}, but this is neither` : `${expected}, but this path does not exist`
}

/** Folders between a folder and the runs in it: a sweep has one for each setting and one for each seed. */
const DEEPEST = 3

const runsInside = (folder: string, depth = 1): readonly string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map(({ name }) => join(folder, name))
    .sort()
    .flatMap((inside) => (isRun(inside) ? [inside] : depth < DEEPEST ? runsInside(inside, depth + 1) : []))

/** The folders that are runs, and the runs inside the others; of these only the ones that have a checkpoint. */
export const find = async (folders: readonly string[]): Promise<readonly string[]> => {
  const runs: string[] = []
  for (const folder of folders) {
    if (isRun(folder)) {
      runs.push(folder)
      continue
    }
    const inside = isFolder(folder) ? runsInside(folder) : []
    const before = runs.length
    for (const run of inside) if (await hasBegun(run)) runs.push(run)
    if (runs.length === before) Failure.raise("NoRun", noRun(folder, inside), { file: folder })
  }
  return runs
}

const counts = (params: State.Params, groups: RunConfig["trainable"][Step.Net]): Counts => {
  const size = (paths: readonly string[]): number =>
    paths.reduce((sum, path) => sum + NdArray.sizeOf(params[path]?.shape ?? [0]), 0)
  const [total, trained] = [size(Object.keys(params)), size(groups.flatMap(({ paths }) => paths))]
  return { total, trained, frozen: total - trained }
}

export interface Run extends RunSummary {
  readonly name: string
  readonly stats: readonly RunFolder.Line[]
}

/** The folder's name, preceded by parent folders where several runs have the same name. */
const nameOf = (run: string, runs: readonly string[]): string => {
  const parts = (path: string): readonly string[] => resolve(path).split(sep)
  const tail = (path: string, n: number): string => parts(path).slice(-n).join("/")
  const own = (n: number): boolean => runs.every((other) => other === run || tail(other, n) !== tail(run, n))
  return tail(run, parts(run).findIndex((_, n) => n > 0 && own(n)) || 1)
}

export const read = async (run: string, runs: readonly string[], onNote?: ModelFolder.Note): Promise<Run> => {
  const config = await Failure.orThrow(ModelFolder.readJson(RunConfig, join(run, "config.json")))
  const stats = await Failure.orThrow(RunFolder.lines(run, "stats"))
  const best = await RunCheckpoint.best(run)
  const model = await Failure.orThrow(Model.open(run, { raw: true, onNote }))
  const of = (net: Step.Net): Counts => counts(model[net], config.trainable[net])
  return {
    run,
    name: nameOf(run, runs),
    config,
    stats,
    steps: model.step ?? 0,
    seconds: stats.reduce((sum, { ms }) => sum + Number(ms ?? 0), 0) / 1000,
    parameters: { generator: of("generator"), discriminator: of("discriminator") },
    scores: await Failure.orThrow(RunFolder.lines(run, "metric")),
    ...(best !== undefined && { best }),
  }
}
