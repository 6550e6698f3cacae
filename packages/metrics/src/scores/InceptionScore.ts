/** Inception Score (Salimans et al., 2016): exp of the mean KL(p(y|x) ‖ p(y)) over consecutive splits. Needs class logits. */
import type * as Matrix from "../linalg/Matrix.ts"

export interface Score {
  readonly mean: number
  /** Population standard deviation over the splits. */
  readonly deviation: number
}

/** Log-probabilities of one row. */
const logSoftmax = (row: Float64Array): Float64Array => {
  const largest = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const log = largest + Math.log(row.reduce((s, v) => s + Math.exp(v - largest), 0))
  return row.map((v) => v - log)
}

/** KL(p ‖ q) from log p; classes of probability 0 add nothing. */
const divergence = (log: Float64Array, q: Float64Array): number =>
  log.reduce((sum, l, c) => {
    const p = Math.exp(l)
    return p === 0 ? sum : sum + p * (l - Math.log(q[c]!))
  }, 0)

/**
 * @param logits `[N, classes]`, N at least the number of splits (10 everywhere)
 * @param order in which the splits take the images. Without it, a set sorted by class would have one class in every split.
 */
export const of = ({ rows: n, cols, data }: Matrix.Matrix, splits = 10, order?: ArrayLike<number>): Score => {
  if (n < splits) throw new Error(`${n} images are too few for ${splits} splits`)
  const logs = Array.from({ length: n }, (_, i) => {
    const row = order?.[i] ?? i
    return logSoftmax(data.subarray(row * cols, (row + 1) * cols))
  })
  const scores = Array.from({ length: splits }, (_, s) => {
    const part = logs.slice(Math.floor((s * n) / splits), Math.floor(((s + 1) * n) / splits))
    const marginal = new Float64Array(cols)
    for (const log of part) for (let c = 0; c < cols; c++) marginal[c]! += Math.exp(log[c]!) / part.length
    const kl = part.reduce((sum, log) => sum + divergence(log, marginal), 0)
    return Math.exp(kl / part.length)
  })
  const mean = scores.reduce((s, v) => s + v, 0) / splits
  return { mean, deviation: Math.sqrt(scores.reduce((s, v) => s + (v - mean) ** 2, 0) / splits) }
}
