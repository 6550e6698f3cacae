/** Euclidean distances between feature vectors, and what follows from the nearest ones. */
import * as Matrix from "../linalg/Matrix.ts"
import * as MatrixProduct from "../linalg/MatrixProduct.ts"

/** Calls `visit` with the squared distances of every row of `a` to all rows of `b`. The next row overwrites `distances` `[b.rows]`. */
export const forEachRow = async (
  a: Matrix.Matrix,
  b: Matrix.Matrix,
  visit: (row: number, distances: Float64Array) => void,
): Promise<void> => {
  const [na, nb] = [Matrix.squaredNorms(a), Matrix.squaredNorms(b)]
  const distances = new Float64Array(b.rows)
  await MatrixProduct.forSlabs(a, b, ({ rows, cols, data }, first) => {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < cols; j++) distances[j] = Math.max(0, na[first + i]! + nb[j]! - 2 * data[i * cols + j]!)
      visit(first + i, distances)
    }
  })
}

/** The k-th smallest value, for small k: the k smallest so far are kept in order. */
const smallest = (values: Float64Array, k: number): number => {
  const best = new Float64Array(k).fill(Number.POSITIVE_INFINITY)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value >= best[k - 1]!) continue
    let at = k - 1
    for (; at > 0 && best[at - 1]! > value; at--) best[at] = best[at - 1]!
    best[at] = value
  }
  return best[k - 1]!
}

/** Distance from every row to its k-th nearest other row. `[N, d] → [N]` */
export const radii = async (a: Matrix.Matrix, k: number): Promise<Float64Array> => {
  if (k < 1 || k >= a.rows) throw new Error(`${a.rows} points have no ${k}-th nearest neighbour`)
  const out = new Float64Array(a.rows)
  await forEachRow(a, a, (row, distances) => {
    distances[row] = Number.POSITIVE_INFINITY
    out[row] = Math.sqrt(smallest(distances, k))
  })
  return out
}

export interface Nearest {
  /** Rows of the reference. */
  readonly index: Int32Array
  readonly distance: Float64Array
}

/** The row of `b` nearest to every row of `a`: the training image that a sample resembles most. */
export const nearest = async (a: Matrix.Matrix, b: Matrix.Matrix): Promise<Nearest> => {
  const found = { index: new Int32Array(a.rows), distance: new Float64Array(a.rows) }
  await forEachRow(a, b, (row, distances) => {
    let best = 0
    for (let j = 1; j < distances.length; j++) if (distances[j]! < distances[best]!) best = j
    found.index[row] = best
    found.distance[row] = Math.sqrt(distances[best]!)
  })
  return found
}

/**
 * Two rows are the same picture if their squared distance is at most this share of their squared norms: features are float32, and
 * those of one picture differ by rounding from batch to batch.
 */
const SAME = 1e-10

/** How many radii are those of the same picture. `[N, d]`, `[N]` */
export const points = (a: Matrix.Matrix, radii: Float64Array): number => {
  const norms = Matrix.squaredNorms(a)
  return radii.reduce((count, radius, row) => count + Number(radius * radius <= 2 * SAME * norms[row]!), 0)
}

export interface Distinct {
  /** Median distance from an image to the nearest other one that is not the same picture; NaN if there is none. */
  readonly median: number
  /** Rows that repeat an earlier one. */
  readonly doubles: number
}

/** The distances within a set in which some pictures occur more than once: each counts once. */
export const distinct = async (a: Matrix.Matrix): Promise<Distinct> => {
  const norms = Matrix.squaredNorms(a)
  const isSame = (i: number, j: number, distance: number): boolean => distance <= SAME * (norms[i]! + norms[j]!)
  const found: number[] = []
  let doubles = 0
  await forEachRow(a, a, (row, distances) => {
    let least = Number.POSITIVE_INFINITY
    for (let j = 0; j < distances.length; j++) {
      if (j === row) continue
      if (!isSame(row, j, distances[j]!)) least = Math.min(least, distances[j]!)
      else if (j < row) {
        doubles++
        return
      }
    }
    if (least < Number.POSITIVE_INFINITY) found.push(Math.sqrt(least))
  })
  return { median: median(Float64Array.from(found)), doubles }
}

export interface Memorisation {
  /** Median distance from a sample to its nearest training image. */
  readonly median: number
  /** Median distance from a training image to the nearest other one, for comparison. */
  readonly realMedian: number
  /** `median / realMedian`; well below 1, the samples are copies. */
  readonly ratio: number
  /** Training images that repeat another one; each picture counts once in `realMedian`. */
  readonly doubles: number
  /** The median for held-out images, if there are any. */
  readonly heldOutMedian?: number
}

/** NaN of no values. */
const median = (values: Float64Array): number => {
  const sorted = values.toSorted()
  const middle = sorted.length >> 1
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Whether samples repeat training images. */
export const memorisation = async (
  samples: Matrix.Matrix,
  training: Matrix.Matrix,
  heldOut?: Matrix.Matrix,
): Promise<Memorisation> => {
  const found = median((await nearest(samples, training)).distance)
  const { median: real, doubles } = await distinct(training)
  return {
    median: found,
    realMedian: real,
    ratio: found / real,
    doubles,
    ...(heldOut && { heldOutMedian: median((await nearest(heldOut, training)).distance) }),
  }
}

/** Mean distance between two different images of a set. */
export const diversity = async (a: Matrix.Matrix): Promise<number> => {
  let sum = 0
  await forEachRow(a, a, (row, distances) => {
    for (let j = 0; j < distances.length; j++) if (j !== row) sum += Math.sqrt(distances[j]!)
  })
  return sum / (a.rows * (a.rows - 1))
}
