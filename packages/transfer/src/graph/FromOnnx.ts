/** The graph of an ONNX file as operators. */
import type { Checkpoint, Topology } from "@adafm/checkpoint"
import { TensorView } from "@adafm/checkpoint"
import { NdArray } from "@adafm/core"
import type * as Constant from "./Constant.ts"
import * as Operators from "./Operators.ts"

const ofView = (view: TensorView.View): Constant.Constant => ({
  shape: view.shape,
  from: [],
  read: () => NdArray.toFloat64(TensorView.read(view)),
})

/** A tensor of the file. */
export const ofPath = (checkpoint: Checkpoint.Checkpoint, path: string): Constant.Constant => ({
  shape: checkpoint.tensors[path]!.shape,
  from: [path],
  read: () => NdArray.toFloat64(checkpoint.read(path)),
})

const attribute = (value: Topology.Attribute): Operators.Attribute =>
  typeof value === "object" && "tensor" in value ? { constant: ofView(value.tensor) } : value

const constantOf = (node: Topology.OnnxNode): Constant.Constant => {
  const { value, value_float, value_int, value_floats, value_ints } = node.attributes
  if (typeof value === "object" && "tensor" in value) return ofView(value.tensor)
  const numbers = [value_float, value_int, value_floats, value_ints].find((v) => v !== undefined)
  if (numbers === undefined || typeof numbers === "string") return Operators.refuse(node, "holds no numbers")
  const list = [numbers].flat() as readonly number[]
  return {
    shape: typeof numbers === "number" ? [] : [list.length],
    from: [],
    read: () => NdArray.make("float64", typeof numbers === "number" ? [] : [list.length], Float64Array.from(list)),
  }
}

export const graph = (topology: Topology.OnnxGraph, checkpoint: Checkpoint.Checkpoint): Operators.Graph => {
  const constants = new Map<string, Constant.Constant>()
  for (const path of Object.keys(checkpoint.tensors)) constants.set(path, ofPath(checkpoint, path))
  const nodes: Operators.Node[] = []
  for (const node of topology.nodes) {
    const { name, op, domain, inputs, outputs, attributes, unread } = node
    if (domain !== "" && domain !== "ai.onnx")
      return Operators.refuse(node, `belongs to the operator set ${domain}, which is not supported`)
    if (unread.length > 0)
      return Operators.refuse(node, `has parts that are not read: ${unread.join(", ")} (a sub-graph?)`)
    if (op === "Constant") constants.set(outputs[0] ?? "", constantOf(node))
    else
      nodes.push({
        name,
        op,
        inputs,
        outputs,
        attributes: Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, attribute(value)])),
      })
  }
  return {
    inputs: topology.inputs.map(({ name, shape }) => ({ name, shape })),
    outputs: topology.outputs.map(({ name }) => name),
    nodes,
    constants,
  }
}
