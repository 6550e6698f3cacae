import fc from "fast-check"
import { describe, expect, test } from "vitest"
import * as Cholesky from "../src/linalg/Cholesky.ts"
import * as Matrix from "../src/linalg/Matrix.ts"
import * as MatrixProduct from "../src/linalg/MatrixProduct.ts"
import * as SingularValues from "../src/linalg/SingularValues.ts"
import * as SymmetricEigenvalues from "../src/linalg/SymmetricEigenvalues.ts"
import { normal } from "./gaussian.ts"

const sum = (v: Float64Array): number => v.reduce((s, x) => s + x, 0)
const squares = (v: Float64Array): number => v.reduce((s, x) => s + x * x, 0)
const gram = async (a: Matrix.Matrix): Promise<Matrix.Matrix> => MatrixProduct.transposed(a, a)
const size = fc.record({ n: fc.integer({ min: 1, max: 20 }), d: fc.integer({ min: 1, max: 20 }), seed: fc.nat(1000) })

describe("eigenvalues of symmetric matrices", () => {
  /** Second difference matrix: 2 - 2 cos(πk / (n + 1)). */
  test("of the second difference matrix have a closed form", () => {
    const n = 40
    const a = Matrix.make(
      n,
      n,
      Float64Array.from({ length: n * n }, (_, at) => [2, -1][Math.abs(Math.floor(at / n) - (at % n))] ?? 0),
    )
    for (const [k, v] of SymmetricEigenvalues.of(a).entries())
      expect(v).toBeCloseTo(2 - 2 * Math.cos((Math.PI * (k + 1)) / (n + 1)), 12)
  })
  test("sum to the trace, their squares to the squared norm", () =>
    fc.assert(
      fc.asyncProperty(size, async ({ n, d, seed }) => {
        const a = await gram(normal(n, d, seed))
        const values = SymmetricEigenvalues.of(a)
        const trace = Array.from({ length: n }, (_, i) => a.data[i * n + i]!).reduce((s, v) => s + v, 0)
        expect(sum(values) / trace).toBeCloseTo(1, 12)
        expect(squares(values) / squares(a.data)).toBeCloseTo(1, 12)
      }),
    ))
  test("of a diagonal, a zero and a 1×1 matrix", () => {
    expect([...SymmetricEigenvalues.of(Matrix.make(3, 3, Float64Array.of(3, 0, 0, 0, 1, 0, 0, 0, 2)))]).toEqual([
      1, 2, 3,
    ])
    expect([...SymmetricEigenvalues.of(Matrix.make(2, 2))]).toEqual([0, 0])
    expect([...SymmetricEigenvalues.of(Matrix.make(1, 1, Float64Array.of(7)))]).toEqual([7])
  })
  test("a NaN is refused", () => {
    expect(() => SymmetricEigenvalues.of(Matrix.make(3, 3, new Float64Array(9).fill(Number.NaN)))).toThrow()
  })
})

describe("singular values", () => {
  test("are the roots of the Gram matrix's eigenvalues", () =>
    fc.assert(
      fc.asyncProperty(size, async ({ n, d, seed }) => {
        const a = normal(n, d, seed)
        const [got, want] = [SingularValues.of(a), SymmetricEigenvalues.of(await gram(a)).slice(-Math.min(n, d))]
        expect(got.length).toBe(Math.min(n, d))
        for (const [i, v] of got.entries()) expect(v).toBeCloseTo(Math.sqrt(Math.max(0, want[i]!)), 6)
        expect(squares(got) / squares(a.data)).toBeCloseTo(1, 12)
      }),
    ))
  /** diag(1, 1e-9): a Gram matrix would lose the 1e-9, whose square is below 1e-16. */
  test("are exact even if small", () => {
    const c = Math.SQRT1_2
    const values = SingularValues.of(Matrix.make(2, 2, Float64Array.of(c, c, -c * 1e-9, c * 1e-9)))
    expect(values[0]! / 1e-9).toBeCloseTo(1, 6)
    expect(values[1]).toBeCloseTo(1, 12)
  })
  test("of zeros are zero", () => {
    expect([...SingularValues.of(Matrix.make(3, 2))]).toEqual([0, 0])
  })
})

describe("Cholesky", () => {
  test("factors rebuild the matrix and have as many rows as its rank", () =>
    fc.assert(
      fc.asyncProperty(size, async ({ n, d, seed }) => {
        const a = await gram(normal(n, d, seed)) // n×n of rank min(n, d)
        const factor = Cholesky.factor(a)
        expect(factor.rows).toBe(Math.min(n, d))
        const back = await gram(Matrix.transpose(factor))
        for (const [i, v] of back.data.entries()) expect(v).toBeCloseTo(a.data[i]!, 8)
      }),
    ))
})

describe("products", () => {
  test("by ONNX Runtime and by the plain loop are equal", async () => {
    const [a, b] = [normal(701, 401, 1), normal(801, 401, 2)]
    const large = await MatrixProduct.transposed(a, b) // 2e8 multiplications
    const [i, j] = [503, 799]
    const small = await MatrixProduct.transposed(Matrix.rows(a, [i]), Matrix.rows(b, [j]))
    expect(large.data[i * 801 + j]).toBeCloseTo(small.data[0]!, 10)
  })
})
