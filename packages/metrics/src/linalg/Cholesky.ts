/** Pivoted Cholesky factor of a symmetric positive semidefinite matrix, which may be singular. */
import * as Matrix from "./Matrix.ts"

/** Pivots below this share of the largest are rounding: the matrix has no more rank. */
const NEGLIGIBLE = 1e-14

/**
 * @returns `[r, n]` rows f with `A = Σ fᵀ·f`, r the numerical rank: the transposed factor, so that `F·B·Fᵀ` has the non-zero
 * eigenvalues of A·B.
 */
export const factor = ({ rows: n, cols, data }: Matrix.Matrix): Matrix.Matrix => {
  if (n !== cols) throw new Error(`a covariance is square, not ${n}×${cols}`)
  const rest = Float64Array.from({ length: n }, (_, i) => data[i * n + i]!)
  const largest = rest.reduce((a, b) => Math.max(a, b), 0)
  const lower = new Float64Array(n * n) // row i: the factor's coefficients of variable order[i]
  const order = Int32Array.from({ length: n }, (_, i) => i)
  let rank = 0
  for (; rank < n; rank++) {
    let pivot = rank
    for (let i = rank + 1; i < n; i++) if (rest[order[i]!]! > rest[order[pivot]!]!) pivot = i
    const chosen = order[pivot]!
    if (!(rest[chosen]! > NEGLIGIBLE * largest)) break
    order[pivot] = order[rank]!
    order[rank] = chosen
    const root = Math.sqrt(rest[chosen]!)
    lower[chosen * n + rank] = root
    const base = chosen * n
    for (let i = rank + 1; i < n; i++) {
      const other = order[i]! * n
      let [s0, s1, s2, s3] = [0, 0, 0, 0]
      let k = 0
      for (; k + 3 < rank; k += 4) {
        s0 += lower[base + k]! * lower[other + k]!
        s1 += lower[base + k + 1]! * lower[other + k + 1]!
        s2 += lower[base + k + 2]! * lower[other + k + 2]!
        s3 += lower[base + k + 3]! * lower[other + k + 3]!
      }
      for (; k < rank; k++) s0 += lower[base + k]! * lower[other + k]!
      const value = (data[base + order[i]!]! - (s0 + s1 + s2 + s3)) / root
      lower[other + rank] = value
      rest[order[i]!]! -= value * value
    }
  }
  const out = Matrix.make(rank, n)
  for (let i = 0; i < n; i++) for (let r = 0; r < rank; r++) out.data[r * n + i] = lower[i * n + r]!
  return out
}
