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
    for (let i = k + 1; i < n; i++) {
      const [vi, wi, ui] = [v[i]!, w[i]!, u[i]!]
      const row = i * n
      let sum = 0
      for (let j = k + 1; j < i; j++) {
        const value = a[row + j]! - vi * w[j]! - wi * v[j]!
        a[row + j] = value
        sum += value * u[j]!
        p[j]! += value * ui
      }
      const value = a[row + i]! - 2 * vi * wi
      a[row + i] = value
      p[i]! += sum + value * ui
    }
    let dot = 0
    for (let i = k + 1; i < n; i++) dot += p[i]! * u[i]!
    for (let i = k + 1; i < n; i++) p[i] = beta * (p[i]! - 0.5 * beta * dot * u[i]!)
    const spare: [Float64Array, Float64Array] = [v, w]
    v = u
    w = p
    ;[u, p] = spare
  }
  return Tridiagonal.eigenvalues(diagonal, beside)
}
