/**
 * A·Bᵀ in float64: plain TypeScript for small sizes, ONNX Runtime's MatMul for large ones (2048³ takes about 0.3 s on two cores,
 * in plain JavaScript about 8 s).
 */
import * as Matrix from "./Matrix.ts"

/** For fewer multiplications, starting a session takes longer than it saves. */
const LARGE = 3e7

/** Four dot products at a time, of two rows each, so that the additions do not wait for each other. */
const direct = (a: Matrix.Matrix, b: Matrix.Matrix): Matrix.Matrix => {
  const [n, m, d] = [a.rows, b.rows, a.cols]
  const [x, y] = [a.data, b.data]
  const out = Matrix.make(n, m)
  for (let i = 0; i < n; i += 2) {
    const [i0, i1] = [i * d, Math.min(i + 1, n - 1) * d]
    for (let j = 0; j < m; j += 2) {
      const [j0, j1] = [j * d, Math.min(j + 1, m - 1) * d]
      let [s00, s01, s10, s11] = [0, 0, 0, 0]
      for (let k = 0; k < d; k++) {
        const p = x[i0 + k]!
        const q = x[i1 + k]!
        const u = y[j0 + k]!
        const v = y[j1 + k]!
        s00 += p * u
        s01 += p * v
        s10 += q * u
        s11 += q * v
      }
      out.data[i * m + j] = s00
      if (j + 1 < m) out.data[i * m + j + 1] = s01
      if (i + 1 < n) out.data[(i + 1) * m + j] = s10
      if (i + 1 < n && j + 1 < m) out.data[(i + 1) * m + j + 1] = s11
    }
  }
  return out
}

/** Multiplies slabs of rows by one `b` for as long as `work` needs it. */
const withNative = async <A>(
  b: Matrix.Matrix,
  work: (times: (a: Matrix.Matrix) => Promise<Matrix.Matrix>) => Promise<A>,
): Promise<A> => {
  // loaded for large products only: a program that bundles a score does not begin with ONNX and protobuf
  const { times } = await import("./NativeProduct.ts")
  return times(b, work)
}

/** `[n, d] × [m, d] → [n, m]`, element (i, j) the dot product of row i of `a` and row j of `b`. */
export const transposed = async (a: Matrix.Matrix, b: Matrix.Matrix): Promise<Matrix.Matrix> => {
  if (a.cols !== b.cols) throw new Error(`expected rows of one length, found ${a.cols} and ${b.cols}`)
  return a.rows * b.rows * a.cols < LARGE ? direct(a, b) : withNative(b, (times) => times(a))
}

/** The same product, a slab of rows of `a` at a time, if the whole result is not needed at once. */
export const forSlabs = async (
  a: Matrix.Matrix,
  b: Matrix.Matrix,
  visit: (slab: Matrix.Matrix, firstRow: number) => void,
  rowsAtOnce = Math.max(1, Math.floor(4e6 / b.rows)),
): Promise<void> => {
  if (a.rows <= rowsAtOnce) return visit(await transposed(a, b), 0)
  await withNative(b, async (times) => {
    for (let first = 0; first < a.rows; first += rowsAtOnce) {
      const rows = Math.min(rowsAtOnce, a.rows - first)
      visit(await times(Matrix.make(rows, a.cols, a.data.subarray(first * a.cols, (first + rows) * a.cols))), first)
    }
  })
}
