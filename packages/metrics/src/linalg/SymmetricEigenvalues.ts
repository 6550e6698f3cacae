/** Eigenvalues of a symmetric matrix: Householder tridiagonalisation, then implicit QL. */
import * as Householder from "./Householder.ts"
import type * as Matrix from "./Matrix.ts"
import * as TridiagonalEigenvalues from "./TridiagonalEigenvalues.ts"

type Vectors = readonly [v: Float64Array, w: Float64Array, u: Float64Array, p: Float64Array]

/** Row i from `start` to the diagonal: `A ← A - v·wᵀ - w·vᵀ`, and its share of `p ← p + A·u` (the mirrored elements too). */
const oneRow = (a: Float64Array, n: number, i: number, start: number, ...[v, w, u, p]: Vectors): void => {
  const [vi, wi, ui, row] = [v[i]!, w[i]!, u[i]!, i * n]
  let sum = 0
  for (let j = start; j < i; j++) {
    const value = a[row + j]! - vi * w[j]! - wi * v[j]!
    a[row + j] = value
    sum += value * u[j]!
    p[j]! += value * ui
  }
  const value = a[row + i]! - 2 * vi * wi
  a[row + i] = value
  p[i]! += sum + value * ui
}

/**
 * Rows i … i + 3 at once, which reads the vectors a quarter as often. Destructuring in the loop would halve the speed.
 */
const fourRows = (a: Float64Array, n: number, i: number, start: number, ...[v, w, u, p]: Vectors): void => {
  const [v0, v1, v2, v3] = [v[i]!, v[i + 1]!, v[i + 2]!, v[i + 3]!]
  const [w0, w1, w2, w3] = [w[i]!, w[i + 1]!, w[i + 2]!, w[i + 3]!]
  const [u0, u1, u2, u3] = [u[i]!, u[i + 1]!, u[i + 2]!, u[i + 3]!]
  const [r0, r1, r2, r3] = [i * n, (i + 1) * n, (i + 2) * n, (i + 3) * n]
  let [s0, s1, s2, s3] = [0, 0, 0, 0]
  for (let j = start; j < i; j++) {
    const wj = w[j]!
    const vj = v[j]!
    const uj = u[j]!
    const x0 = a[r0 + j]! - v0 * wj - w0 * vj
    const x1 = a[r1 + j]! - v1 * wj - w1 * vj
    const x2 = a[r2 + j]! - v2 * wj - w2 * vj
    const x3 = a[r3 + j]! - v3 * wj - w3 * vj
    a[r0 + j] = x0
    a[r1 + j] = x1
    a[r2 + j] = x2
    a[r3 + j] = x3
    s0 += x0 * uj
    s1 += x1 * uj
    s2 += x2 * uj
    s3 += x3 * uj
    p[j]! += x0 * u0 + x1 * u1 + x2 * u2 + x3 * u3
  }
  p[i]! += s0
  p[i + 1]! += s1
  p[i + 2]! += s2
  p[i + 3]! += s3
  for (let row = i; row < i + 4; row++) oneRow(a, n, row, i, v, w, u, p)
}

/**
 * Only the lower triangle is read. The rank-two update `A - v·wᵀ - w·vᵀ` of a step and the product `A·u` of the next one share a
 * pass over memory, which dominates the time: n³/6 elements are read and written once.
 * @returns `[n]` ascending
 */
export const of = ({ rows: n, cols, data }: Matrix.Matrix): Float64Array => {
  if (n !== cols) throw new Error(`expected a square matrix, found ${n}×${cols}`)
  const a = data.slice()
  const [diagonal, offDiagonal] = [new Float64Array(n), new Float64Array(Math.max(0, n - 1))]
  let [v, w, u, p] = [0, 1, 2, 3].map(() => new Float64Array(n)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ]
  for (let k = 0; k < n; k++) {
    // column k after the pending update by v and w
    for (let i = k; i < n; i++) u[i] = a[i * n + k]! - v[i]! * w[k]! - w[i]! * v[k]!
    diagonal[k] = u[k]!
    if (k === n - 1) break
    const [beta, alpha] = Householder.reflector(u, k + 1)
    offDiagonal[k] = alpha
    if (beta === 0) u.fill(0)
    p.fill(0)
    let i = k + 1
    for (; i + 3 < n; i += 4) fourRows(a, n, i, k + 1, v, w, u, p)
    for (; i < n; i++) oneRow(a, n, i, k + 1, v, w, u, p)
    let dot = 0
    for (let j = k + 1; j < n; j++) dot += p[j]! * u[j]!
    for (let j = k + 1; j < n; j++) p[j] = beta * (p[j]! - 0.5 * beta * dot * u[j]!)
    const spare: [Float64Array, Float64Array] = [v, w]
    v = u
    w = p
    ;[u, p] = spare
  }
  return TridiagonalEigenvalues.of(diagonal, offDiagonal)
}
