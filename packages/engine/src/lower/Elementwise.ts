/** Elementwise operations with broadcasting, computed in the layout that the operands already have. */

import type { Graph } from "@adafm/onnx"
import { Proto } from "@adafm/onnx"
import * as Ir from "../trace/Ir.ts"
import * as Context from "./Context.ts"
import * as Layout from "./Layout.ts"

/** Operations with the same name in ONNX and in the graph. */
const direct = new Set([
  "Add",
  "Sub",
  "Mul",
  "Div",
  "Pow",
  "Max",
  "Min",
  "Greater",
  "GreaterOrEqual",
  "Less",
  "LessOrEqual",
  "Equal",
  "And",
  "Or",
  "Not",
  "Neg",
  "Sqrt",
  "Exp",
  "Log",
  "Sigmoid",
  "Tanh",
  "Softplus",
  "Relu",
  "Abs",
  "Sign",
  "Floor",
  "Sin",
  "Cos",
  "Erf",
  "Reciprocal",
])

export const isElementwise = (op: string): boolean =>
  direct.has(op) || op === "LeakyRelu" || op === "Select" || op === "Cast" || op === "SlopeMask"

const emit = (g: Graph.Builder, v: Ir.Op, inputs: readonly Graph.Value[]): Graph.Value => {
  switch (v.op) {
    case "LeakyRelu":
      return g.op("LeakyRelu", inputs, { alpha: { float: v.attrs.alpha as number } })
    case "Select":
      return g.op("Where", inputs)
    case "Cast":
      return g.op("Cast", inputs, { to: Proto.dataTypes[v.dtype] })
    case "SlopeMask":
      // 1 where y > 0, else the slope: the product takes every normal number beyond both limits, and clipping is cheaper than a comparison
      return g.op("Clip", [g.op("Mul", [inputs[0]!, g.scalar(1e30)]), g.scalar(v.attrs.slope as number), g.scalar(1)])
    default:
      return g.op(v.op, inputs)
  }
}

const preference: readonly Layout.Layout[] = ["blockedFilter", "oihw", "blocked", "nchw", "plain"]

const rank4 = (shape: readonly number[]): readonly number[] => [...Array(4 - shape.length).fill(1), ...shape]

/** A broadcast operand in the physical dimensions of a blocked layout. */
const blockedOperand = (
  ctx: Context.Context,
  x: Ir.Value,
  layout: Layout.Layout,
  full: readonly number[],
): Graph.Value => {
  const shape = rank4(x.shape)
  const target = Layout.dims(layout, full, ctx.target.block!)
  const sizes = target.map((d) => (shape[d.axis] === 1 ? 1 : d.size))
  if (x.shape.length === 4 && ctx.home(x) === layout) return ctx.reshape(ctx.as(x, layout), sizes)
  const order = [...target.keys()].sort(
    (i, j) => target[i]!.axis - target[j]!.axis || target[j]!.step - target[i]!.step,
  )
  const split = order.map((i) => sizes[i]!)
  return Context.transpose(
    ctx,
    ctx.reshape(ctx.as(x, "plain"), split),
    split,
    target.map((_, i) => order.indexOf(i)),
  )
}

const operand = (ctx: Context.Context, x: Ir.Value, layout: Layout.Layout): Graph.Value => {
  if (layout === "plain" || Ir.size(x.shape) === 1) return ctx.as(x, "plain")
  if (x.shape.length === 4) return ctx.as(x, layout)
  const shape = rank4(x.shape)
  const order = Layout.dims(layout, shape, 1).map((d) => d.axis)
  return Context.transpose(ctx, ctx.reshape(ctx.as(x, "plain"), shape), shape, order)
}

export const lower = (ctx: Context.Context, v: Ir.Op): void => {
  const isFull = (x: Ir.Value): boolean => Ir.sameShape(x.shape, v.shape)
  const isScalar = (x: Ir.Value): boolean => Ir.uniform(x) !== undefined || Ir.size(x.shape) === 1
  const leading = v.inputs.filter((x) => x.shape.length === 4 && isFull(x) && x.kind !== "constant").map(ctx.home)
  const layout = v.shape.length === 4 ? (preference.find((l) => leading.includes(l)) ?? "plain") : "plain"
  const scalar = (x: Ir.Value): Graph.Value => {
    const value = Ir.uniform(x)
    if (value === undefined || v.inputs.every((other) => isScalar(other))) return ctx.as(x, "plain")
    const data =
      x.dtype === "float32" ? Float32Array.of(value) : x.dtype === "int32" ? Int32Array.of(value) : Uint8Array.of(value)
    return ctx.g.constant({ dtype: x.dtype, shape: [], data })
  }
  const inBlocks = layout === "blocked" || layout === "blockedFilter"
  if (inBlocks && v.inputs.some((x) => !isFull(x) && !isScalar(x))) {
    const sizes = Layout.dims(layout, v.shape, ctx.target.block!).map((d) => d.size)
    const inputs = v.inputs.map((x) =>
      isScalar(x)
        ? scalar(x)
        : isFull(x)
          ? ctx.reshape(ctx.as(x, layout), sizes)
          : blockedOperand(ctx, x, layout, v.shape),
    )
    ctx.define(v, layout, ctx.reshape(emit(ctx.g, v, inputs), Layout.onnxShape(layout, v.shape)))
    return
  }
  const inputs = v.inputs.map((x) =>
    isScalar(x) ? scalar(x) : isFull(x) ? ctx.as(x, layout) : operand(ctx, x, layout),
  )
  ctx.define(v, layout, emit(ctx.g, v, inputs))
}
