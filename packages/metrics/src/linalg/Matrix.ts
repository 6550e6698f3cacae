/** Dense float64 matrices, row-major. Statistics and scores use them; features are float32 before. */
import type { NdArray } from "@adafm/core"

export interface Matrix {
  readonly rows: number
  readonly cols: number
  readonly data: Float64Array
}

export const make = (rows: number, cols: number, data: Float64Array = new Float64Array(rows * cols)): Matrix => {
  if (data.length !== rows * cols) throw new Error(`expected ${rows}×${cols} numbers, found ${data.length}`)
  return { rows, cols, data }
}

/** `[N, d]` features as float64. */
export const of = ({ shape, data }: NdArray.NdArray<"float32" | "float64">): Matrix => {
  if (shape.length !== 2) throw new Error(`expected features [N, d], found [${shape.join(", ")}]`)
  return make(shape[0]!, shape[1]!, Float64Array.from(data))
}

/** The rows at the given places. */
export const rows = ({ cols, data }: Matrix, places: ArrayLike<number>): Matrix => {
  const out = make(places.length, cols)
  for (let i = 0; i < places.length; i++)
    out.data.set(data.subarray(places[i]! * cols, (places[i]! + 1) * cols), i * cols)
  return out
}

export const transpose = ({ rows: n, cols: m, data }: Matrix): Matrix => {
  const out = make(m, n)
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) out.data[j * n + i] = data[i * m + j]!
  return out
}

/** Mean of the rows. */
export const mean = ({ rows: n, cols: m, data }: Matrix): Float64Array => {
  const sum = new Float64Array(m)
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) sum[j]! += data[i * m + j]!
  return sum.map((v) => v / n)
}

/** Every row minus `centre`. */
export const centred = ({ rows: n, cols: m, data }: Matrix, centre: Float64Array): Matrix => {
  const out = make(n, m)
  for (let i = 0; i < n; i++) for (let j = 0; j < m; j++) out.data[i * m + j] = data[i * m + j]! - centre[j]!
  return out
}

/** Squared length of every row. */
export const squaredNorms = ({ rows: n, cols: m, data }: Matrix): Float64Array =>
  Float64Array.from({ length: n }, (_, i) => {
    let sum = 0
    for (let j = i * m; j < (i + 1) * m; j++) sum += data[j]! * data[j]!
    return sum
  })

export const allFinite = ({ data }: Matrix): boolean => data.every(Number.isFinite)
