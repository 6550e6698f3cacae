/**
 * Singular values: Householder bidiagonalisation (Golub, Kahan), then the eigenvalues ±σ of the tridiagonal matrix with a zero
 * diagonal and the off-diagonal d₀, e₀, d₁, e₁, … Eigenvalues of a Gram matrix would lose half of the digits of small values.
 */
import * as Householder from "./Householder.ts"
import * as Matrix from "./Matrix.ts"
import * as TridiagonalEigenvalues from "./TridiagonalEigenvalues.ts"

/** @returns `[min(rows, cols)]` ascending */
export const of = (matrix: Matrix.Matrix): Float64Array => {
  const { rows: m, cols: n, data } = matrix.rows >= matrix.cols ? matrix : Matrix.transpose(matrix)
  if (n === 0) return new Float64Array(0)
  const a = data.slice()
  const offDiagonal = new Float64Array(2 * n - 1)
  const column = new Float64Array(m)
  const [row, left, right] = [new Float64Array(n), new Float64Array(n), new Float64Array(m)]
  let pending = 0 // β of the right reflector whose update `A - β·right·rowᵀ` is not applied yet
  for (let k = 0; k < n; k++) {
    for (let i = k; i < m; i++) column[i] = a[i * n + k]! - pending * right[i]! * row[k]!
    const [beta, alpha] = Householder.reflector(column, k)
    offDiagonal[2 * k] = alpha
    left.fill(0)
    for (let i = k; i < m; i++) {
      const [at, r, c] = [i * n, pending * right[i]!, column[i]!]
      for (let j = k; j < n; j++) {
        const value = a[at + j]! - r * row[j]!
        a[at + j] = value
        left[j]! += value * c
      }
    }
    // left reflector: A - β·column·leftᵀ; row k of the result determines the right one
    for (let j = k + 1; j < n; j++) row[j] = a[k * n + j]! - beta * column[k]! * left[j]!
    if (k === n - 1) break
    const [next, off] = Householder.reflector(row, k + 1)
    offDiagonal[2 * k + 1] = off
    for (let i = k + 1; i < m; i++) {
      const [at, c] = [i * n, beta * column[i]!]
      let sum = 0
      for (let j = k + 1; j < n; j++) {
        const value = a[at + j]! - c * left[j]!
        a[at + j] = value
        sum += value * row[j]!
      }
      right[i] = sum
    }
    pending = next
  }
  return TridiagonalEigenvalues.of(new Float64Array(2 * n), offDiagonal)
    .slice(n)
    .map((v) => Math.max(0, v))
}
