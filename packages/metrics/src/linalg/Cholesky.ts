/** Pivoted Cholesky factor of a symmetric positive semidefinite matrix, which may be singular. */
import * as Matrix from "./Matrix.ts"

/** Pivots below this share of the largest are rounding errors: the rank is reached. */
const NEGLIGIBLE = 1e-14

/**
 * @returns `[r, n]` the transposed factor F, with `A = FᵀF` and r the numerical rank; `F·B·Fᵀ` has the non-zero eigenvalues of A·B
 */
export const factor = ({ rows: n, cols, data }: Matrix.Matrix): Matrix.Matrix => {
  if (n !== cols) throw new Error(`expected a square matrix, found ${n}×${cols}`)
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
    const settle = (variable: number, dot: number): void => {
      const value = (data[chosen * n + variable]! - dot) / root
      lower[variable * n + rank] = value
      rest[variable]! -= value * value
    }
    // four rows at a time: the pivot's row is read once, and the four sums do not wait for each other
    let i = rank + 1
    for (; i + 3 < n; i += 4) {
      const [r0, r1, r2, r3] = [order[i]!, order[i + 1]!, order[i + 2]!, order[i + 3]!]
      const [b, b0, b1, b2, b3] = [chosen * n, r0 * n, r1 * n, r2 * n, r3 * n]
      let [s0, s1, s2, s3] = [0, 0, 0, 0]
      for (let k = 0; k < rank; k++) {
        const x = lower[b + k]!
        s0 += x * lower[b0 + k]!
        s1 += x * lower[b1 + k]!
        s2 += x * lower[b2 + k]!
        s3 += x * lower[b3 + k]!
      }
      settle(r0, s0)
      settle(r1, s1)
      settle(r2, s2)
      settle(r3, s3)
    }
    for (; i < n; i++) {
      let sum = 0
      for (let k = 0; k < rank; k++) sum += lower[chosen * n + k]! * lower[order[i]! * n + k]!
      settle(order[i]!, sum)
    }
  }
  const out = Matrix.make(rank, n)
  for (let i = 0; i < n; i++) for (let r = 0; r < rank; r++) out.data[r * n + i] = lower[i * n + r]!
  return out
}
