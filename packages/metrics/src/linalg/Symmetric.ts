/** Eigenvalues of a symmetric matrix: Householder tridiagonalisation, then implicit QL. */
import type * as Matrix from "./Matrix.ts"
import * as Tridiagonal from "./Tridiagonal.ts"

/**
 * A reflector `I - β·v·vᵀ` that maps `x` to `(α, 0, …)`; `v` is left in `x`.
 * @returns β and α; β is 0 where there is nothing to reflect.
 */
export const reflector = (x: Float64Array, from: number): readonly [beta: number, alpha: number] => {
  let tail = 0
  for (let i = from + 1; i < x.length; i++) tail += x[i]! * x[i]!
  const head = x[from] ?? 0
  if (tail === 0) return [0, head]
  const norm = Math.sqrt(head * head + tail)
  const alpha = head > 0 ? -norm : norm
  x[from] = head - alpha
  return [2 / (x[from]! * x[from]! + tail), alpha]
}

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

/** Rows i and i + 1 at once, which reads the vectors half as often. */
const twoRows = (a: Float64Array, n: number, i: number, start: number, ...[v, w, u, p]: Vectors): void => {
  const [v0, w0, u0, v1, w1, u1] = [v[i]!, w[i]!, u[i]!, v[i + 1]!, w[i + 1]!, u[i + 1]!]
  const [first, second] = [i * n, (i + 1) * n]
  let [sum0, sum1] = [0, 0]
  for (let j = start; j < i; j++) {
    const [wj, vj, uj] = [w[j]!, v[j]!, u[j]!]
    const x = a[first + j]! - v0 * wj - w0 * vj
    const y = a[second + j]! - v1 * wj - w1 * vj
    a[first + j] = x
    a[second + j] = y
    sum0 += x * uj
    sum1 += y * uj
    p[j]! += x * u0 + y * u1
  }
  const x = a[first + i]! - 2 * v0 * w0
  const between = a[second + i]! - v1 * w0 - w1 * v0
  const y = a[second + i + 1]! - 2 * v1 * w1
  a[first + i] = x
  a[second + i] = between
  a[second + i + 1] = y
  p[i]! += sum0 + x * u0 + between * u1
  p[i + 1]! += sum1 + between * u0 + y * u1
}

/**
 * Only the lower triangle is read. Each step's rank-two update `A - v·wᵀ - w·vᵀ` and the next step's product `A·u` share one
 * pass over memory, which is what this costs: n³/6 elements are touched once.
 * @returns `[n]` ascending
 */
export const eigenvalues = ({ rows: n, cols, data }: Matrix.Matrix): Float64Array => {
  if (n !== cols) throw new Error(`a symmetric matrix is square, not ${n}×${cols}`)
  const a = data.slice()
  const [diagonal, beside] = [new Float64Array(n), new Float64Array(Math.max(0, n - 1))]
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
    const [beta, alpha] = reflector(u, k + 1)
    beside[k] = alpha
    if (beta === 0) u.fill(0)
    p.fill(0)
    let i = k + 1
    for (; i + 1 < n; i += 2) twoRows(a, n, i, k + 1, v, w, u, p)
    if (i < n) oneRow(a, n, i, k + 1, v, w, u, p)
    let dot = 0
    for (let j = k + 1; j < n; j++) dot += p[j]! * u[j]!
    for (let j = k + 1; j < n; j++) p[j] = beta * (p[j]! - 0.5 * beta * dot * u[j]!)
    const spare: [Float64Array, Float64Array] = [v, w]
    v = u
    w = p
    ;[u, p] = spare
  }
  return Tridiagonal.eigenvalues(diagonal, beside)
}
