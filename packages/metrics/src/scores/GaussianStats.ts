/**
 * Count, mean and scatter of feature vectors, in float64. They are a monoid under `merge`, so any set can be summarised in
 * constant memory, in shards and in any order (Chan, Golub, LeVeque: "Updating formulae and a pairwise algorithm", 1979).
 */
import * as Matrix from "../linalg/Matrix.ts"
import * as MatrixProduct from "../linalg/MatrixProduct.ts"

export interface Stats {
  readonly count: number
  /** `[d]` */
  readonly mean: Float64Array
  /** `[d, d]` Σ (x - mean)·(x - mean)ᵀ */
  readonly scatter: Matrix.Matrix
}

export const empty = (dims: number): Stats => ({
  count: 0,
  mean: new Float64Array(dims),
  scatter: Matrix.make(dims, dims),
})

/** `[N, d]` → statistics of the rows. */
export const of = async (features: Matrix.Matrix): Promise<Stats> => {
  if (features.rows === 0) return empty(features.cols)
  const mean = Matrix.mean(features)
  const columns = Matrix.transpose(Matrix.centred(features, mean))
  return { count: features.rows, mean, scatter: await MatrixProduct.transposed(columns, columns) }
}

/** Statistics of both sets together. */
export const merge = (a: Stats, b: Stats): Stats => {
  const d = a.mean.length
  if (d !== b.mean.length) throw new Error(`statistics of ${d} and of ${b.mean.length} dimensions do not merge`)
  if (a.count === 0) return b
  if (b.count === 0) return a
  const count = a.count + b.count
  const delta = b.mean.map((m, i) => m - a.mean[i]!)
  const weight = (a.count * b.count) / count
  const scatter = Matrix.make(d, d)
  for (let i = 0; i < d; i++)
    for (let j = 0; j < d; j++) {
      const at = i * d + j
      scatter.data[at] = a.scatter.data[at]! + b.scatter.data[at]! + weight * delta[i]! * delta[j]!
    }
  return { count, mean: a.mean.map((m, i) => m + (delta[i]! * b.count) / count), scatter }
}

/** The input of FID: the mean and the unbiased covariance (n - 1), as in NumPy's `cov` and every FID implementation. */
export interface Moments {
  /** `[d]` */
  readonly mean: Float64Array
  /** `[d, d]` */
  readonly covariance: Matrix.Matrix
}

/** The covariance of a single row is zero. */
export const moments = ({ count, mean, scatter }: Stats): Moments => ({
  mean,
  covariance: { ...scatter, data: scatter.data.map((v) => v / Math.max(1, count - 1)) },
})

/** The inverse of `moments`. */
export const ofMoments = ({ mean, covariance }: Moments, count: number): Stats => ({
  count,
  mean,
  scatter: { ...covariance, data: covariance.data.map((v) => v * (count - 1)) },
})

/** Error that rounding to float32 in a file may cause, relative to the largest element. */
export const ROUNDING = 1e-4

/** Why a square matrix cannot be a covariance, as far as its elements show it; undefined if they do not. */
export const covarianceProblem = ({ rows: n, data }: Matrix.Matrix): string | undefined => {
  const largest = data.reduce((most, v) => Math.max(most, Math.abs(v)), 0)
  if (!Number.isFinite(largest)) return "it holds a value that is not finite"
  for (let i = 0; i < n; i++) {
    if (data[i * n + i]! < -ROUNDING * largest) return `the variance (${i}, ${i}) is negative`
    for (let j = 0; j < i; j++)
      if (Math.abs(data[i * n + j]! - data[j * n + i]!) > ROUNDING * largest)
        return `the elements (${i}, ${j}) and (${j}, ${i}) differ`
  }
  return undefined
}
