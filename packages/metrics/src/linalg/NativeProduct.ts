/** A·Bᵀ in float64 by ONNX Runtime's MatMul. */
import { Graph, Session } from "@adafm/onnx"
import * as Matrix from "./Matrix.ts"

const model = (m: number, d: number): Uint8Array => {
  const g = Graph.builder()
  const n = { param: "n" }
  const [a, b] = [g.input("a", "float64", [n, d]), g.input("b", "float64", [d, m])]
  g.output("c", g.op("MatMul", [a, b]), "float64", [n, m])
  return Graph.encode(g.graph())
}

/** Multiplies slabs of rows by one `b` for as long as `work` needs it. */
export const times = async <A>(
  b: Matrix.Matrix,
  work: (times: (a: Matrix.Matrix) => Promise<Matrix.Matrix>) => Promise<A>,
): Promise<A> => {
  const session = await Session.create(model(b.rows, b.cols))
  const columns = { dtype: "float64", shape: [b.cols, b.rows], data: Matrix.transpose(b).data } as const
  try {
    return await work(async (a) => {
      const { c } = await session.run({
        a: { dtype: "float64", shape: [a.rows, a.cols], data: a.data },
        b: columns,
      })
      return Matrix.make(a.rows, b.rows, c!.data as Float64Array)
    })
  } finally {
    await session.release()
  }
}
