/** One page about one or several runs: pictures first, then scores, training, and everything that makes them repeatable. */
import type { RunFolder } from "@adafm/gan"
import { Page, type Table } from "@adafm/report"
import { Surgery } from "@adafm/transfer"
import type { RunConfig } from "../run/RunConfig.ts"
import * as RunPictures from "./RunPictures.ts"
import type { Run } from "./RunReading.ts"
import * as RunScores from "./RunScores.ts"

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

/** All settings of a run, without the names of the images. */
const settings = ({ name, config }: Run): Page.Block => {
  const { trainable: _, data, ...rest } = config
  const { names: __, ...images } = data
  return Page.details(`${name}: all settings`, [Page.code(JSON.stringify({ ...rest, data: images }, null, 2))])
}

/** With what a run was made; runs of older versions do not say it. */
const made = ({ name, config: { made: found } }: Run, several: boolean): readonly Page.Block[] =>
  found === undefined
    ? []
    : [
        ...(several ? [Page.text(`${name}:`)] : []),
        Page.facts({
          ...(found.command !== undefined && { command: found.command }),
          ...(found.commit !== undefined && { commit: found.commit }),
          ...found.versions,
        }),
      ]

/** @param refresh seconds after which a browser loads the page again */
export const of = async (runs: readonly Run[], refresh?: number): Promise<Page.Page> => {
  const metrics = RunScores.labels(runs)
  const parts = runs.flatMap(RunScores.partsOf)
  const [now, timelines]: Page.Block[][] = [[], []]
  for (const run of runs) {
    now!.push(...(await RunPictures.now(run)))
    timelines!.push(...(await RunPictures.timeline(run)))
  }
  const means = RunScores.means(runs, metrics)
  return {
    title: runs.length === 1 ? runs[0]!.name : `${runs.length} runs`,
    subtitle: runs.map(({ name, steps }) => `${name}: ${steps} steps`).join("; "),
    ...(refresh !== undefined && { refresh }),
    blocks: [
      ...(refresh === undefined ? [] : [Page.note("Training: this page loads itself again until the run ends.")]),
      ...now!,
      ...(timelines!.length === 0 ? [] : [Page.heading("Along training"), ...timelines!]),
      Page.heading("Scores"),
      ...(runs.length > 1 && means.length === 0
        ? [Page.note("One run of each kind: an illustration, not evidence.")]
        : []),
      ...means,
      RunScores.table(runs, metrics),
      ...RunScores.bests(runs),
      ...RunScores.incomparable(parts),
      ...metrics.flatMap((metric) => RunScores.curves(runs, metric)),
      Page.heading("Training"),
      ...losses(runs, "g_loss"),
      ...losses(runs, "d_loss"),
      Page.heading("Parameters"),
      parameters(runs),
      ...surgeries(runs),
      Page.heading("References and settings"),
      ...RunScores.references(parts),
      ...runs.flatMap((run) => made(run, runs.length > 1)),
      ...runs.map(settings),
    ],
  }
}
