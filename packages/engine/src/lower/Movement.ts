/** Operations that only move or repeat elements: reshape, transpose, slice, concat, pad, reverse, tile, broadcast, gather. */
import { Failure } from "@adafm/core"
import type { Graph } from "@adafm/onnx"
import type * as Ir from "../trace/Ir.ts"
import type * as Context from "./Context.ts"
import * as Layout from "./Layout.ts"

type Lowering = (ctx: Context.Context, v: Ir.Op) => void
const ints = (x: Ir.Attrs[string]): readonly number[] => x as readonly number[]

const reshape: Lowering = (ctx, v) => ctx.define(v, "plain", ctx.reshape(ctx.as(v.inputs[0]!, "plain"), v.shape))

const transpose: Lowering = (ctx, v) => {
  const x = v.inputs[0]!
  const perm = ints(v.attrs.perm)
  // a change between NHWC and NCHW in the step only renames the layout of the same memory
  if (perm.join() === "0,2,3,1") return ctx.define(v, "nchw", ctx.as(x, "plain"))
  if (perm.join() === "0,3,1,2") return ctx.define(v, "plain", ctx.as(x, "nchw"))
  const filter = ctx.home(x) === "oihw" || ctx.home(x) === "blockedFilter"
  if (filter && perm.join() === "0,1,3,2")
    return ctx.define(v, "oihw", ctx.g.op("Transpose", [ctx.as(x, "oihw")], { perm: [1, 0, 2, 3] }))
  ctx.define(v, "plain", ctx.g.op("Transpose", [ctx.as(x, "plain")], { perm }))
}

/** Where an operation on one axis starts and ends, or how much it adds there. */
type Extents = Readonly<Record<number, readonly number[]>>

const blocks: Readonly<Partial<Record<Layout.Layout, readonly number[]>>> = { blocked: [3], blockedFilter: [2, 3] }

/**
 * A layout in which each given axis is one physical dimension: how operands enter it, how the result leaves it, and the place of
 * each axis. A blocked axis is two dimensions: whole blocks are moved as such, where all extents are multiples of the block;
 * otherwise the operation falls back to NCHW or OIHW. `units` are extents on an axis's physical dimension.
 */
const separated = (ctx: Context.Context, like: Ir.Value, extents: Extents) => {
  const home = ctx.home(like)
  const block = ctx.target.block ?? 1
  const axes = Object.keys(extents).map(Number)
  const split = axes.filter((axis) => blocks[home]?.includes(axis) === true)
  // a filter with fewer inputs than a block has them in one dimension
  const isWhole =
    split.every((axis) => extents[axis]!.every((n) => n % block === 0)) &&
    !(home === "blockedFilter" && like.shape[2]! < block)
  const layout: Layout.Layout =
    split.length === 0 && home !== "blockedFilter" ? home : isWhole ? home : home === "blocked" ? "nchw" : "oihw"
  const place = (axis: number): number => Layout.dims(layout, like.shape, block).findIndex((d) => d.axis === axis)
  const physical = (shape: readonly number[]): readonly number[] => Layout.dims(layout, shape, block).map((d) => d.size)
  const isBlocked = layout === "blocked" || layout === "blockedFilter"
  const enter = (x: Ir.Value): Graph.Value =>
    isBlocked ? ctx.reshape(ctx.as(x, layout), physical(x.shape)) : ctx.as(x, layout)
  const leave = (v: Ir.Op, name: Graph.Value): void =>
    ctx.define(v, layout, isBlocked ? ctx.reshape(name, Layout.onnxShape(layout, v.shape)) : name)
  const units = (axis: number, n: number): number => (blocks[layout]?.includes(axis) === true ? n / block : n)
  return { place, physical, enter, leave, units }
}

const slice: Lowering = (ctx, v) => {
  const { g } = ctx
  const x = v.inputs[0]!
  const [begin, size] = [ints(v.attrs.begin), ints(v.attrs.size)]
  const axes = [...x.shape.keys()].filter((axis) => size[axis] !== x.shape[axis])
  const end = (axis: number): number => begin[axis]! + size[axis]!
  const extents = Object.fromEntries(axes.map((axis) => [axis, [begin[axis]!, end(axis), x.shape[axis]!]]))
  const { place, enter, leave, units } = separated(ctx, x, extents)
  const starts = axes.map((axis) => units(axis, begin[axis]!))
  const ends = axes.map((axis) => units(axis, end(axis)))
  leave(v, g.op("Slice", [enter(x), g.ints(starts), g.ints(ends), g.ints(axes.map(place))]))
}

const concat: Lowering = (ctx, v) => {
  const axis = v.attrs.axis as number
  const like =
    v.inputs.find((x) => ctx.home(x) === "blocked") ?? v.inputs.find((x) => ctx.home(x) !== "plain") ?? v.inputs[0]!
  const { place, enter, leave } = separated(ctx, like, { [axis]: v.inputs.map((x) => x.shape[axis]!) })
  leave(v, ctx.g.op("Concat", v.inputs.map(enter), { axis: place(axis) }))
}

const pad: Lowering = (ctx, v) => {
  const { g } = ctx
  const x = v.inputs[0]!
  const [before, after] = [ints(v.attrs.before), ints(v.attrs.after)]
  const axes = [...x.shape.keys()].filter((axis) => before[axis] !== 0 || after[axis] !== 0)
  const extents = Object.fromEntries(axes.map((axis) => [axis, [before[axis]!, after[axis]!, x.shape[axis]!]]))
  const { place, physical, enter, leave, units } = separated(ctx, x, extents)
  const rank = physical(x.shape).length
  const pads = Array<number>(2 * rank).fill(0)
  for (const axis of axes) {
    pads[place(axis)] = units(axis, before[axis]!)
    pads[rank + place(axis)] = units(axis, after[axis]!)
  }
  const value = v.attrs.value as number
  leave(v, g.op("Pad", [enter(x), g.ints(pads), ...(value === 0 ? [] : [g.scalar(value)])]))
}

const reverse: Lowering = (ctx, v) => {
  const { g } = ctx
  const axes = ints(v.attrs.axes)
  // a reversed axis is never whole blocks
  const { place, enter, leave } = separated(ctx, v.inputs[0]!, Object.fromEntries(axes.map((axis) => [axis, [1]])))
  const fill = (value: number): Graph.Value => g.ints(axes.map(() => value))
  leave(v, g.op("Slice", [enter(v.inputs[0]!), fill(-1), fill(-(2 ** 31)), g.ints(axes.map(place)), fill(-1)]))
}

const plain =
  (emit: (g: Graph.Builder, v: Ir.Op, inputs: readonly Graph.Value[]) => Graph.Value): Lowering =>
  (ctx, v) =>
    ctx.define(
      v,
      "plain",
      emit(
        ctx.g,
        v,
        v.inputs.map((x) => ctx.as(x, "plain")),
      ),
    )

export const lowerings: Readonly<Record<string, Lowering>> = {
  Reshape: reshape,
  Transpose: transpose,
  Slice: slice,
  Concat: concat,
  Pad: pad,
  Reverse: reverse,
  Tile: plain((g, v, [x]) => g.op("Tile", [x!, g.ints(ints(v.attrs.reps))])),
  Broadcast: (ctx, v) => {
    if (v.shape.includes(ctx.target.anyBatch ?? -1))
      Failure.raise(
        "UnsupportedOp",
        "a value that is broadcast over the batch cannot be exported with a free batch size",
        { path: v.op },
      )
    ctx.define(v, "plain", ctx.g.op("Expand", [ctx.as(v.inputs[0]!, "plain"), ctx.g.ints(v.shape)]))
  },
  Gather: plain((g, v, inputs) => g.op("Gather", inputs, { axis: v.attrs.axis as number })),
}
