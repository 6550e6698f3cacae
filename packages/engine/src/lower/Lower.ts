/** Turns a traced step into an ONNX graph and chooses a layout for each value. */

import { Failure } from "@adafm/core"
import type { Proto } from "@adafm/onnx"
import { Graph } from "@adafm/onnx"
import * as Ir from "../trace/Ir.ts"
import * as Context from "./Context.ts"
import * as Convolution from "./Convolution.ts"
import * as Elementwise from "./Elementwise.ts"
import * as FilterGradient from "./FilterGradient.ts"
import * as Fuse from "./Fuse.ts"
import * as Layout from "./Layout.ts"
import * as MatMul from "./MatMul.ts"
import * as Movement from "./Movement.ts"
import * as Reduction from "./Reduction.ts"

/** An input or output of the graph: its name and layout there, and its shape in the step. */
export interface Port {
  readonly name: string
  readonly layout: Layout.Layout
  readonly shape: readonly number[]
  readonly dtype: "float32" | "int32"
}

export interface Lowered {
  readonly graph: Proto.GraphProto
  readonly block: number | undefined
  /** By path: the inputs and outputs of the graph. State that the graph never reads has no input. */
  readonly stateIn: Readonly<Record<string, Port>>
  readonly batch: Readonly<Record<string, Port>>
  readonly stateOut: Readonly<Record<string, Port>>
  readonly stats: Readonly<Record<string, Port>>
}

export const domains = { [Context.CONTRIB]: 1, [Context.BLOCKED]: 1 }

/** State of rank 4 is filters, which stay in the layout that convolutions read. */
const stateLayout = (shape: readonly number[], { block }: Context.Target): Layout.Layout =>
  shape.length !== 4 ? "plain" : block !== undefined && Layout.blocksFilter(shape, block) ? "blockedFilter" : "oihw"

const lowerings: Readonly<Record<string, (ctx: Context.Context, v: Ir.Op) => void>> = {
  ConvFilterGrad: FilterGradient.lower,
  MatMul: MatMul.lower,
  ...Convolution.lowerings,
  ...Reduction.lowerings,
  ...Movement.lowerings,
}

const lowerOp = (ctx: Context.Context, v: Ir.Op): void => {
  const lowering = Elementwise.isElementwise(v.op) ? Elementwise.lower : lowerings[v.op]
  if (lowering === undefined)
    return Failure.raise("UnsupportedOp", `the operation ${v.op} has no lowering to ONNX`, { path: v.op })
  lowering(ctx, v)
}

export const program = (traced: Ir.Program, target: Context.Target): Lowered => {
  const g = Graph.builder()
  const shapeOf = (layout: Layout.Layout, shape: readonly number[]): Graph.Shape =>
    Layout.onnxShape(layout, shape).map((d, axis) => (axis === 0 && d === target.anyBatch ? { param: "batch" } : d))
  const ctx = Context.make(g, target)
  const results = [...Object.values(traced.state), ...Object.values(traced.stats)]
  const values = Ir.reachable(results)
  const { ends, absorbed } = Fuse.plan(values, new Set(results))
  const stateIn: Record<string, Port> = {}
  const batch: Record<string, Port> = {}
  for (const v of values) {
    if (v.kind === "constant" || absorbed.has(v)) continue
    if (v.kind === "input") {
      const layout = v.role === "state" ? stateLayout(v.shape, target) : "plain"
      const port: Port = { name: `${v.role}:${v.name}`, layout, shape: v.shape, dtype: v.dtype as Port["dtype"] }
      const input = g.input(port.name, v.dtype, shapeOf(layout, v.shape))
      // images arrive in the step's layout and are NCHW from here on
      if (v.role === "batch" && v.shape.length === 4)
        ctx.define(v, "nchw", Context.transpose(ctx, input, v.shape, [0, 3, 1, 2]))
      else ctx.define(v, layout, input)
      ;(v.role === "state" ? stateIn : batch)[v.name] = port
      continue
    }
    const fused = ends.get(v)
    if (fused === undefined) lowerOp(ctx, v)
    else if (fused.conv.op === "Conv") Convolution.conv(ctx, v, fused.conv, fused.epilogue)
    else if (fused.conv.op === "ChannelAffine") Convolution.channelAffine(ctx, v, fused.conv, fused.epilogue)
    else Convolution.convInputGrad(ctx, v, fused.conv, fused.epilogue)
  }
  const output = (
    kind: string,
    layoutOf: (shape: readonly number[]) => Layout.Layout,
    outputs: Readonly<Record<string, Ir.Value>>,
  ): Record<string, Port> =>
    Object.fromEntries(
      Object.entries(outputs).map(([path, v]) => {
        const layout = layoutOf(v.shape)
        const port: Port = { name: `${kind}:${path}`, layout, shape: v.shape, dtype: v.dtype as Port["dtype"] }
        g.output(port.name, ctx.as(v, layout), v.dtype, shapeOf(layout, v.shape))
        return [path, port] as const
      }),
    )
  const stateOut = output("next", (shape) => stateLayout(shape, target), traced.state)
  const stats = output("stat", () => "plain", traced.stats)
  return { graph: g.graph(), block: target.block, stateIn, batch, stateOut, stats }
}
