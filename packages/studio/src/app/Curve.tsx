/** A chart of the report, drawn in the page. */
import { Chart } from "@adafm/report"
import type { Line } from "../protocol/Protocol.ts"

export interface Props {
  readonly title: string
  readonly lines: readonly Line[]
  /** Columns of the lines, with their names in the legend. */
  readonly columns: readonly (readonly [column: string, name: string])[]
  readonly label: string
}

export const Curve = ({ title, lines, columns, label }: Props) => {
  const series = columns.flatMap(([column, name]) => {
    const points = lines.flatMap((line) => {
      const y = Number(line[column])
      return Number.isFinite(y) ? [{ x: Number(line.step), y }] : []
    })
    return points.length > 1 ? [{ name, points }] : []
  })
  if (series.length === 0) return null
  const chart: Chart.Chart = { kind: "lines", title, x: { label: "steps" }, y: { label }, series }
  return (
    <figure class="curve">
      <figcaption>
        {title}
        <span class="legend">
          {series.map(({ name }, k) => (
            <span key={name}>
              <i style={{ background: Chart.colourOf(k) }} /> {name}
            </span>
          ))}
        </span>
      </figcaption>
      <div dangerouslySetInnerHTML={{ __html: Chart.svg(chart) }} />
    </figure>
  )
}
