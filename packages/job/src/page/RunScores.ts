/** The scores of runs: tables, curves, means over seeds, and what each was measured against. */
import { isDeepStrictEqual } from "node:util"
import type { RunFolder } from "@adafm/gan"
import { Page, Table } from "@adafm/report"
import * as Scorer from "../run/Scorer.ts"
import type { Run } from "./RunReading.ts"

/** The labels of the scores, as in `metric.jsonl`: `FID (inception-768)`, … */
export const labels = (runs: readonly Run[]): readonly string[] => [
  ...new Set(runs.flatMap(({ scores }) => scores.flatMap((line) => Scorer.values(line).map(({ label }) => label)))),
]

const scoreAt = (line: RunFolder.Line, metric: string): number | undefined =>
  Scorer.values(line).find(({ label }) => label === metric)?.value

/** Seconds of training up to a step. */
const clock = ({ stats }: Run): ((step: number) => number) => {
  const until: number[] = [0]
  for (const { step, ms } of stats) until[Number(step) + 1] = (until.at(-1) ?? 0) + Number(ms ?? 0) / 1000
  return (step) => until[step] ?? until.at(-1) ?? 0
}

/** Scores that are comparable with each other. A run has several parts if it was resumed with another reference. */
export interface Part {
  readonly name: string
  readonly scores: readonly [RunFolder.Line, ...RunFolder.Line[]]
}

export const partsOf = ({ name, scores }: Run): readonly Part[] => {
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

export const curves = (runs: readonly Run[], metric: string): readonly Page.Block[] => {
  const series = (x: (run: Run) => (step: number) => number) =>
    runs.flatMap((run) => {
      const at = x(run)
      return partsOf(run).flatMap(({ name, scores }) => {
        const points = scores.flatMap((line) => {
          const y = scoreAt(line, metric)
          return y === undefined ? [] : [{ x: at(Number(line.step)), y }]
        })
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

/** The last value of a score. */
const lastOf = ({ scores }: Pick<Run, "scores">, metric: string): number | undefined =>
  scores.map((line) => scoreAt(line, metric)).findLast((value) => value !== undefined)

const bestOf = (title: string) => (title.startsWith("IS") ? ("high" as const) : ("low" as const))

const minutes = (seconds: number): number => Math.round(seconds / 6) / 10
const perStep = ({ seconds, stats }: Run): number => Math.round((1000 * seconds) / Math.max(1, stats.length))

/** One run as facts, which a phone shows without scrolling; several as a table. */
export const table = (runs: readonly Run[], metrics: readonly string[]): Page.Block => {
  const [only] = runs
  if (runs.length === 1 && only !== undefined)
    return Page.facts({
      steps: only.steps,
      "minutes of training": minutes(only.seconds),
      "ms per step": perStep(only),
      ...Object.fromEntries(metrics.map((metric) => [metric, scoreText(only, metric)])),
    })
  return Page.table({
    columns: [
      ...["run", "steps", "minutes of training", "ms per step"].map((title) => ({ title })),
      ...metrics.map((title) => ({ title, best: bestOf(title) })),
    ],
    rows: runs.map((run): readonly Table.Cell[] => [
      run.name,
      run.steps,
      minutes(run.seconds),
      perStep(run),
      ...metrics.map((metric) => lastOf(run, metric)),
    ]),
  })
}

/** `1.23 at step 3000; at best 1.1 at step 2400; 2.6 at step 0` */
const scoreText = ({ scores }: Run, metric: string): string => {
  const all = scores.flatMap((line) => {
    const value = scoreAt(line, metric)
    return value === undefined ? [] : [{ step: Number(line.step), value }]
  })
  const [first, last] = [all[0], all.at(-1)]
  if (first === undefined || last === undefined) return "–"
  const sign = bestOf(metric) === "low" ? 1 : -1
  const best = all.reduce((a, b) => (sign * b.value < sign * a.value ? b : a))
  const text = ({ step, value }: typeof last): string => `${Table.text(value)} at step ${step}`
  return [
    text(last),
    ...(best === last ? [] : [`at best ${text(best)}`]),
    ...(first === last || first === best ? [] : [text(first)]),
  ].join("; ")
}

/** The checkpoints that are better than the last ones, and how to use them. */
export const bests = (runs: readonly Run[]): readonly Page.Block[] => {
  const lines = runs.flatMap(({ name, best, steps }) =>
    best === undefined || best.step === steps
      ? []
      : [
          `${name}. The best checkpoint is that of step ${best.step}: ${best.label} ${+best.value.toPrecision(4)}. It is kept as best.safetensors, and \`sample\`, \`evaluate\` and \`export\` take it with \`--checkpoint best\`; without that they take the last one, as the scores here do.`,
        ],
  )
  return lines.length === 0 ? [] : [Page.list(lines)]
}

/** The configuration without what differs between runs of several seeds. */
const variantOf = ({ config }: Run): object => {
  const { seed: _, made: __, source, data, trainable, ...rest } = config
  const { graft: ___, decided, ...own } = source ?? { path: "", sha256: "", recipe: "" }
  return {
    ...rest,
    model: config.model.config.architecture,
    source: own,
    path: data.path,
    images: data.images,
    trainable,
  }
}

/** Runs of the same settings with several seeds. */
export interface Variant {
  readonly name: string
  readonly runs: readonly Run[]
}

/** The folder that runs of several seeds have in common. */
const commonName = (runs: readonly Run[]): string => {
  const parts = runs.map(({ name, run }) => (run.split(/[/\\]/).length > 1 ? run : name).split(/[/\\]/))
  const shared = parts[0]!.filter((part, i) => parts.every((other) => other[i] === part))
  return shared.at(-1) ?? runs[0]!.name
}

export const variants = (runs: readonly Run[]): readonly Variant[] => {
  const groups: { readonly of: object; readonly runs: Run[] }[] = []
  for (const run of runs) {
    const of = variantOf(run)
    const known = groups.find((group) => isDeepStrictEqual(group.of, of))
    if (known === undefined) groups.push({ of, runs: [run] })
    else known.runs.push(run)
  }
  return groups.map(({ runs: own }) => ({ name: own.length === 1 ? own[0]!.name : commonName(own), runs: own }))
}

/** Mean and range over the seeds of each variant; nothing where no variant has several. */
export const means = (runs: readonly Run[], metrics: readonly string[]): readonly Page.Block[] => {
  const all = variants(runs)
  if (all.every((variant) => variant.runs.length < 2)) return []
  return [
    Page.table({
      columns: [
        ...["", "seeds", "steps"].map((title) => ({ title })),
        ...metrics.map((title) => ({ title: `${title}, mean (range)`, best: bestOf(title) })),
      ],
      rows: all.map(({ name, runs: own }): readonly Table.Cell[] => [
        name,
        own.length,
        Math.min(...own.map(({ steps }) => steps)),
        ...metrics.map((metric) => Table.estimate(own.flatMap((run) => lastOf(run, metric) ?? []))),
      ]),
    }),
  ]
}

/** A note that names the settings in which the scores of several parts differ. */
export const incomparable = (parts: readonly Part[]): readonly Page.Block[] => {
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
  seed: "seed of the samples",
  referenceSeed: "seed of the choice of reference images",
  reference: "reference images",
  referenceSha256: "SHA-256 of the reference images",
} as const satisfies Record<keyof Scorer.About, string>

/** The extractor and the reference images of every score, a list for each part. */
export const references = (parts: readonly Part[]): readonly Page.Block[] =>
  parts.flatMap(({ name, scores }) => {
    const line = scores.at(-1)!
    const facts = Object.entries(ABOUT).flatMap(([key, title]) => {
      const value = line[key]
      return value === undefined || typeof value === "object" ? [] : [[title, value] as const]
    })
    return [...(parts.length > 1 ? [Page.text(`Scores of ${name}:`)] : []), Page.facts(Object.fromEntries(facts))]
  })
