/** A table of text and numbers; a cell may be a mean with its range. */

export interface Estimate {
  readonly mean: number
  /** Smallest and largest of several values. */
  readonly range?: readonly [low: number, high: number]
  readonly digits?: number
}

/** `undefined` is a missing value, shown as a dash. */
export type Cell = string | number | Estimate | undefined

export interface Column {
  readonly title: string
  /** Marks the best cell of the column. */
  readonly best?: "low" | "high"
  readonly digits?: number
}

export interface Table {
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly Cell[])[]
  /** Indices of the rows that compete for the best cell of a column; all by default. */
  readonly contest?: readonly number[]
}

/** Mean and range of the values; undefined for none. */
export const estimate = (values: readonly number[], digits?: number): Estimate | undefined => {
  if (values.length === 0) return undefined
  const mean = values.reduce((sum, v) => sum + v, 0) / values.length
  return {
    mean,
    ...(values.length > 1 && { range: [Math.min(...values), Math.max(...values)] as const }),
    ...(digits !== undefined && { digits }),
  }
}

const isEstimate = (cell: Cell): cell is Estimate => typeof cell === "object"
const isNumeric = (cell: Cell): boolean => typeof cell === "number" || isEstimate(cell)

/** Integers from here on are written with thousands separators. */
const LONG = 10_000

const plain = (value: number, digits: number | undefined): string => {
  if (digits !== undefined) return value.toFixed(digits).replace(/^-(0(\.0*)?)$/, "$1")
  if (!Number.isInteger(value)) return String(Number(value.toPrecision(4)))
  return Math.abs(value) < LONG ? String(value) : value.toLocaleString("en-US")
}

/** A number with a minus sign in place of the hyphen. */
const numberText = (value: number, digits: number | undefined): string => plain(value, digits).replace(/^-/, "−")

export const text = (cell: Cell, column: Pick<Column, "digits"> = {}): string => {
  if (cell === undefined) return "–"
  if (typeof cell === "string") return cell
  if (typeof cell === "number") return numberText(cell, column.digits)
  const digits = cell.digits ?? column.digits
  const mean = numberText(cell.mean, digits)
  if (cell.range === undefined) return mean
  const [low, high] = cell.range.map((end) => numberText(end, digits))
  return `${mean} (${low} ${cell.range[0] < 0 ? "to" : "–"} ${high})`
}

const value = (cell: Cell): number | undefined =>
  typeof cell === "number" ? cell : isEstimate(cell) ? cell.mean : undefined

/** The row of every column's best cell; undefined where the column marks none or fewer than two rows compete. */
export const best = ({ columns, rows, contest = [...rows.keys()] }: Table): readonly (number | undefined)[] =>
  columns.map(({ best: wanted }, c) => {
    if (wanted === undefined) return undefined
    const entries = contest.flatMap((r) => {
      const v = value(rows[r]?.[c])
      return v === undefined || !Number.isFinite(v) ? [] : [{ r, v: wanted === "low" ? v : -v }]
    })
    if (entries.length < 2) return undefined
    return entries.reduce((a, b) => (b.v < a.v ? b : a)).r
  })

/** Whether a column is right-aligned: all of its cells are numbers or missing. */
export const isRight = ({ rows }: Table, c: number): boolean =>
  rows.some((row) => isNumeric(row[c])) && rows.every((row) => row[c] === undefined || isNumeric(row[c]))

/** A column with a text of at least this many characters is broken into lines. */
const WIDE = 25

const isWide = ({ rows }: Table, c: number): boolean =>
  rows.some((row) => typeof row[c] === "string" && row[c].length >= WIDE)

const cellText = (s: string): string =>
  s.replaceAll("\\", "\\\\").replaceAll("|", "\\|").replaceAll("\n", " ").replaceAll("<", "&lt;")

/** The table in GitHub's Markdown. */
export const markdown = (table: Table): string => {
  const winners = best(table)
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`
  return [
    line(table.columns.map(({ title }) => cellText(title))),
    line(table.columns.map((_, c) => (isRight(table, c) ? "--:" : "---"))),
    ...table.rows.map((row, r) =>
      line(
        table.columns.map((column, c) => {
          const shown = cellText(text(row[c], column))
          return winners[c] === r ? `**${shown}**` : shown
        }),
      ),
    ),
  ].join("\n")
}

export const html = (table: Table, escaped: (s: string) => string): string => {
  const winners = best(table)
  const kind = (c: number): string => (isRight(table, c) ? ' class="n"' : isWide(table, c) ? ' class="w"' : "")
  const head = table.columns.map(({ title }, c) => `<th scope="col"${kind(c)}>${escaped(title)}</th>`).join("")
  const body = table.rows
    .map((row, r) => {
      const cells = table.columns.map((column, c) => {
        const shown = escaped(text(row[c], column))
        return `<td${kind(c)}>${winners[c] === r ? `<strong>${shown}</strong>` : shown}</td>`
      })
      return `<tr>${cells.join("")}</tr>`
    })
    .join("\n")
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead>\n<tbody>${body}</tbody></table></div>`
}
