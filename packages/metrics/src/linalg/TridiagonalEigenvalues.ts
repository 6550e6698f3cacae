/** Eigenvalues of a symmetric tridiagonal matrix by the implicit QL method (Golub, Van Loan, 8.3; EISPACK `imtql1`). */

/** Most sweeps for one eigenvalue; two are usual. */
const MAX_SWEEPS = 60

/**
 * @param diagonal `[n]`
 * @param offDiagonal `[n - 1]` the elements next to the diagonal
 * @returns `[n]` ascending
 */
export const of = (diagonal: Float64Array, offDiagonal: Float64Array): Float64Array => {
  if (!diagonal.every(Number.isFinite) || !offDiagonal.every(Number.isFinite))
    throw new Error("the matrix has an element that is not finite")
  const n = diagonal.length
  const d = diagonal.slice()
  const e = new Float64Array(n)
  e.set(offDiagonal.subarray(0, Math.max(0, n - 1)))
  for (let l = 0; l < n; l++) {
    for (let sweep = 0; ; sweep++) {
      let m = l
      while (m < n - 1 && Math.abs(e[m]!) > Number.EPSILON * (Math.abs(d[m]!) + Math.abs(d[m + 1]!)) && e[m] !== 0) m++
      if (m === l) break
      if (sweep === MAX_SWEEPS) throw new Error("the QL iteration does not converge")
      // Wilkinson's shift from the leading 2×2 block
      let g = (d[l + 1]! - d[l]!) / (2 * e[l]!)
      let r = Math.hypot(g, 1)
      g = d[m]! - d[l]! + e[l]! / (g + (g < 0 ? -r : r))
      let [s, c, p] = [1, 1, 0]
      let i = m - 1
      for (; i >= l; i--) {
        const f = s * e[i]!
        const b = c * e[i]!
        r = Math.sqrt(f * f + g * g)
        e[i + 1] = r
        if (r === 0) {
          d[i + 1]! -= p
          e[m] = 0
          break
        }
        s = f / r
        c = g / r
        g = d[i + 1]! - p
        r = (d[i]! - g) * s + 2 * c * b
        p = s * r
        d[i + 1] = g + p
        g = c * r - b
      }
      if (r === 0 && i >= l) continue
      d[l]! -= p
      e[l] = g
      e[m] = 0
    }
  }
  return d.sort()
}
