/** Matrix products, single or batched. */
import type { Graph } from "@adafm/onnx"
import * as Ir from "../trace/Ir.ts"
import * as Context from "./Context.ts"

export const lower = (ctx: Context.Context, v: Ir.Op): void => {
  const { g } = ctx
  const [a, b] = v.inputs as [Ir.Value, Ir.Value]
  const [transA, transB] = [v.attrs.transposeA === true ? 1 : 0, v.attrs.transposeB === true ? 1 : 0]
  const single = Ir.size(a.shape.slice(0, -2)) === 1 && Ir.size(b.shape.slice(0, -2)) === 1
  const matrix = (x: Ir.Value): Graph.Value =>
    x.shape.length === 2 ? ctx.as(x, "plain") : ctx.reshape(ctx.as(x, "plain"), x.shape.slice(-2))
  if (single) {
    const product = g.op("Gemm", [matrix(a), matrix(b)], { transA, transB })
    return ctx.define(v, "plain", v.shape.length === 2 ? product : ctx.reshape(product, v.shape))
  }
  if (ctx.target.contrib) {
    return ctx.define(
      v,
      "plain",
      g.op("FusedMatMul", [ctx.as(a, "plain"), ctx.as(b, "plain")], { transA, transB }, { domain: Context.CONTRIB }),
    )
  }
  const side = (x: Ir.Value, transposed: number): Graph.Value => {
    const order = [...x.shape.keys()]
    return transposed
      ? g.op("Transpose", [ctx.as(x, "plain")], { perm: [...order.slice(0, -2), order.at(-1)!, order.at(-2)!] })
      : ctx.as(x, "plain")
  }
  ctx.define(v, "plain", g.op("MatMul", [side(a, transA), side(b, transB)]))
}
