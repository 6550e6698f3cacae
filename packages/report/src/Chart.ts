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

export const colourOf = (k: number): string => COLOURS[k % COLOURS.length]!

/** Pixels: on a phone the text is still legible. */
const WIDTH = 480
const HEIGHT = 260
const [TOP, BOTTOM] = [20, 40]
/** A line of text. */
const LINE = 13

/** Room for the names of levels, right of the curves. */
const roomOf = (levels: readonly { readonly name: string }[]): number =>
  levels.length === 0 ? 20 : 10 + 6.2 * Math.max(...levels.map(({ name }) => name.length))

/** Most numbers that are counted one by one. */
const COUNTED = 10

/** Whole numbers, few of them, are marked one by one. */
const ticksOf = (low: number, high: number, values: readonly number[]): Plot.ScaleOptions =>
  high - low <= COUNTED && values.every(Number.isInteger)
    ? { ticks: Array.from({ length: high - low + 1 }, (_, k) => low + k), tickFormat: "d" }
    : {}

const scale = ({ label, log = false, from }: Axis, values: readonly number[]): Plot.ScaleOptions => {
  const low = Math.min(...values, ...(from === undefined ? [] : [from]))
  const high = Math.max(...values, ...(from === undefined ? [] : [from]))
  const isSpread = Number.isFinite(low) && high > low
  return {
    label,
    ...(log ? { type: "log" as const, ticks: 5, tickFormat: "~s" } : { nice: true }),
    ...(isSpread && { domain: [low, high], ...(!log && ticksOf(low, high, values)) }),
  }
}

type Level = NonNullable<Lines["levels"]>[number]

/** Each level's name beside it, or just above the name below where levels lie close together: pixels to move it by. */
const apart = (levels: readonly Level[], y: Plot.ScaleOptions): readonly (Level & { readonly dy: number })[] => {
  const { apply } = Plot.scale({ y: { ...y, range: [HEIGHT - BOTTOM, TOP] } })!
  let free = Number.POSITIVE_INFINITY
  return levels
    .toSorted((a, b) => a.y - b.y)
    .map((level) => {
      const place: number = apply(level.y)
      const dy = Math.min(0, free - place)
      free = place + dy - LINE
      return { ...level, dy }
    })
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
  const across = scale(
    x,
    finite.map((r) => r.x),
  )
  const up = scale(y, [...finite.flatMap((r) => [r.low, r.high]), ...levels.map((l) => l.y)])
  return {
    height: HEIGHT,
    marginLeft: 56,
    marginRight: roomOf(levels),
    x: across,
    y: { ...up, grid: true },
    color: { domain: series.map(({ name }) => name), range: series.map((_, k) => colourOf(k)) },
    marks: [
      Plot.areaY(finite, { x: "x", y1: "low", y2: "high", fill: "series", fillOpacity: 0.15 }),
      Plot.lineY(finite, { ...common, y: "y", strokeWidth: 2 }),
      Plot.dot(finite, { ...common, y: "y", r: 2.5, fill: "series" }),
      Plot.ruleY(levels, { y: "y", stroke: "currentColor", strokeDasharray: "4 3", strokeOpacity: 0.6 }),
      ...apart(levels, up).map(({ dy, ...level }) =>
        Plot.text([level], { y: "y", text: "name", frameAnchor: "right", textAnchor: "start", dx: 6, dy }),
      ),
    ],
  }
}

/** Of a row of estimates: its name, and below it the values. */
const ROW = 36

const estimatesOf = ({ x, rows }: Estimates): Plot.PlotOptions => {
  const shown = rows.filter(({ values }) => values.length > 0)
  const dots = shown.flatMap(({ name, values }) => values.map((value) => ({ name, value })))
  const means = shown.map(({ name, values }) => ({ name, value: values.reduce((a, b) => a + b, 0) / values.length }))
  return {
    height: 8 + BOTTOM + ROW * shown.length,
    marginTop: 8,
    marginLeft: 24,
    marginRight: 20,
    x: {
      ...scale(
        x,
        dots.map((d) => d.value),
      ),
      grid: true,
    },
    y: { domain: shown.map(({ name }) => name), axis: null, type: "band", padding: 0 },
    marks: [
      Plot.text(shown, { y: "name", text: "name", frameAnchor: "left", dy: 5 - ROW / 2 }),
      Plot.tickX(means, { x: "value", y: "name", stroke: COLOURS[0], strokeWidth: 3, insetTop: 13, insetBottom: 5 }),
      Plot.dot(dots, { x: "value", y: "name", fill: COLOURS[1], fillOpacity: 0.8, r: 3.5, dy: 4 }),
    ],
  }
}

/** The names of the curves in their colours; of estimates, what is a value and what their mean. */
export const legend = (chart: Chart): readonly { readonly name: string; readonly colour: string }[] =>
  chart.kind === "lines"
    ? chart.series.map(({ name }, k) => ({ name, colour: colourOf(k) }))
    : [
        { name: "one run", colour: COLOURS[1] },
        { name: "mean", colour: COLOURS[0] },
      ]

/** One `<svg>` in the colour of the text around it. */
export const svg = (chart: Chart): string => {
  const { document } = parseHTML("<!doctype html><html><body></body></html>")
  const options = chart.kind === "lines" ? linesOf(chart) : estimatesOf(chart)
  const drawn = Plot.plot({
    document: document as never,
    width: WIDTH,
    marginTop: TOP,
    marginBottom: BOTTOM,
    className: "plot",
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
  const top = 32 + 18 * names.length
  const entries = names.map(({ name, colour }, k) => {
    const [x, y] = [16, 44 + 18 * k]
    return `<rect x="${x}" y="${y - 9}" width="10" height="10" fill="${colour}"/><text x="${x + 15}" y="${y}">${escaped(name)}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height + top}" viewBox="0 0 ${WIDTH} ${height + top}" font-family="system-ui, sans-serif" font-size="12" fill="#222" color="#222">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    // a long title is set smaller
    `<text x="16" y="20" font-size="${Math.min(14, 780 / chart.title.length).toFixed(1)}" font-weight="600">${escaped(chart.title)}</text>`,
    ...entries,
    inner.replace("<svg ", `<svg y="${top}" `),
    "</svg>\n",
  ].join("\n")
}
