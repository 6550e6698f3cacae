/** How scores change: during training and along a setting; and when variants reach preset levels. */
import { Page, Table } from "@adafm/report"
import type { Sweep } from "../declare/Experiment.ts"
import * as ExperimentResults from "../judge/ExperimentResults.ts"
import * as Verdict from "../judge/Verdict.ts"
import type * as CellRunner from "../run/CellRunner.ts"

type All = ExperimentResults.Results

type Score = "kid" | "fid"
type Axis = "iterations" | "seconds of training"

/** Mean and range over draws at each checkpoint that all draws have. */
const curveOf = (done: readonly CellRunner.Result[], score: Score, axis: Axis) =>
  done[0]!.curve.flatMap(({ step }) => {
    const at = done.flatMap(({ curve }) => curve.find((point) => point.step === step) ?? [])
    if (at.length < done.length) return []
    const y = Table.estimate(at.map((point) => point[score]))!
    const x =
      axis === "iterations" ? step : Verdict.mean(done.map((result) => ExperimentResults.secondsOf(result, step)))
    return [{ x, y: y.mean, ...(y.range !== undefined && { range: y.range }) }]
  })

const CURVES = 7

/** The variants to draw: those that the experiment names, or the first few if none of these was run. */
const drawnOf = (found: All, target: string) => {
  const { experiment } = found
  const all = ExperimentResults.variantsOf(found).flatMap(({ id, title }) => {
    const done = ExperimentResults.doneOf(found, id, target).filter(({ curve }) => curve.length > 0)
    return done.length === 0 ? [] : [{ id, title, done }]
  })
  const named = all.filter(({ id }) => experiment.curves?.includes(id))
  return named.length > 0 ? named : all.slice(0, CURVES)
}

export const curves = (found: All, target: string): readonly Page.Block[] => {
  const drawn = drawnOf(found, target)
  if (drawn.length === 0) return []
  const floor = found.floors.get(target)
  const levels =
    floor === undefined
      ? []
      : [
          { name: "photographs", y: floor.curve.pool },
          ...ExperimentResults.LEVELS.map((distance) => ({
            name: `${distance} × source`,
            y: ExperimentResults.levelOf(floor, distance),
          })),
        ]
  const { curveLabel } = drawn[0]!.done[0]!
  const chart = (score: Score, axis: Axis): Page.Block => {
    const label = score === "kid" ? curveLabel : curveLabel.replace("KID", "FID")
    return Page.chart({
      kind: "lines",
      title: `${target}: ${label} against ${axis}`,
      x: { label: axis, from: 0 },
      y: { label, from: 0 },
      series: drawn.map(({ title, done }) => ({ name: title, points: curveOf(done, score, axis) })),
      ...(score === "kid" && { levels }),
    })
  }
  const starts = drawn.map(({ done }) => done[0]!.curve[0]!.step)
  const late = Math.max(...starts)
  const sentences = [
    `${curveLabel} against the half of the held-out images that chooses checkpoints: means over draws, shaded from the lowest to the highest.`,
    ...(levels.length > 0
      ? [
          "Dashed: photographs of the pool, and multiples of the distance between the source's own images and photographs.",
        ]
      : []),
    ...(late > Math.min(...starts)
      ? [
          `A modulation continues the run without it: where a curve begins at iteration ${late}, its earlier part is the curve of that run.`,
        ]
      : []),
  ]
  return [
    Page.text(sentences.join(" ")),
    chart("kid", "iterations"),
    Page.details(`${target}: the same against seconds, and by FID`, [
      Page.text(
        "Seconds are iterations times the median time of an iteration on the machine that ran the cell. Pauses do not count, but other work on that machine does: compare variants by iterations.",
      ),
      chart("kid", "seconds of training"),
      chart("fid", "iterations"),
      chart("fid", "seconds of training"),
    ]),
  ]
}

/** When each variant reaches the preset levels, draw by draw, or "never". */
export const speed = (found: All, target: string): readonly Page.Block[] => {
  const floor = found.floors.get(target)
  if (floor === undefined) return []
  const rows = ExperimentResults.variantsOf(found).flatMap(({ id, title }): readonly (readonly Table.Cell[])[] => {
    const done = found.plan.entries
      .filter((e) => e.variant.id === id && e.target.name === target)
      .flatMap(({ order }) => found.results.get(order.id) ?? [])
    if (done.every(({ curve }) => curve.length === 0)) return []
    const when = (distance: number): string =>
      done
        .map((result) => {
          const point = ExperimentResults.reaches(result, ExperimentResults.levelOf(floor, distance))
          return point === undefined
            ? "never"
            : `${point.step}\u00a0(${Math.round(ExperimentResults.secondsOf(result, point.step))}\u00a0s)`
        })
        .join(", ")
    return [[title, ...ExperimentResults.LEVELS.map(when)]]
  })
  if (rows.length === 0) return []
  const columns = [
    { title: `${target}: iterations (seconds) to` },
    ...ExperimentResults.LEVELS.map((distance) => ({
      title: `${distance} × the source's own distance, KID ${ExperimentResults.levelOf(floor, distance).toPrecision(3)}`,
    })),
  ]
  return [Page.table({ columns, rows })]
}

export const sweep = (found: All, target: string, { title, axis, log, series }: Sweep, label: string) => {
  const drawn = series.map(({ name, points }) => ({
    name,
    points: points.flatMap(([x, id]) => {
      const e = Table.estimate(ExperimentResults.scoresOf(found, id, "kid", target))
      return e === undefined ? [] : [{ x, y: e.mean, ...(e.range !== undefined && { range: e.range }) }]
    }),
  }))
  const filled = drawn.filter(({ points }) => points.length > 1)
  if (filled.length === 0) return []
  const x = { label: axis, log }
  return [Page.chart({ kind: "lines", title: `${target}: ${title}`, x, y: { label, from: 0 }, series: filled })]
}

/** A chart of every draw of every variant. */
export const estimates = (found: All, target: string, measure: "kid" | "accuracy"): readonly Page.Block[] => {
  const rows = ExperimentResults.variantsOf(found)
    .map(({ id, title }) => ({ name: title, values: ExperimentResults.scoresOf(found, id, measure, target) }))
    .filter(({ values }) => values.length > 0)
  const label = ExperimentResults.labelOf(found, measure, measure)
  const better = measure === "kid" ? "lower is better" : "higher is better"
  return rows.length === 0
    ? []
    : [Page.chart({ kind: "estimates", title: `${target}: ${label}, every draw; ${better}`, x: { label }, rows })]
}
