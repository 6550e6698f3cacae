/**
 * Kernel Inception Distance (Bińkowski et al., 2018): the unbiased squared MMD under k(x, y) = (x·y / d + 1)³. Unlike FID it
 * has no bias in the number of images; it may be negative.
 */
import * as Rng from "@adafm/core/Rng"
import * as Matrix from "../linalg/Matrix.ts"
import * as MatrixProduct from "../linalg/MatrixProduct.ts"
import * as NumpyRandom from "./NumpyRandom.ts"

const kernelOf = (dot: number, dims: number): number => {
  const base = dot / dims + 1
  return base * base * base // `** 3` takes ten times as long
}

/** Σ k(x, y) over all pairs, and over the diagonal, which matters if both sides are the same set. */
const sums = async (
  x: Matrix.Matrix,
  y: Matrix.Matrix,
): Promise<{ readonly all: number; readonly diagonal: number }> => {
  let [all, diagonal] = [0, 0]
  await MatrixProduct.forSlabs(x, y, ({ rows, cols, data }, first) => {
    for (let i = 0; i < rows; i++)
      for (let j = 0; j < cols; j++) {
        const k = kernelOf(data[i * cols + j]!, x.cols)
        all += k
        if (first + i === j) diagonal += k
      }
  })
  return { all, diagonal }
}

/** The unbiased estimate over whole sets; at least two images on each side. `[m, d], [n, d] → MMD²` */
export const unbiased = async (a: Matrix.Matrix, b: Matrix.Matrix): Promise<number> => {
  const [m, n] = [a.rows, b.rows]
  const [aa, bb, ab] = [await sums(a, a), await sums(b, b), await sums(a, b)]
  return (aa.all - aa.diagonal) / (m * (m - 1)) + (bb.all - bb.diagonal) / (n * (n - 1)) - (2 * ab.all) / (m * n)
}

export interface Spread {
  readonly mean: number
  /** Population standard deviation of the values. */
  readonly deviation: number
  readonly values: readonly number[]
}

const spread = (values: readonly number[]): Spread => {
  const mean = values.reduce((s, v) => s + v, 0) / values.length
  return { mean, deviation: Math.sqrt(values.reduce((s, v) => s + (v - mean) ** 2, 0) / values.length), values }
}

/** Over consecutive disjoint blocks of both sets; images after the last whole block are dropped. */
export const blocks = async (a: Matrix.Matrix, b: Matrix.Matrix, size: number): Promise<Spread> => {
  const values: number[] = []
  for (let from = 0; from + size <= Math.min(a.rows, b.rows); from += size) {
    const places = Array.from({ length: size }, (_, i) => from + i)
    values.push(await unbiased(Matrix.rows(a, places), Matrix.rows(b, places)))
  }
  return spread(values)
}

export interface Subsets {
  /** Number of subsets; 100 in torch-fidelity. */
  readonly subsets?: number
  /** Images of each subset; 1,000 in torch-fidelity, never more than a side has. */
  readonly size?: number
  readonly rngSeed?: number
}

/** Over random subsets without replacement: torch-fidelity's protocol, and with `rngSeed` 2020 its subsets. */
export const subsets = async (
  a: Matrix.Matrix,
  b: Matrix.Matrix,
  { subsets: count = 100, size = 1000, rngSeed = 2020 }: Subsets = {},
): Promise<Spread> => {
  const take = Math.min(size, a.rows, b.rows)
  const random = NumpyRandom.of(rngSeed)
  const choose = (m: Matrix.Matrix): Matrix.Matrix => Matrix.rows(m, random.permutation(m.rows).subarray(0, take))
  const values: number[] = []
  for (let k = 0; k < count; k++) values.push(await unbiased(choose(a), choose(b)))
  return spread(values)
}

export interface Interval {
  readonly low: number
  readonly high: number
  /** Coverage, e.g. 0.95. */
  readonly level: number
  readonly resamples: number
}

/** With more images on a side, the kernel matrices (n² float64) take too much memory for the bootstrap. */
export const BOOTSTRAP_LIMIT = 4000

const kernel = async (a: Matrix.Matrix, b: Matrix.Matrix): Promise<Matrix.Matrix> => {
  const dots = await MatrixProduct.transposed(a, b)
  return { ...dots, data: dots.data.map((v) => kernelOf(v, a.cols)) }
}

/** wᵀ·K·u */
const form = ({ rows, cols, data }: Matrix.Matrix, w: Float64Array, u: Float64Array): number => {
  let sum = 0
  for (let i = 0; i < rows; i++) {
    if (w[i] === 0) continue
    let row = 0
    for (let j = 0; j < cols; j++) row += data[i * cols + j]! * u[j]!
    sum += w[i]! * row
  }
  return sum
}

/**
 * KID of resamples of the images of both sides, in the order of the draws. A resample is a weight for each image: how often it is
 * drawn. Pairs of an image with its own copy are excluded, like the diagonal, so that the estimate stays unbiased. The weights depend
 * on the seed and the number of images alone: two generators that are compared with the same photographs have the same photographs in
 * every resample, so the differences of their values are a paired bootstrap.
 */
export const resampled = async (
  a: Matrix.Matrix,
  b: Matrix.Matrix,
  { resamples = 200, seed = 0 } = {},
): Promise<Float64Array> => {
  const [aa, bb, ab] = [await kernel(a, a), await kernel(b, b), await kernel(a, b)]
  const weights = (side: string, n: number, k: number): Float64Array => {
    const w = new Float64Array(n)
    for (const i of Rng.int(Rng.at(seed, `metrics/kid-bootstrap/${side}`, k), [n], 0, n).data) w[i]! += 1
    return w
  }
  const within = (kernelMatrix: Matrix.Matrix, w: Float64Array): number => {
    const n = w.length
    let [diagonal, squares] = [0, 0]
    for (let i = 0; i < n; i++) {
      diagonal += w[i]! * w[i]! * kernelMatrix.data[i * n + i]!
      squares += w[i]! * w[i]!
    }
    return (form(kernelMatrix, w, w) - diagonal) / (n * n - squares)
  }
  return Float64Array.from({ length: resamples }, (_, k) => {
    const [w, u] = [weights("a", a.rows, k), weights("b", b.rows, k)]
    return within(aa, w) + within(bb, u) - (2 * form(ab, w, u)) / (a.rows * b.rows)
  })
}

/** The percentile interval of the values of resamples. */
export const interval = (values: Float64Array, level = 0.95): Interval => {
  const [resamples, sorted] = [values.length, values.toSorted()]
  const at = (q: number): number => sorted[Math.min(resamples - 1, Math.max(0, Math.round(q * (resamples - 1))))]!
  return { low: at((1 - level) / 2), high: at((1 + level) / 2), level, resamples }
}

/** The percentile interval of a bootstrap over the images of both sides. */
export const bootstrap = async (
  a: Matrix.Matrix,
  b: Matrix.Matrix,
  { resamples = 200, level = 0.95, seed = 0 } = {},
): Promise<Interval> => interval(await resampled(a, b, { resamples, seed }), level)
