/** How scores change: along training, along what an experiment varies, and when preset levels are reached. */
import { Page, Table } from "@adafm/report"
import type { Sweep } from "./Experiment.ts"
import * as Found from "./Found.ts"
import type * as Runner from "./Runner.ts"

type All = Found.Found

type Point = Runner.Result["curve"][number]

/** The mean over draws at each checkpoint, with the range. */
const curveOf = (curves: readonly (readonly Point[])[], x: "step" | "seconds") =>
  (curves[0] ?? []).flatMap((_, i) => {
    const at = curves.flatMap((curve) => curve[i] ?? [])
    if (at.length < curves.length) return []
    const y = Table.estimate(at.map(({ kid }) => kid))!
    const mean = at.reduce((sum, p) => sum + p[x], 0) / at.length
    return [{ x: mean, y: y.mean, ...(y.range !== undefined && { range: y.range }) }]
  })

const CURVES = 7

export const curves = (found: All, target: string): readonly Page.Block[] => {
  const { experiment, plan, results } = found
  const named =
    experiment.curves ??
    Found.variantsOf(found)
      .slice(0, CURVES)
      .map(({ id }) => id)
  const series = (x: "step" | "seconds") =>
    Found.variantsOf(found).flatMap(({ id, title }) => {
      const cells = plan.entries.filter((e) => e.variant.id === id && e.target.name === target)
      const each = cells.flatMap(({ order }) => {
        const result = results.get(order.id)
        return result === undefined || result.curve.length === 0 ? [] : [result.curve]
      })
      return named.includes(id) && each.length > 0 ? [{ name: title, points: curveOf(each, x) }] : []
    })
  const floor = found.floors.get(target)
  const levels =
    floor === undefined
      ? []
      : [
          { name: "floor", y: floor.curve.pool },
          ...Found.LEVELS.map((distance) => ({ name: `source × ${distance}`, y: Found.levelOf(floor, distance) })),
        ]
  const label = [...results.values()].find(({ curve }) => curve.length > 0)?.curveLabel ?? "KID"
  if (series("step").length === 0) return []
  const chart = (x: "step" | "seconds", name: string): Page.Block =>
    Page.chart({
      kind: "lines",
      title: `${target}: ${label} against ${name}`,
      x: { label: name, from: 0 },
      y: { label, from: 0 },
      series: series(x),
      levels,
    })
  return [
    chart("step", "iterations"),
    Page.details(`${target}: the same against seconds`, [
      Page.text(
        "Seconds are those of the clock, on whatever machine a cell ran and beside whatever else ran there: they say how long it took, iterations compare.",
      ),
      chart("seconds", "seconds of training"),
    ]),
  ]
}

/** When each variant reaches the preset levels; "never" is a value. */
export const speed = (found: All, target: string): readonly Page.Block[] => {
  const floor = found.floors.get(target)
  if (floor === undefined) return []
  const rows = Found.variantsOf(found).flatMap(({ id, title }): readonly (readonly Table.Cell[])[] => {
    const done = found.plan.entries
      .filter((e) => e.variant.id === id && e.target.name === target)
      .flatMap(({ order }) => found.results.get(order.id) ?? [])
    if (done.every(({ curve }) => curve.length === 0)) return []
    const when = (distance: number): string =>
      done
        .map((result) => {
          const point = Found.reaches(result, Found.levelOf(floor, distance))
          return point === undefined ? "never" : `${point.step} (${Math.round(point.seconds)} s)`
        })
        .join(", ")
    return [[title, ...Found.LEVELS.map(when)]]
  })
  if (rows.length === 0) return []
  const columns = [
    { title: `${target}: iterations (seconds) to` },
    ...Found.LEVELS.map((distance) => ({
      title: `${distance} × the source's own distance, KID ${Found.levelOf(floor, distance).toPrecision(3)}`,
    })),
  ]
  return [Page.table({ columns, rows })]
}

export const sweep = (found: All, target: string, { title, axis, log, series }: Sweep, label: string) => {
  const drawn = series.map(({ name, points }) => ({
    name,
    points: points.flatMap(([x, id]) => {
      const e = Table.estimate(Found.scoresOf(found, id, "kid", target))
      return e === undefined ? [] : [{ x, y: e.mean, ...(e.range !== undefined && { range: e.range }) }]
    }),
  }))
  const filled = drawn.filter(({ points }) => points.length > 1)
  if (filled.length === 0) return []
  const x = { label: axis, log }
  return [Page.chart({ kind: "lines", title: `${target}: ${title}`, x, y: { label, from: 0 }, series: filled })]
}

/** Every draw of every variant. */
export const estimates = (found: All, target: string, measure: "kid" | "accuracy"): readonly Page.Block[] => {
  const rows = Found.variantsOf(found)
    .map(({ id, title }) => ({ name: title, values: Found.scoresOf(found, id, measure, target) }))
    .filter(({ values }) => values.length > 0)
  const label = Found.labelOf(found, measure, measure)
  const better = measure === "kid" ? "lower is better" : "higher is better"
  return rows.length === 0
    ? []
    : [Page.chart({ kind: "estimates", title: `${target}: ${label}, every draw; ${better}`, x: { label }, rows })]
}
