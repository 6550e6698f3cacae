/**
 * The gradient of a convolution towards its filter, `dW[o, i, ky, kx] = Σ dy[n, y, x, o] · x[n, y+ky, x+kx, i]`: the cheapest
 * known form for the shapes at hand.
 */
import type { Graph } from "@adafm/onnx"
import type * as Ir from "../trace/Ir.ts"
import type { Context } from "./Context.ts"
import { BLOCKED, CONTRIB } from "./Context.ts"

type Quad = readonly [number, number, number, number]

interface Problem {
  readonly x: Ir.Value
  readonly dy: Ir.Value
  readonly batch: number
  /** Pixels of dy. */
  readonly height: number
  readonly width: number
  readonly kernel: readonly [number, number]
  readonly cin: number
  readonly cout: number
  readonly strides: readonly [number, number]
  readonly pads: Quad
}

/** x moved by `shift` pixels along its rows with zeros entering: a depthwise convolution with one tap. */
const shifted = (ctx: Context, x: Ir.Value, shift: number, reach: number): Graph.Value => {
  const { g, target } = ctx
  const channels = x.shape[3]!
  const block = target.block!
  if (shift === 0) return ctx.as(x, "blocked")
  const taps = 2 * reach + 1
  const filter = new Float32Array(channels * taps)
  for (let c = 0; c < channels / block; c++)
    filter.fill(1, (c * taps + shift + reach) * block, (c * taps + shift + reach + 1) * block)
  const oneHot = g.constant({ dtype: "float32", shape: [channels, 1, 1, taps], data: filter })
  return g.op(
    "Conv",
    [ctx.as(x, "blocked"), oneHot],
    { kernel_shape: [1, taps], strides: [1, 1], dilations: [1, 1], pads: [0, reach, 0, reach], group: channels },
    { domain: BLOCKED },
  )
}

/**
 * As one blocked convolution: its channels are pairs (sample, column), its rows the image's rows, its columns the b channels of
 * one block of x. The kernel is dy, as tall as the image, so kh rows of results remain: the taps.
 */
const asConvolution = (ctx: Context, p: Problem): Graph.Value => {
  const { g, reshape } = ctx
  const block = ctx.target.block!
  const { x, dy, batch, height, width, cin, cout } = p
  const [kh, kw] = p.kernel
  const [top, left, bottom] = p.pads
  const lanes = Math.min(width, block) // columns in one block of channels
  const samples = block / lanes // samples that share it
  const [groups, strips, columns] = [batch / samples, width / lanes, cin / block]
  const channels = groups * strips * block
  const split = (c: number): number[] => [groups, samples, c / block, height, strips, lanes * block]
  const order = [2, 0, 4, 3, 1, 5]
  const kernel = ctx.once(`dy as kernel ${dy.id}`, () =>
    reshape(g.op("Transpose", [reshape(ctx.as(dy, "blocked"), split(cout))], { perm: order }), [
      cout,
      channels,
      height,
      1,
    ]),
  )
  const operand = (shift: number): Graph.Value =>
    ctx.once(`x as channels ${x.id} ${shift} ${kw}`, () => {
      const moved = g.op("Transpose", [reshape(shifted(ctx, x, shift, Math.max(left, kw - 1 - left)), split(cin))], {
        perm: order,
      })
      // (column, channel) tiles become (channel, column) tiles
      const tiles = reshape(moved, [columns * groups * strips * height, block, block, 1])
      return g.op("ReorderInput", [tiles], { channels_last: 0 }, { domain: BLOCKED })
    })
  const convolve = (data: Graph.Value, wide: number): Graph.Value =>
    g.op(
      "Conv",
      [reshape(data, [columns, channels, height, wide * block]), kernel],
      { kernel_shape: [height, 1], strides: [1, 1], dilations: [1, 1], pads: [top, 0, bottom, 0], group: 1 },
      { domain: BLOCKED },
    )
  const taps = Array.from({ length: kw }, (_, i) => i - left)
  const tile = block * block
  // copy whichever is smaller: the shifted operands side by side, or the results of one convolution for each shift
  const joined = kw * batch * height * width * cin < 2 * kh * kw * cin * cout
  const result = joined
    ? convolve(
        kw === 1
          ? operand(0)
          : ctx.once(`x as channels ${x.id} all ${kw}`, () =>
              g.op(
                "Concat",
                taps.map((s) => reshape(operand(s), [columns * groups * strips * height, 1, tile])),
                { axis: 1 },
              ),
            ),
        kw,
      )
    : kw === 1
      ? convolve(operand(0), 1)
      : g.op(
          "Concat",
          taps.map((s) => reshape(convolve(operand(s), 1), [columns, cout / block, kh, 1, tile])),
          { axis: 3 },
        )
  const swapped =
    columns === 1
      ? result
      : g.op("Transpose", [reshape(result, [columns, cout / block, kh * kw * tile])], { perm: [1, 0, 2] })
  return reshape(swapped, [cout, cin, kh, kw])
}

const batchedProduct = (ctx: Context, a: Graph.Value, b: Graph.Value): Graph.Value => {
  const { g } = ctx
  const product = ctx.target.contrib
    ? g.op("FusedMatMul", [a, b], { transB: 1 }, { domain: CONTRIB })
    : g.op("MatMul", [a, g.op("Transpose", [b], { perm: [0, 2, 1] })])
  return g.op("ReduceSum", [product, g.ints([0])], { keepdims: 0 })
}

/** The windows of an NCHW operand under each tap, `[N, C, pixels]` each. */
const windows = (ctx: Context, name: Graph.Value, channels: number, p: Problem): readonly Graph.Value[] => {
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

/** One batched product of dy with all windows of x together: for thin x (images). */
const byWindowsOfX = (ctx: Context, p: Problem): Graph.Value => {
  const [kh, kw] = p.kernel
  const columns = ctx.g.op("Concat", windows(ctx, ctx.as(p.x, "nchw"), p.cin, p), { axis: 1 })
  const product = batchedProduct(ctx, ctx.reshape(ctx.as(p.dy, "nchw"), [p.batch, p.cout, p.height * p.width]), columns)
  const byTap = ctx.reshape(product, [p.cout, kh * kw, p.cin])
  return ctx.reshape(ctx.g.op("Transpose", [byTap], { perm: [0, 2, 1] }), [p.cout, p.cin, kh, kw])
}

/** The same with dy shifted the other way: for thin dy, stride 1 and output pixels equal to input pixels. */
const byWindowsOfDy = (ctx: Context, p: Problem): Graph.Value => {
  const [kh, kw] = p.kernel
  const [top, left] = p.pads
  const mirrored: Problem = { ...p, pads: [kh - 1 - top, kw - 1 - left, top, left] }
  const columns = ctx.g.op("Concat", [...windows(ctx, ctx.as(p.dy, "nchw"), p.cout, mirrored)].reverse(), { axis: 1 })
  const product = batchedProduct(ctx, ctx.reshape(ctx.as(p.x, "nchw"), [p.batch, p.cin, p.height * p.width]), columns)
  const byTap = ctx.reshape(product, [p.cin, kh * kw, p.cout])
  return ctx.reshape(ctx.g.op("Transpose", [byTap], { perm: [2, 0, 1] }), [p.cout, p.cin, kh, kw])
}

/** A product for each tap, over the batch where maps are large; one product over batch and pixels where they are small. */
const byProducts = (ctx: Context, p: Problem): Graph.Value => {
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

export const lower = (ctx: Context, v: Ir.Op): void => {
  const [x, dy] = v.inputs as [Ir.Value, Ir.Value]
  const [kh, kw, cin, cout] = v.shape as Quad
  const [batch, height, width] = dy.shape as Quad
  const dilations = v.attrs.dilations as readonly number[]
  if (dilations.some((d) => d !== 1)) throw new Error("the filter gradient of a dilated convolution has no lowering")
  const p: Problem = {
    ...{ x, dy, batch, height, width, cin, cout, kernel: [kh, kw] },
    strides: v.attrs.strides as unknown as readonly [number, number],
    pads: v.attrs.pads as unknown as Quad,
  }
  const unit = p.strides.every((s) => s === 1)
  const same = unit && height === x.shape[1] && width === x.shape[2]
  const block = ctx.target.block
  const blocks =
    block !== undefined &&
    same &&
    cin % block === 0 &&
    cout % block === 0 &&
    p.pads[0] === p.pads[2] &&
    (width % block === 0 || (block % width === 0 && batch % (block / width) === 0))
  if (blocks) return ctx.define(v, "blockedFilter", asConvolution(ctx, p))
  const thin = Math.min(cin, cout) <= 16 && height * width > 64
  if (thin && cin <= cout) return ctx.define(v, "oihw", byWindowsOfX(ctx, p))
  if (thin && same) return ctx.define(v, "oihw", byWindowsOfDy(ctx, p))
  ctx.define(v, "oihw", byProducts(ctx, p))
}
