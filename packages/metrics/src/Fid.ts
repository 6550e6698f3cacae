/**
 * Fréchet distance of two Gaussians, ‖μ₁ - μ₂‖² + tr Σ₁ + tr Σ₂ - 2 tr √(Σ₁Σ₂) (Heusel et al., 2017; the numbers of
 * pytorch-fid). No general matrix square root: the trace is a sum of singular values or of roots of eigenvalues, so there is
 * no imaginary part, and singular covariances need no ε on their diagonals.
 */
import { Rng } from "@adafm/core"
import * as Cholesky from "./linalg/Cholesky.ts"
import * as Matrix from "./linalg/Matrix.ts"
import * as Product from "./linalg/Product.ts"
import * as Singular from "./linalg/Singular.ts"
import * as Symmetric from "./linalg/Symmetric.ts"
import * as Stats from "./Stats.ts"

export interface Terms {
  readonly value: number
  readonly meanTerm: number
  readonly traceA: number
  readonly traceB: number
  readonly traceRoot: number
}

const distance = (a: Float64Array, b: Float64Array): number =>
  a.reduce((sum, v, i) => sum + (v - b[i]!) * (v - b[i]!), 0)

const trace = ({ rows, data }: Matrix.Matrix): number => {
  let sum = 0
  for (let i = 0; i < rows; i++) sum += data[i * rows + i]!
  return sum
}

const terms = (meanTerm: number, traceA: number, traceB: number, traceRoot: number): Terms => ({
  value: meanTerm + traceA + traceB - 2 * traceRoot,
  meanTerm,
  traceA,
  traceB,
  traceRoot,
})

/** From means and covariances: with Σ₁ = FᵀF, tr √(Σ₁Σ₂) is the sum of the roots of the eigenvalues of F·Σ₂·Fᵀ. */
export const fromMoments = async (a: Stats.Moments, b: Stats.Moments): Promise<Terms> => {
  const factor = Cholesky.factor(a.covariance)
  const inner = await Product.transposed(await Product.transposed(factor, b.covariance), factor)
  const traceRoot = Symmetric.eigenvalues(inner).reduce((sum, v) => sum + Math.sqrt(Math.max(0, v)), 0)
  return terms(distance(a.mean, b.mean), trace(a.covariance), trace(b.covariance), traceRoot)
}

/** Fewer images than dimensions: tr √(Σ₁Σ₂) is exactly the sum of the singular values of X₁·X₂ᵀ, centred and scaled. */
const fewImages = async (a: Matrix.Matrix, b: Matrix.Matrix): Promise<Terms> => {
  const [meanA, meanB] = [Matrix.mean(a), Matrix.mean(b)]
  const [x, y] = [Matrix.centred(a, meanA), Matrix.centred(b, meanB)]
  const sum = (values: Float64Array): number => values.reduce((s, v) => s + v, 0)
  const [dofA, dofB] = [a.rows - 1, b.rows - 1]
  const traceRoot = sum(Singular.values(await Product.transposed(x, y))) / Math.sqrt(dofA * dofB)
  return terms(
    distance(meanA, meanB),
    sum(Matrix.squaredNorms(x)) / dofA,
    sum(Matrix.squaredNorms(y)) / dofB,
    traceRoot,
  )
}

/** From features `[N, d]`, at least two of each side, by the exact route where images are fewer than dimensions. */
export const fromFeatures = async (a: Matrix.Matrix, b: Matrix.Matrix): Promise<Terms> =>
  Math.min(a.rows, b.rows) < a.cols
    ? fewImages(a, b)
    : fromMoments(Stats.moments(await Stats.of(a)), Stats.moments(await Stats.of(b)))

export interface Interval {
  readonly low: number
  readonly high: number
  /** Coverage, e.g. 0.95. */
  readonly level: number
  readonly resamples: number
}

/** Images of a side from which on a bootstrap takes minutes. */
export const BOOTSTRAP_LIMIT = 512

/** How often each of `n` images is drawn in a resample, and the images that are drawn at all. */
const resample = (key: Rng.Key, n: number): { readonly weights: Float64Array; readonly drawn: readonly number[] } => {
  const weights = new Float64Array(n)
  for (const i of Rng.int(key, [n], 0, n).data) weights[i]! += 1
  return { weights, drawn: [...weights.keys()].filter((i) => weights[i]! > 0) }
}

/** Drawn rows, each times the root of its weight after centring, and their weighted mean. */
const weighted = (
  a: Matrix.Matrix,
  key: Rng.Key,
): { readonly rows: Matrix.Matrix; readonly mean: Float64Array; readonly trace: number } => {
  const { weights, drawn } = resample(key, a.rows)
  const [rows, mean] = [Matrix.rows(a, drawn), new Float64Array(a.cols)]
  drawn.forEach((i, row) => {
    for (let c = 0; c < a.cols; c++) mean[c]! += (weights[i]! / a.rows) * rows.data[row * a.cols + c]!
  })
  let trace = 0
  drawn.forEach((i, row) => {
    const root = Math.sqrt(weights[i]!)
    for (let c = 0; c < a.cols; c++) {
      const value = root * (rows.data[row * a.cols + c]! - mean[c]!)
      rows.data[row * a.cols + c] = value
      trace += value * value
    }
  })
  return { rows, mean, trace: trace / (a.rows - 1) }
}

/**
 * How far FID moves with other images of the same two sources, at the same counts: quantiles of resampled FIDs, moved so that
 * their mean is the FID of the sets (a resample repeats images, which alone raises FID). The bias of few images is not in it.
 */
export const bootstrap = async (
  a: Matrix.Matrix,
  b: Matrix.Matrix,
  { resamples = 100, level = 0.95, seed = 0 } = {},
): Promise<Interval> => {
  const values = new Float64Array(resamples)
  for (let k = 0; k < resamples; k++) {
    const x = weighted(a, Rng.at(seed, "metrics/fid-bootstrap/a", k))
    const y = weighted(b, Rng.at(seed, "metrics/fid-bootstrap/b", k))
    const roots = Singular.values(await Product.transposed(x.rows, y.rows))
    const traceRoot = roots.reduce((s, v) => s + v, 0) / Math.sqrt((a.rows - 1) * (b.rows - 1))
    values[k] = terms(distance(x.mean, y.mean), x.trace, y.trace, traceRoot).value
  }
  const shift = (await fewImages(a, b)).value - values.reduce((s, v) => s + v, 0) / resamples
  const sorted = values.sort()
  const at = (q: number): number => sorted[Math.round(q * (resamples - 1))]! + shift
  return { low: at((1 - level) / 2), high: at((1 + level) / 2), level, resamples }
}

/** Subset sizes of the extrapolation. */
const POINTS = 8

/**
 * FID∞ (Chong, Forsyth: "Effectively unbiased FID", 2020): the bias is linear in 1/n, so FIDs of growing seeded subsets of `a`
 * against all of `b` are extrapolated to 1/n = 0 by least squares.
 */
export const infinity = async (a: Matrix.Matrix, b: Matrix.Matrix, seed: number): Promise<number> => {
  const points: (readonly [inverse: number, value: number])[] = []
  for (let k = 1; k <= POINTS; k++) {
    const size = Math.max(2, Math.round((a.rows * (POINTS + k)) / (2 * POINTS)))
    const order = Rng.permutation(Rng.at(seed, "metrics/fid-infinity", k), a.rows)
    points.push([1 / size, (await fromFeatures(Matrix.rows(a, order.subarray(0, size)), b)).value])
  }
  const mean = (values: readonly number[]): number => values.reduce((s, v) => s + v, 0) / values.length
  const [x, y] = [mean(points.map(([v]) => v)), mean(points.map(([, v]) => v))]
  const slope =
    points.reduce((s, [u, v]) => s + (u - x) * (v - y), 0) / points.reduce((s, [u]) => s + (u - x) * (u - x), 0)
  return y - slope * x
}
