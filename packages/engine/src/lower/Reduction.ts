/** Sums, means, maxima and minima over axes, computed in the layout that the operand already has where possible. */
import type { Graph } from "@adafm/onnx"
import * as Ir from "../trace/Ir.ts"
import * as Context from "./Context.ts"

const reduce = (ctx: Context.Context, v: Ir.Op): void => {
  const { g } = ctx
  const x = v.inputs[0]!
  const axes = v.attrs.axes as readonly number[]
  const home = ctx.home(x)
  const finish = (name: Graph.Value): void => ctx.define(v, "plain", ctx.reshape(name, v.shape))
  const along = (name: Graph.Value, physical: readonly number[]): Graph.Value =>
    g.op(v.op, [name, g.ints(physical)], { keepdims: 0 })
  if (home === "plain") return finish(along(ctx.as(x, "plain"), axes))
  // contiguous in every layout: all elements, or all elements of a sample
  if (axes.length === 4) return finish(along(ctx.reshape(ctx.as(x, home), [Ir.size(x.shape)]), [0]))
  const activation = home === "blocked" || home === "nchw"
  if (activation && axes.join() === "1,2,3") {
    return finish(along(ctx.reshape(ctx.as(x, home), [x.shape[0]!, -1]), [1]))
  }
  const [n, h, w, c] = x.shape as [number, number, number, number]
  const spatial = axes.includes(1) && axes.includes(2) && !axes.includes(3)
  if (home === "blocked" && spatial && (v.op === "ReduceSum" || v.op === "ReduceMean")) {
    const mean = ctx.once(`mean over pixels ${x.id}`, () =>
      ctx.reshape(g.op("GlobalAveragePool", [ctx.as(x, "blocked")], {}, { domain: Context.BLOCKED }), [n, c]),
    )
    const pooled = axes.includes(0) ? along(mean, [0]) : mean
    return finish(v.op === "ReduceSum" ? g.op("Mul", [pooled, g.scalar(h * w)]) : pooled)
  }
  if (activation && spatial) {
    return finish(along(ctx.as(x, "nchw"), axes.includes(0) ? [0, 2, 3] : [2, 3]))
  }
  finish(along(ctx.as(x, "plain"), axes))
}

export const lowerings = { ReduceSum: reduce, ReduceMean: reduce, ReduceMax: reduce, ReduceMin: reduce } as const
