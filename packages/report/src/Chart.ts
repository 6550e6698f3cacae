/** Curves and estimates as SVG, drawn by Observable Plot without a browser. */

import * as Plot from "@observablehq/plot"
import * as Drawing from "#Drawing"

interface Axis {
  readonly label: string
  readonly log?: boolean
  /** A value that the axis always includes. */
  readonly from?: number
}

export interface Point {
  readonly x: number
  readonly y: number
  /** Smallest and largest value of several repetitions. */
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
  /** Values to compare with, drawn as dashed lines. */
  readonly levels?: readonly { readonly name: string; readonly y: number }[]
}

export interface Estimates {
  readonly kind: "estimates"
  readonly title: string
  readonly x: Axis
  /** From top to bottom. Every repetition is a dot, their mean a bar. */
  readonly rows: readonly { readonly name: string; readonly values: readonly number[] }[]
}

export type Chart = Lines | Estimates

/** Paul Tol's "bright" colours: colour-blind readers can tell them apart, and they are legible on white and on near-black. */
export const COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#999999"] as const

export const colourOf = (k: number): string => COLOURS[k % COLOURS.length]!

/** Pixels; at this size the text is legible on a phone. */
const WIDTH = 480
const HEIGHT = 260
const [TOP, BOTTOM] = [20, 40]
/** Height of a line of text, pixels. */
const LINE = 13

/** Margin for the names of levels, right of the curves, pixels. */
const roomOf = (levels: readonly { readonly name: string }[]): number =>
  levels.length === 0 ? 20 : 10 + 6.2 * Math.max(...levels.map(({ name }) => name.length))

/** Longest range of whole numbers with a tick for each. */
const COUNTED = 10

/** One tick per number for a short range of whole numbers. */
const ticksOf = (low: number, high: number, values: readonly number[]): Plot.ScaleOptions =>
  high - low <= COUNTED && values.every(Number.isInteger)
    ? { ticks: Array.from({ length: high - low + 1 }, (_, k) => low + k), tickFormat: "d" }
    : {}

const scale = ({ label, log = false, from }: Axis, values: readonly number[]): Plot.ScaleOptions => {
  const low = values.reduce((a, b) => Math.min(a, b), from ?? Number.POSITIVE_INFINITY)
  const high = values.reduce((a, b) => Math.max(a, b), from ?? Number.NEGATIVE_INFINITY)
  const isSpread = Number.isFinite(low) && high > low
  return {
    label,
    ...(log ? { type: "log" as const, ticks: 5, tickFormat: "~s" } : { nice: true }),
    ...(isSpread && { domain: [low, high], ...(!log && ticksOf(low, high, values)) }),
  }
}

type Level = NonNullable<Lines["levels"]>[number]

/** Shift of each level's name, pixels: 0 puts it at the level; where levels are close, the name moves up, above the one below. */
const apart = (levels: readonly Level[], y: Plot.ScaleOptions): readonly (Level & { readonly dy: number })[] => {
  if (levels.length === 0) return []
  // a scale of its own where the curves have none: no value, or one value only
  const own = [Math.min(...levels.map((level) => level.y)) - 1, Math.max(...levels.map((level) => level.y)) + 1]
  const { apply } = Plot.scale({ y: { domain: own, ...y, range: [HEIGHT - BOTTOM, TOP] } })!
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

/** Height of a row of estimates, pixels: its name, and the values below. */
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

/** Entries of a chart's legend: the curves, or the values and the mean of estimates, with their colours. */
export const legend = (chart: Chart): readonly { readonly name: string; readonly colour: string }[] =>
  chart.kind === "lines"
    ? chart.series.map(({ name }, k) => ({ name, colour: colourOf(k) }))
    : [
        { name: "one run", colour: COLOURS[1] },
        { name: "mean", colour: COLOURS[0] },
      ]

/** The chart as one `<svg>`; text and axes take the colour of the surrounding text. */
export const svg = (chart: Chart): string => {
  const document = Drawing.document()
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

/** The chart as a separate SVG file, on white and with title and legend, for Markdown. */
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
    // a long title gets a smaller font
    `<text x="16" y="20" font-size="${Math.min(14, 780 / chart.title.length).toFixed(1)}" font-weight="600">${escaped(chart.title)}</text>`,
    ...entries,
    inner.replace("<svg ", `<svg y="${top}" `),
    "</svg>\n",
  ].join("\n")
}
