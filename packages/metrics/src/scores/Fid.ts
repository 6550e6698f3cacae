/**
 * Fréchet distance of two Gaussians, ‖μ₁ - μ₂‖² + tr Σ₁ + tr Σ₂ - 2 tr √(Σ₁Σ₂) (Heusel et al., 2017; the numbers of
 * pytorch-fid). No general matrix square root is computed: the trace is a sum of singular values or of roots of eigenvalues, so
 * there is no imaginary part, and singular covariances need no ε on their diagonals.
 */
import * as Failure from "@adafm/core/Failure"
import * as Rng from "@adafm/core/Rng"
import * as Cholesky from "../linalg/Cholesky.ts"
import * as Matrix from "../linalg/Matrix.ts"
import * as MatrixProduct from "../linalg/MatrixProduct.ts"
import * as SingularValues from "../linalg/SingularValues.ts"
import * as SymmetricEigenvalues from "../linalg/SymmetricEigenvalues.ts"
import * as GaussianStats from "./GaussianStats.ts"

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

const refuse = (reason: string): never => Failure.raise("BadCovariance", `not a covariance matrix: ${reason}`)

const INDEFINITE = "it has a negative eigenvalue"

/** The factor of a covariance; it has fewer rows if the covariance is singular. Raises if the covariance is indefinite. */
const factored = (covariance: Matrix.Matrix): Matrix.Matrix => {
  const factor = Cholesky.factor(covariance)
  const [whole, rebuilt] = [trace(covariance), factor.data.reduce((sum, v) => sum + v * v, 0)]
  if (Math.abs(whole - rebuilt) > GaussianStats.ROUNDING * Math.abs(whole)) refuse(INDEFINITE)
  return factor
}

/** From means and covariances: with Σ₁ = FᵀF, tr √(Σ₁Σ₂) is the sum of the roots of the eigenvalues of F·Σ₂·Fᵀ. */
export const fromMoments = async (a: GaussianStats.Moments, b: GaussianStats.Moments): Promise<Terms> => {
  for (const { covariance } of [a, b]) {
    const problem = GaussianStats.covarianceProblem(covariance)
    if (problem !== undefined) refuse(problem)
  }
  const factor = factored(a.covariance)
  const inner = await MatrixProduct.transposed(await MatrixProduct.transposed(factor, b.covariance), factor)
  const roots = SymmetricEigenvalues.of(inner)
  if ((roots[0] ?? 0) < -GaussianStats.ROUNDING * Math.max(0, roots.at(-1) ?? 0)) refuse(INDEFINITE)
  const traceRoot = roots.reduce((sum, v) => sum + Math.sqrt(Math.max(0, v)), 0)
  return terms(distance(a.mean, b.mean), trace(a.covariance), trace(b.covariance), traceRoot)
}

/** Fewer images than dimensions: tr √(Σ₁Σ₂) is exactly the sum of the singular values of X₁·X₂ᵀ, centred and scaled. */
const fewImages = async (a: Matrix.Matrix, b: Matrix.Matrix): Promise<Terms> => {
  const [meanA, meanB] = [Matrix.mean(a), Matrix.mean(b)]
  const [x, y] = [Matrix.centred(a, meanA), Matrix.centred(b, meanB)]
  const sum = (values: Float64Array): number => values.reduce((s, v) => s + v, 0)
  const [dofA, dofB] = [a.rows - 1, b.rows - 1]
  const traceRoot = sum(SingularValues.of(await MatrixProduct.transposed(x, y))) / Math.sqrt(dofA * dofB)
  return terms(
    distance(meanA, meanB),
    sum(Matrix.squaredNorms(x)) / dofA,
    sum(Matrix.squaredNorms(y)) / dofB,
    traceRoot,
  )
}

/** From features `[N, d]`, at least two on each side; by singular values if there are fewer images than dimensions. */
export const fromFeatures = async (a: Matrix.Matrix, b: Matrix.Matrix): Promise<Terms> =>
  Math.min(a.rows, b.rows) < a.cols
    ? fewImages(a, b)
    : fromMoments(GaussianStats.moments(await GaussianStats.of(a)), GaussianStats.moments(await GaussianStats.of(b)))

export interface Interval {
  readonly low: number
  readonly high: number
  /** Coverage, e.g. 0.95. */
  readonly level: number
  readonly resamples: number
}

/** With more images on a side, a bootstrap takes minutes. */
export const BOOTSTRAP_LIMIT = 2048

/** A number of resamples that takes bearable time: each takes time cubic in the number of images. */
export const resamples = (a: Matrix.Matrix, b: Matrix.Matrix): number => (Math.max(a.rows, b.rows) <= 512 ? 100 : 40)

/** A resample of one side: how often each image is drawn, and the mean and the trace that follow. */
const drawn = (a: Matrix.Matrix, norms: Float64Array, key: Rng.Key) => {
  const weights = new Float64Array(a.rows)
  for (const i of Rng.int(key, [a.rows], 0, a.rows).data) weights[i]! += 1
  const mean = new Float64Array(a.cols)
  let squares = 0
  for (let i = 0; i < a.rows; i++) {
    const w = weights[i]!
    if (w === 0) continue
    squares += w * norms[i]!
    for (let c = 0; c < a.cols; c++) mean[c]! += (w / a.rows) * a.data[i * a.cols + c]!
  }
  const length = mean.reduce((sum, v) => sum + v * v, 0)
  return {
    weights,
    mean,
    places: [...weights.keys()].filter((i) => weights[i]! > 0),
    trace: (squares - a.rows * length) / (a.rows - 1),
  }
}

/** `√(wᵢ·uⱼ)·(xᵢ - x̄)·(yⱼ - ȳ)` of the drawn images, from the dot products of all images. */
const crossed = ({ cols, data }: Matrix.Matrix, x: ReturnType<typeof drawn>, y: ReturnType<typeof drawn>) => {
  const [n, m] = [x.weights.length, y.weights.length]
  const [ofX, ofY] = [new Float64Array(n), new Float64Array(m)] // xᵢ·ȳ and x̄·yⱼ
  let both = 0 // x̄·ȳ
  for (const i of x.places)
    for (const j of y.places) {
      const dot = data[i * cols + j]!
      ofX[i]! += (y.weights[j]! / m) * dot
      ofY[j]! += (x.weights[i]! / n) * dot
    }
  for (const i of x.places) both += (x.weights[i]! / n) * ofX[i]!
  const out = Matrix.make(x.places.length, y.places.length)
  let to = 0
  for (const i of x.places)
    for (const j of y.places)
      out.data[to++] = Math.sqrt(x.weights[i]! * y.weights[j]!) * (data[i * cols + j]! - ofX[i]! - ofY[j]! + both)
  return out
}

/**
 * How much FID would vary with other images of the same two sources, at the same counts: quantiles of resampled FIDs, shifted so
 * that their mean is the FID of the sets, because a resample repeats images, which raises FID. The interval does not include the
 * bias of few images. The dot products of all images are computed once; the roots are those of the eigenvalues of M·Mᵀ, which are
 * exact enough here.
 */
export const bootstrap = async (
  a: Matrix.Matrix,
  b: Matrix.Matrix,
  { resamples: count = resamples(a, b), level = 0.95, seed = 0 } = {},
): Promise<Interval> => {
  const [meanA, meanB] = [Matrix.mean(a), Matrix.mean(b)]
  const [x, y] = [Matrix.centred(a, meanA), Matrix.centred(b, meanB)]
  const [normsX, normsY] = [Matrix.squaredNorms(x), Matrix.squaredNorms(y)]
  const dots = await MatrixProduct.transposed(x, y)
  const values = new Float64Array(count)
  for (let k = 0; k < count; k++) {
    const p = drawn(x, normsX, Rng.at(seed, "metrics/fid-bootstrap/a", k))
    const q = drawn(y, normsY, Rng.at(seed, "metrics/fid-bootstrap/b", k))
    const m = crossed(dots, p, q)
    const thin = m.rows <= m.cols ? m : Matrix.transpose(m)
    const roots = SymmetricEigenvalues.of(await MatrixProduct.transposed(thin, thin))
    const traceRoot = roots.reduce((s, v) => s + Math.sqrt(Math.max(0, v)), 0) / Math.sqrt((a.rows - 1) * (b.rows - 1))
    const meanTerm = meanA.reduce((s, v, i) => s + (v + p.mean[i]! - meanB[i]! - q.mean[i]!) ** 2, 0)
    values[k] = terms(meanTerm, p.trace, q.trace, traceRoot).value
  }
  const shift = (await fewImages(a, b)).value - values.reduce((s, v) => s + v, 0) / count
  const sorted = values.sort()
  const at = (quantile: number): number => sorted[Math.round(quantile * (count - 1))]! + shift
  return { low: at((1 - level) / 2), high: at((1 + level) / 2), level, resamples: count }
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
