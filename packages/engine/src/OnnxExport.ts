/** A step with its state as constants, as an `.onnx` file of plain ONNX operators that any runtime can open. */
import { Flat } from "@adafm/core"
import type { Proto } from "@adafm/onnx"
import { Graph, Proto as Onnx } from "@adafm/onnx"
import type { Arrays, Spec, Step } from "./Engine.ts"
import * as Layout from "./lower/Layout.ts"
import * as Lower from "./lower/Lower.ts"
import * as Rewrite from "./trace/Rewrite.ts"
import * as Trace from "./trace/Trace.ts"

/** A batch size that no other dimension has, so that it can be recognised in shapes. */
const ANY_BATCH = 99_991

/** Inputs by name, without the batch dimension: `{ z: { shape: [256], dtype } }` for `[N, 256]`. */
export type Inputs = Flat.Flat<Spec>

/** Outputs of rank 4 become NCHW, the layout of files. */
const toFile = (g: Proto.GraphProto, outputs: Readonly<Record<string, Lower.Port>>): Proto.GraphProto => {
  const images = new Set(
    Object.values(outputs)
      .filter((p) => p.shape.length === 4)
      .map((p) => p.name),
  )
  const node = (g.node ?? []).map((n) =>
    images.has(n.output[0] ?? "")
      ? { ...n, opType: "Transpose", attribute: [{ name: "perm", type: 7, ints: [0, 3, 1, 2] }] }
      : n,
  )
  const output = (g.output ?? []).map((o) => {
    const tensorType = o.type?.tensorType
    const dim = tensorType?.shape?.dim
    return images.has(o.name) && tensorType && dim
      ? { ...o, type: { tensorType: { ...tensorType, shape: { dim: [dim[0]!, dim[3]!, dim[1]!, dim[2]!] } } } }
      : o
  })
  return { ...g, node, output }
}

/**
 * @param step returns the outputs as stats
 * @param parameters the step's state, which becomes constants of the file
 * @param metadata key-value pairs stored in the file
 */
export const model = (
  step: Step,
  parameters: Arrays,
  inputs: Inputs,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array => {
  const specs = {
    state: Flat.map(parameters, ({ shape, dtype }) => ({ shape, dtype })),
    batch: Flat.map(inputs, ({ shape, dtype }) => ({ shape: [ANY_BATCH, ...shape], dtype })),
  }
  const lowered = Lower.program(Rewrite.program(Trace.step(step, specs)), {
    block: undefined,
    contrib: false,
    anyBatch: ANY_BATCH,
  })
  const graph = toFile(lowered.graph, lowered.stats)
  const frozen = new Map(Object.entries(lowered.stateIn).map(([path, port]) => [port.name, { path, port }]))
  const rename = (name: string): string => frozen.get(name)?.path ?? name.replace(/^(batch|stat):/, "")
  const constants = [...frozen.values()].map(({ path, port }) => {
    const { dtype, data } = Layout.pack(parameters[path]!, port.layout, 1)
    const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    return { name: path, dims: Layout.onnxShape(port.layout, port.shape), dataType: Onnx.dataTypes[dtype], rawData }
  })
  return Graph.encode(
    {
      ...graph,
      node: (graph.node ?? []).map((n) => ({ ...n, input: n.input.map(rename), output: n.output.map(rename) })),
      input: (graph.input ?? []).filter((i) => !frozen.has(i.name)).map((i) => ({ ...i, name: rename(i.name) })),
      output: (graph.output ?? []).map((o) => ({ ...o, name: rename(o.name) })),
      initializer: [...(graph.initializer ?? []), ...constants],
    },
    { metadata },
  )
}
