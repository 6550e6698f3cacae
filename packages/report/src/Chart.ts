/** Curves and estimates as SVG, drawn by Observable Plot in a document that never sees a browser. */
import * as Plot from "@observablehq/plot"
import { parseHTML } from "linkedom"

interface Axis {
  readonly label: string
  readonly log?: boolean
  /** The axis begins here even where no value lies. */
  readonly from?: number
}

export interface Point {
  readonly x: number
  readonly y: number
  /** Spread of several repetitions. */
  readonly range?: readonly [low: number, high: number]
}

export interface Series {
  readonly name: string
  readonly points: readonly Point[]
}

export interface Lines {
  readonly kind: "lines"
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
  /** Values to compare with, as dashed lines. */
  readonly levels?: readonly { readonly name: string; readonly y: number }[]
}

export interface Estimates {
  readonly kind: "estimates"
  readonly title: string
  readonly x: Axis
  /** From above; every repetition is a dot, their mean a bar. */
  readonly rows: readonly { readonly name: string; readonly values: readonly number[] }[]
}

export type Chart = Lines | Estimates

/** Paul Tol's "bright" colours, told apart by colour-blind readers, legible on white and on near-black. */
export const COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999999"] as const

/** Room for the name of a level, pixels. */
const LEVEL = 44

export const colourOf = (k: number): string => COLOURS[k % COLOURS.length]!

/** Of estimates, whose rows have names. */
const WIDE = 640
/** Of curves: on a phone their text is still legible. */
const NARROW = 480

const widthOf = ({ kind }: Chart): number => (kind === "lines" ? NARROW : WIDE)

const scale = ({ label, log = false, from }: Axis, values: readonly number[]): Plot.ScaleOptions => {
  const low = Math.min(...values, ...(from === undefined ? [] : [from]))
  const high = Math.max(...values, ...(from === undefined ? [] : [from]))
  return {
    label,
    ...(log ? { type: "log" as const, ticks: 5, tickFormat: "~s" } : { nice: true }),
    ...(Number.isFinite(low) && high > low && { domain: [low, high] }),
  }
}

interface Row {
  readonly x: number
  readonly y: number
  readonly low: number
  readonly high: number
  readonly series: string
}

const linesOf = ({ x, y, series, levels = [] }: Lines): Plot.PlotOptions => {
  const rows: Row[] = series.flatMap(({ name, points }) =>
    points.map((p) => ({ x: p.x, y: p.y, low: p.range?.[0] ?? p.y, high: p.range?.[1] ?? p.y, series: name })),
  )
  const finite = rows.filter((r) => Number.isFinite(r.y) && (y.log !== true || r.low > 0))
  const common = { x: "x", stroke: "series" } as const
  return {
    height: 260,
    x: scale(
      x,
      finite.map((r) => r.x),
    ),
    y: { ...scale(y, [...finite.flatMap((r) => [r.low, r.high]), ...levels.map((l) => l.y)]), grid: true },
    color: { domain: series.map(({ name }) => name), range: series.map((_, k) => colourOf(k)) },
    marks: [
      Plot.areaY(finite, { x: "x", y1: "low", y2: "high", fill: "series", fillOpacity: 0.15 }),
      Plot.lineY(finite, { ...common, y: "y", strokeWidth: 2 }),
      Plot.dot(finite, { ...common, y: "y", r: 2.5, fill: "series" }),
      Plot.ruleY(levels, { y: "y", stroke: "currentColor", strokeDasharray: "4 3", strokeOpacity: 0.6 }),
      // side by side, as levels may lie close together
      ...levels.map((level, k) =>
        Plot.text([level], {
          ...{ y: "y", text: "name", frameAnchor: "right", textAnchor: "end" },
          ...{ dy: -6, dx: -LEVEL * (levels.length - 1 - k), fillOpacity: 0.7 },
        }),
      ),
    ],
  }
}

/** Characters of a row's name on a line. */
const LINE = 46

const inTwoLines = (name: string): string => {
  const space = name.length <= LINE ? -1 : name.indexOf(" ", Math.ceil(name.length / 2) - 4)
  return space < 0 ? name : `${name.slice(0, space)}\n${name.slice(space + 1)}`
}

const estimatesOf = ({ x, rows }: Estimates): Plot.PlotOptions => {
  const shown = rows.filter(({ values }) => values.length > 0)
  const dots = shown.flatMap(({ name, values }) => values.map((value) => ({ name, value })))
  const means = shown.map(({ name, values }) => ({ name, value: values.reduce((a, b) => a + b, 0) / values.length }))
  const longest = Math.max(
    4,
    ...rows.flatMap(({ name }) =>
      inTwoLines(name)
        .split("\n")
        .map(({ length }) => length),
    ),
  )
  return {
    height: 56 + 27 * rows.length,
    marginLeft: 14 + 6.4 * longest,
    x: {
      ...scale(
        x,
        dots.map((d) => d.value),
      ),
      grid: true,
    },
    y: { domain: rows.map(({ name }) => name), label: null, type: "band", padding: 0.3, tickFormat: inTwoLines },
    marks: [
      Plot.tickX(means, { x: "value", y: "name", stroke: COLOURS[0], strokeWidth: 3 }),
      Plot.dot(dots, { x: "value", y: "name", fill: COLOURS[1], fillOpacity: 0.8, r: 3.5 }),
    ],
  }
}

/** The names of the curves in their colours; estimates are named by their axis. */
export const legend = (chart: Chart): readonly { readonly name: string; readonly colour: string }[] =>
  chart.kind === "lines" ? chart.series.map(({ name }, k) => ({ name, colour: colourOf(k) })) : []

/** One `<svg>` in the colour of the text around it. */
export const svg = (chart: Chart): string => {
  const { document } = parseHTML("<!doctype html><html><body></body></html>")
  const options = chart.kind === "lines" ? linesOf(chart) : estimatesOf(chart)
  const drawn = Plot.plot({
    document: document as never,
    width: widthOf(chart),
    marginBottom: 40,
    ...(chart.kind === "lines" && { marginLeft: 56 }),
    className: chart.kind === "lines" ? "plot" : "plot-wide",
    ariaLabel: chart.title,
    style: { background: "none" } as never,
    ...options,
  })
  return drawn.outerHTML
}

/** A file of its own: on white, with title and legend, for pages that only take pictures. */
export const file = (chart: Chart, escaped: (s: string) => string): string => {
  const inner = svg(chart)
  const height = Number(/ height="([\d.]+)"/.exec(inner)?.[1] ?? 260)
  const names = legend(chart)
  const width = widthOf(chart)
  const columns = width === WIDE ? 3 : 2
  const rows = Math.ceil(names.length / columns)
  const top = 30 + 18 * rows
  const entries = names.map(({ name, colour }, k) => {
    const [x, y] = [16 + (k % columns) * 205, 44 + 18 * Math.floor(k / columns)]
    return `<rect x="${x}" y="${y - 9}" width="10" height="10" fill="${colour}"/><text x="${x + 15}" y="${y}">${escaped(name)}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height + top}" viewBox="0 0 ${width} ${height + top}" font-family="system-ui, sans-serif" font-size="12" fill="#222" color="#222">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="16" y="20" font-size="14" font-weight="600">${escaped(chart.title)}</text>`,
    ...entries,
    inner.replace("<svg ", `<svg y="${top}" `),
    "</svg>\n",
  ].join("\n")
}
