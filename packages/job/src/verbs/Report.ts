/** One page about one or several runs: scores and losses along training, samples, parameters, all settings. */
import { existsSync, readdirSync, statSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { basename, join, resolve, sep } from "node:path"
import { Failure, Files, NdArray } from "@adafm/core"
import { ModelFolder, RunFolder, type State, type Step } from "@adafm/gan"
import { Page, type Table } from "@adafm/report"
import { Surgery } from "@adafm/transfer"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Model from "../run/Model.ts"
import * as RunCheckpoint from "../run/RunCheckpoint.ts"
import { RunConfig } from "../run/RunConfig.ts"
import * as Scorer from "../run/Scorer.ts"

export interface Options {
  /** Runs, or folders of runs. */
  readonly folders: readonly string[]
  /** The page; `.md` and `.json` are written next to it. */
  readonly out: string
}

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

export interface Outcome {
  readonly out: string
  readonly files: readonly string[]
  readonly runs: readonly RunSummary[]
}

const isRun = (folder: string): boolean => existsSync(join(folder, "config.json"))

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true

const hasBegun = async (run: string): Promise<boolean> => (await Failure.orThrow(RunFolder.checkpoints(run))).length > 0

const noRun = (folder: string, inside: readonly string[]): string => {
  if (inside.length > 0) return "none of the runs in this folder has a checkpoint yet"
  const expected = "expected a run (a folder with config.json) or a folder of runs"
  return existsSync(folder) ? `${expected}, but this is neither` : `${expected}, but this path does not exist`
}

/** The folders that are runs, and the runs inside the others; of these only the ones that have a checkpoint. */
const findRuns = async (folders: readonly string[]): Promise<readonly string[]> => {
  const runs: string[] = []
  for (const folder of folders) {
    if (isRun(folder)) {
      runs.push(folder)
      continue
    }
    const inside = isFolder(folder)
      ? readdirSync(folder, { withFileTypes: true })
          .filter((entry) => entry.isDirectory() && isRun(join(folder, entry.name)))
          .map(({ name }) => join(folder, name))
          .sort()
      : []
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

interface Run extends RunSummary {
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

const readRun = async (run: string, runs: readonly string[]): Promise<Run> => {
  const config = await Failure.orThrow(ModelFolder.readJson(RunConfig, join(run, "config.json")))
  const stats = await Failure.orThrow(RunFolder.lines(run, "stats"))
  const model = await Failure.orThrow(Model.open(run, { raw: true }))
  const of = (net: Step.Net): Counts => counts(model[net], config.trainable[net])
  const best = await RunCheckpoint.best(run)
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

/** The labels of the scores, as in `metric.jsonl`: `FID (inception-768)`, … */
const metricsOf = (runs: readonly Run[]): readonly string[] =>
  [...new Set(runs.flatMap(({ scores }) => scores.flatMap((line) => Object.keys(line))))].filter((name) =>
    /^(FID|KID|IS)\b/.test(name),
  )

/** Seconds of training up to a step. */
const clock = ({ stats }: Run): ((step: number) => number) => {
  const until: number[] = [0]
  for (const { step, ms } of stats) until[Number(step) + 1] = (until.at(-1) ?? 0) + Number(ms ?? 0) / 1000
  return (step) => until[step] ?? until.at(-1) ?? 0
}

/** Scores that are comparable with each other. A run has several parts if it was resumed with another reference. */
interface Part {
  readonly name: string
  readonly scores: readonly [RunFolder.Line, ...RunFolder.Line[]]
}

const partsOf = ({ name, scores }: Run): readonly Part[] => {
  const parts: [RunFolder.Line, ...RunFolder.Line[]][] = []
  for (const line of scores) {
    const last = parts.at(-1)
    if (last === undefined || Scorer.differing(last.at(-1)!, line).length > 0) parts.push([line])
    else last.push(line)
  }
  return parts.map((part) => ({
    name: parts.length === 1 ? name : `${name}, from step ${part[0].step}`,
    scores: part,
  }))
}

const curves = (runs: readonly Run[], metric: string): readonly Page.Block[] => {
  const series = (x: (run: Run) => (step: number) => number) =>
    runs.flatMap((run) => {
      const at = x(run)
      return partsOf(run).flatMap(({ name, scores }) => {
        const points = scores.flatMap(({ step, [metric]: y }) =>
          typeof y === "number" ? [{ x: at(Number(step)), y }] : [],
        )
        return points.length === 0 ? [] : [{ name, points }]
      })
    })
  return [
    { label: "iterations", x: () => (step: number) => step },
    { label: "seconds of training", x: clock },
  ].map(({ label, x }) =>
    Page.chart({
      kind: "lines",
      title: `${metric} against ${label}`,
      x: { label, from: 0 },
      y: { label: metric.replace(/ \(.*/, ""), from: 0 },
      series: series(x),
    }),
  )
}

/** Points of a curve of losses. */
const POINTS = 60

/** Each point is a mean over a part of the run. */
const lossCurve = (runs: readonly Run[], name: "g_loss" | "d_loss"): Page.Block =>
  Page.chart({
    kind: "lines",
    title: `${name === "g_loss" ? "generator" : "discriminator"} loss against iterations`,
    x: { label: "iterations", from: 0 },
    y: { label: "loss" },
    series: runs.map(({ name: run, stats }) => {
      const each = Math.max(1, Math.ceil(stats.length / POINTS))
      const parts = Array.from({ length: Math.ceil(stats.length / each) }, (_, k) =>
        stats.slice(k * each, (k + 1) * each),
      )
      const mean = (part: readonly RunFolder.Line[]): number =>
        part.reduce((sum, line) => sum + Number(line[name]), 0) / part.length
      return { name: run, points: parts.map((part) => ({ x: Number(part.at(-1)!.step) + 1, y: mean(part) })) }
    }),
  })

/** The curves of the runs that recorded their losses. */
const losses = (runs: readonly Run[], name: "g_loss" | "d_loss"): readonly Page.Block[] => {
  const recorded = runs.filter(({ stats }) => stats.length > 0)
  return recorded.length === 0 ? [] : [lossCurve(recorded, name)]
}

const stepOf = (grid: string): number => Number(/\d+/.exec(grid)![0])

/** The first and the last sample grid of a run, and that of its best checkpoint. */
const samples = async ({ run, name, best }: Run): Promise<readonly Page.Block[]> => {
  const files = readdirSync(run)
    .filter((file) => /^samples-\d+\.png$/.test(file))
    .sort()
  const ofBest = files.find((file) => stepOf(file) === best?.step)
  const shown = [...new Set([files[0], ofBest, files.at(-1)])].filter((file) => file !== undefined)
  const pictures = await Promise.all(
    shown.map(async (file) => ({
      png: await readFile(join(run, file)),
      caption: `${name}, step ${stepOf(file)}${file === ofBest ? ", the best checkpoint" : ""}`,
    })),
  )
  return pictures.length === 0 ? [] : [Page.grid({ pictures })]
}

const table = (runs: readonly Run[], metrics: readonly string[]): Page.Block =>
  Page.table({
    columns: [
      ...["run", "steps", "minutes of training", "ms per step"].map((title) => ({ title })),
      ...metrics.map((title) => ({ title, best: title.startsWith("IS") ? ("high" as const) : ("low" as const) })),
    ],
    rows: runs.map(({ name, steps, seconds, stats, scores }): readonly Table.Cell[] => [
      name,
      steps,
      Math.round(seconds / 6) / 10,
      Math.round((1000 * seconds) / Math.max(1, stats.length)),
      ...metrics.map((metric) => {
        const values = scores.map((line) => line[metric]).filter((value) => typeof value === "number")
        return values.at(-1)
      }),
    ]),
  })

/** The checkpoints that are better than the last ones, and how to use them. */
const bests = (runs: readonly Run[]): readonly Page.Block[] => {
  const lines = runs.flatMap(({ name, best, steps }) =>
    best === undefined || best.step === steps
      ? []
      : [
          `${name}. The best checkpoint is that of step ${best.step}: ${best.label} ${+best.value.toPrecision(4)}. It is kept as best.safetensors, and \`sample\`, \`evaluate\` and \`export\` take it with \`--checkpoint best\`; without that they take the last one, as this table does.`,
        ],
  )
  return lines.length === 0 ? [] : [Page.list(lines)]
}

/** `modulation, from 500, rate × 1`: a group's name, and the step from which it trains, which the groups of a transfer have in their name. */
const when = ({ name, from }: RunConfig["trainable"]["generator"][number]): string =>
  name.includes(`from ${from}`) ? name : `${name}, from ${from}`

const parameters = (runs: readonly Run[]): Page.Block =>
  Page.table({
    columns: ["run", "network", "parameters", "frozen", "trained", "trained groups"].map((title) => ({ title })),
    rows: runs.flatMap(({ name, config, parameters: of }) =>
      (["generator", "discriminator"] as const).map((net): readonly Table.Cell[] => [
        name,
        net,
        of[net].total,
        of[net].frozen,
        of[net].trained,
        config.trainable[net].map(when).join("; ") || "–",
      ]),
    ),
  })

/** What each transfer kept of its source, in words; runs of older versions do not say it. */
const surgeries = (runs: readonly Run[]): readonly Page.Block[] => {
  const lines = runs.flatMap(({ name, config: { source } }) =>
    source?.decided === undefined ? [] : [`${name}. ${Surgery.text(source.decided).join(". ")}.`],
  )
  return lines.length === 0 ? [] : [Page.list(lines)]
}

/** A note that names the settings in which the scores of several parts differ. */
const incomparable = (parts: readonly Part[]): readonly Page.Block[] => {
  const [first, ...others] = parts.map(({ scores }) => scores.at(-1)!)
  const reasons = new Set(others.flatMap((line) => Scorer.differing(first!, line)))
  if (reasons.size === 0) return []
  return [Page.note(`Not all of these scores are comparable: they differ in ${[...reasons].join(", ")}.`)]
}

const ABOUT = {
  count: "images on each side",
  extractor: "extractor",
  extractorSha256: "SHA-256 of the extractor's weights",
  mode: "mode",
  size: "image size, px",
  seed: "seed",
  reference: "reference images",
  referenceSha256: "SHA-256 of the reference images",
} as const satisfies Record<keyof Scorer.About, string>

/** The extractor and the reference images of every score. */
const references = (parts: readonly Part[]): readonly Page.Block[] =>
  parts.length === 0
    ? []
    : [
        Page.table({
          columns: ["scores of", ...Object.values(ABOUT)].map((title) => ({ title })),
          rows: parts.map(({ name, scores }) => [name, ...Object.keys(ABOUT).map((key) => scores.at(-1)![key])]),
        }),
      ]

/** All settings of a run, without the names of the images. */
const settings = ({ name, config }: Run): Page.Block => {
  const { trainable: _, data, ...rest } = config
  const { names: __, ...images } = data
  return Page.details(`${name}: all settings`, [Page.code(JSON.stringify({ ...rest, data: images }, null, 2))])
}

const page = async (runs: readonly Run[]): Promise<Page.Page> => {
  const metrics = metricsOf(runs)
  const parts = runs.flatMap(partsOf)
  const pictures: Page.Block[] = []
  for (const run of runs) pictures.push(...(await samples(run)))
  return {
    title: runs.length === 1 ? runs[0]!.name : `${runs.length} runs`,
    subtitle: runs.map(({ name, steps }) => `${name}: ${steps} steps`).join("; "),
    blocks: [
      ...(runs.length > 1 ? [Page.note("One run of each kind: an illustration, not evidence.")] : []),
      table(runs, metrics),
      ...bests(runs),
      ...incomparable(parts),
      ...metrics.flatMap((metric) => curves(runs, metric)),
      Page.heading("Samples"),
      ...pictures,
      Page.heading("Training"),
      ...losses(runs, "g_loss"),
      ...losses(runs, "d_loss"),
      Page.heading("Parameters"),
      parameters(runs),
      ...surgeries(runs),
      Page.heading("References and settings"),
      ...references(parts),
      ...runs.map(settings),
    ],
  }
}

export const run = ({ folders, out }: Options): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const found = await findRuns(folders)
    const read: Run[] = []
    for (const folder of found) read.push(await readRun(folder, found))
    const shown = await page(read)
    const base = out.replace(/\.html$/, "")
    const { text, files } = Page.markdown(shown, `${basename(base)}-figures`)
    const runs = read.map(({ stats: _, name: __, ...summary }): RunSummary => summary)
    const written: readonly (readonly [string, string | Uint8Array])[] = [
      [out, Page.html(shown)],
      [`${base}.md`, text],
      [`${base}.json`, `${JSON.stringify({ runs }, null, 2)}\n`],
      ...Object.entries(files).map(([file, bytes]) => [join(base, "..", file), bytes] as const),
    ]
    for (const [file, content] of written) await Failure.orThrow(Files.write(file, content))
    return { out, files: written.map(([file]) => file), runs }
  })
