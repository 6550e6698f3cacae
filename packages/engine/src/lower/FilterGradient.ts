/**
 * The gradient of a convolution with respect to its filter, `dW[o, i, ky, kx] = Σ dy[n, y, x, o] · x[n, y+ky, x+kx, i]`, in the
 * cheapest known form for the given shapes.
 */
import { Failure } from "@adafm/core"
import type { Graph } from "@adafm/onnx"
import type * as Ir from "../trace/Ir.ts"
import * as BlockedFilterGradient from "./BlockedFilterGradient.ts"
import * as Context from "./Context.ts"
import type { Problem } from "./FilterProblem.ts"

type Quad = readonly [number, number, number, number]

const batchedProduct = (ctx: Context.Context, a: Graph.Value, b: Graph.Value): Graph.Value => {
  const { g } = ctx
  const product = ctx.target.contrib
    ? g.op("FusedMatMul", [a, b], { transB: 1 }, { domain: Context.CONTRIB })
    : g.op("MatMul", [a, g.op("Transpose", [b], { perm: [0, 2, 1] })])
  return g.op("ReduceSum", [product, g.ints([0])], { keepdims: 0 })
}

/** For each tap, the pixels of an NCHW operand that it meets: `[N, C, pixels]` each. */
const windows = (ctx: Context.Context, name: Graph.Value, channels: number, p: Problem): readonly Graph.Value[] => {
  const { g } = ctx
  const [kh, kw] = p.kernel
  const [sy, sx] = p.strides
  const [top, left, bottom, right] = p.pads
  const padded = p.pads.some((n) => n !== 0)
    ? g.op("Pad", [name, g.ints([0, 0, top, left, 0, 0, bottom, right])])
    : name
  return Array.from({ length: kh * kw }, (_, tap) => {
    const [y, x] = [Math.floor(tap / kw), tap % kw]
    const window =
      kh * kw === 1 && sy === 1 && sx === 1
        ? padded
        : g.op("Slice", [
            padded,
            g.ints([y, x]),
            g.ints([y + (p.height - 1) * sy + 1, x + (p.width - 1) * sx + 1]),
            g.ints([2, 3]),
            g.ints([sy, sx]),
          ])
    return ctx.reshape(window, [p.batch, channels, p.height * p.width])
  })
}

/** One batched product of dy with all windows of x: for x with few channels (images). */
const byWindowsOfX = (ctx: Context.Context, p: Problem): Graph.Value => {
  const [kh, kw] = p.kernel
  const columns = ctx.g.op("Concat", windows(ctx, ctx.as(p.x, "nchw"), p.cin, p), { axis: 1 })
  const product = batchedProduct(ctx, ctx.reshape(ctx.as(p.dy, "nchw"), [p.batch, p.cout, p.height * p.width]), columns)
  const byTap = ctx.reshape(product, [p.cout, kh * kw, p.cin])
  return ctx.reshape(ctx.g.op("Transpose", [byTap], { perm: [0, 2, 1] }), [p.cout, p.cin, kh, kw])
}

/** The same with dy shifted the other way: for dy with few channels, stride 1 and an output as large as the input. */
const byWindowsOfDy = (ctx: Context.Context, p: Problem): Graph.Value => {
  const [kh, kw] = p.kernel
  const [top, left] = p.pads
  const mirrored: Problem = { ...p, pads: [kh - 1 - top, kw - 1 - left, top, left] }
  const columns = ctx.g.op("Concat", [...windows(ctx, ctx.as(p.dy, "nchw"), p.cout, mirrored)].reverse(), { axis: 1 })
  const product = batchedProduct(ctx, ctx.reshape(ctx.as(p.x, "nchw"), [p.batch, p.cin, p.height * p.width]), columns)
  const byTap = ctx.reshape(product, [p.cin, kh * kw, p.cout])
  return ctx.reshape(ctx.g.op("Transpose", [byTap], { perm: [2, 0, 1] }), [p.cout, p.cin, kh, kw])
}

/** Large maps: one batched product for each tap. Small maps: one product over batch and pixels. */
const byProducts = (ctx: Context.Context, p: Problem): Graph.Value => {
  const { g, reshape } = ctx
  const [kh, kw] = p.kernel
  const pixels = p.height * p.width
  const taps = kh * kw
  const x = ctx.as(p.x, "nchw")
  const dy = ctx.as(p.dy, "nchw")
  if (pixels > 64) {
    const rows = reshape(dy, [p.batch, p.cout, pixels])
    const products = windows(ctx, x, p.cin, p).map((w) => reshape(batchedProduct(ctx, rows, w), [p.cout, p.cin, 1]))
    return reshape(taps === 1 ? products[0]! : g.op("Concat", products, { axis: 2 }), [p.cout, p.cin, kh, kw])
  }
  const rows = reshape(g.op("Transpose", [reshape(dy, [p.batch, p.cout, pixels])], { perm: [1, 0, 2] }), [
    p.cout,
    p.batch * pixels,
  ])
  const columns = windows(ctx, x, p.cin, p).map((w) =>
    reshape(g.op("Transpose", [w], { perm: [1, 0, 2] }), [p.cin, p.batch * pixels]),
  )
  const product = g.op("Gemm", [rows, taps === 1 ? columns[0]! : g.op("Concat", columns, { axis: 0 })], { transB: 1 })
  return reshape(
    taps === 1 ? product : g.op("Transpose", [reshape(product, [p.cout, taps, p.cin])], { perm: [0, 2, 1] }),
    [p.cout, p.cin, kh, kw],
  )
}

export const lower = (ctx: Context.Context, v: Ir.Op): void => {
  const [x, dy] = v.inputs as [Ir.Value, Ir.Value]
  const [kh, kw, cin, cout] = v.shape as Quad
  const [batch, height, width] = dy.shape as Quad
  const dilations = v.attrs.dilations as readonly number[]
  if (dilations.some((d) => d !== 1))
    Failure.raise("UnsupportedOp", "the filter gradient of a dilated convolution cannot be compiled; use dilation 1", {
      path: v.op,
    })
  const p: Problem = {
    x,
    dy,
    batch,
    height,
    width,
    cin,
    cout,
    kernel: [kh, kw],
    strides: v.attrs.strides as readonly [number, number],
    pads: v.attrs.pads as Quad,
  }
  const unit = p.strides.every((s) => s === 1)
  const same = unit && height === x.shape[1] && width === x.shape[2]
  const block = ctx.target.block
  if (block !== undefined && BlockedFilterGradient.fits(p, block))
    return ctx.define(v, "blockedFilter", BlockedFilterGradient.lower(ctx, p))
  const large = height * width > 64
  const thin = large && Math.min(cin, cout) <= 16
  // on these providers starting an operator costs more than its work: use few large operators
  if (large && !ctx.target.contrib && !(thin && same && cout < cin)) return ctx.define(v, "oihw", byWindowsOfX(ctx, p))
  if (thin && cin <= cout) return ctx.define(v, "oihw", byWindowsOfX(ctx, p))
  if (thin && same) return ctx.define(v, "oihw", byWindowsOfDy(ctx, p))
  ctx.define(v, "oihw", byProducts(ctx, p))
}
