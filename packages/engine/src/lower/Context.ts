/** What a lowering works with: the ONNX graph under construction, and the layouts in which each value exists so far. */
import type { Graph } from "@adafm/onnx"
import * as Ir from "../trace/Ir.ts"
import * as Layout from "./Layout.ts"

/** Where the graph will run. */
export interface Target {
  /** Channels in a block of ONNX Runtime's CPU operators (`com.microsoft.nchwc`); `undefined` if only plain ONNX may be used. */
  readonly block: number | undefined
  /** Whether the provider has `com.microsoft` operators (FusedMatMul). */
  readonly contrib: boolean
  /** The batch size of the trace, if the graph must work for any batch size. */
  readonly anyBatch?: number
}

export const BLOCKED = "com.microsoft.nchwc"
export const CONTRIB = "com.microsoft"

export interface Context {
  readonly g: Graph.Builder
  readonly target: Target
  /** The layout in which a value was computed. */
  readonly home: (v: Ir.Value) => Layout.Layout
  /** The value in a layout; a conversion is made at most once. */
  readonly as: (v: Ir.Value, layout: Layout.Layout) => Graph.Value
  readonly define: (v: Ir.Value, layout: Layout.Layout, name: Graph.Value) => void
  readonly reshape: (name: Graph.Value, shape: readonly number[]) => Graph.Value
  /** Something derived from values, built at most once per key. */
  readonly once: (key: string, make: () => Graph.Value) => Graph.Value
}

const onlyMovesOnes = (shape: readonly number[], order: readonly number[]): boolean => {
  const kept = order.filter((axis) => shape[axis] !== 1)
  return kept.every((axis, i) => i === 0 || kept[i - 1]! < axis)
}

/** A transposition, or a reshape (which costs nothing) if only dimensions of size 1 move. */
export const transpose = (
  { g, reshape }: Pick<Context, "g" | "reshape">,
  name: Graph.Value,
  shape: readonly number[],
  order: readonly number[],
): Graph.Value => {
  if (order.every((axis, i) => axis === i)) return name
  return onlyMovesOnes(shape, order)
    ? reshape(
        name,
        order.map((axis) => shape[axis]!),
      )
    : g.op("Transpose", [name], { perm: order })
}

const inverse = (order: readonly number[]): number[] => order.map((_, i) => order.indexOf(i))
const NCHW = [0, 3, 1, 2]
const OIHW = [3, 2, 0, 1]

/** OIHW to blocked filters, or back: splits, permutes and joins dimensions. */
const filterBlocks = (
  ctx: Pick<Context, "g" | "reshape">,
  name: Graph.Value,
  [kh, kw, i, o]: readonly number[],
  b: number,
  back: boolean,
): Graph.Value => {
  const thin = i! < b
  const split = thin ? [o! / b, b, i!, kh!, kw!] : [o! / b, b, i! / b, b, kh!, kw!]
  const order = thin ? [0, 2, 3, 4, 1] : [0, 2, 4, 5, 3, 1]
  const blocked = order.map((axis) => split[axis]!)
  const moved = back
    ? transpose(ctx, ctx.reshape(name, blocked), blocked, inverse(order))
    : transpose(ctx, ctx.reshape(name, split), split, order)
  return ctx.reshape(moved, [o!, i!, kh!, kw!])
}

const convert = (
  ctx: Pick<Context, "g" | "reshape" | "target">,
  name: Graph.Value,
  shape: readonly number[],
  from: Layout.Layout,
  to: Layout.Layout,
): Graph.Value => {
  if (from === to) return name
  const block = ctx.target.block ?? 1
  const step = (middle: Layout.Layout): Graph.Value =>
    convert(ctx, convert(ctx, name, shape, from, middle), shape, middle, to)
  const physical = Layout.onnxShape(from, shape)
  switch (`${from} ${to}`) {
    case "plain nchw":
      return transpose(ctx, name, physical, NCHW)
    case "nchw plain":
      return transpose(ctx, name, physical, inverse(NCHW))
    case "plain oihw":
      return transpose(ctx, name, physical, OIHW)
    case "oihw plain":
      return transpose(ctx, name, physical, inverse(OIHW))
    case "plain blocked":
      return ctx.g.op("ReorderInput", [name], { channels_last: 1 }, { domain: BLOCKED })
    case "nchw blocked":
      return ctx.g.op("ReorderInput", [name], { channels_last: 0 }, { domain: BLOCKED })
    case "blocked plain":
      return ctx.g.op("ReorderOutput", [name], { channels: shape[3]!, channels_last: 1 }, { domain: BLOCKED })
    case "blocked nchw":
      return ctx.g.op("ReorderOutput", [name], { channels: shape[3]!, channels_last: 0 }, { domain: BLOCKED })
    case "oihw blockedFilter":
      return filterBlocks(ctx, name, shape, block, false)
    case "blockedFilter oihw":
      return filterBlocks(ctx, name, shape, block, true)
    case "plain blockedFilter":
    case "blockedFilter plain":
      return step("oihw")
    default:
      return step("plain")
  }
}

const typed = (
  v: Ir.Constant,
  data: number | Float32Array | Int32Array | Uint8Array,
): Float32Array | Int32Array | Uint8Array => {
  if (typeof data !== "number") return data
  const n = Ir.size(v.shape)
  return v.dtype === "float32"
    ? new Float32Array(n).fill(data)
    : v.dtype === "int32"
      ? new Int32Array(n).fill(data)
      : new Uint8Array(n).fill(data)
}

export const make = (g: Graph.Builder, target: Target): Context => {
  const forms = new Map<number, { readonly home: Layout.Layout; readonly names: Map<Layout.Layout, Graph.Value> }>()
  const memo = new Map<string, Graph.Value>()
  const { anyBatch } = target
  const free = (d: number): number => (anyBatch !== undefined && d > 0 && d % anyBatch === 0 ? -1 : d)
  const reshape: Context["reshape"] = (name, shape) => g.op("Reshape", [name, g.ints(shape.map(free))])
  const formsOf = (v: Ir.Value) => {
    const known = forms.get(v.id)
    if (known !== undefined) return known
    if (v.kind !== "constant") throw new Error(`value ${v.id} is used before it is defined`)
    const made = {
      home: "plain" as const,
      names: new Map([
        ["plain" as Layout.Layout, g.constant({ dtype: v.dtype, shape: v.shape, data: typed(v, v.data) })],
      ]),
    }
    forms.set(v.id, made)
    return made
  }
  return {
    g,
    target,
    reshape,
    home: (v) => formsOf(v).home,
    as: (v, layout) => {
      const { home, names } = formsOf(v)
      const known = names.get(layout)
      if (known !== undefined) return known
      const name = convert({ g, reshape, target }, names.get(home)!, v.shape, home, layout)
      names.set(layout, name)
      return name
    },
    define: (v, layout, name) => {
      forms.set(v.id, { home: layout, names: new Map([[layout, name]]) })
    },
    once: (key, create) => {
      const known = memo.get(key)
      if (known !== undefined) return known
      const name = create()
      memo.set(key, name)
      return name
    },
  }
}
