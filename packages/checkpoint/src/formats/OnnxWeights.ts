/**
 * An `.onnx` file: its initializers as tensors, and its graph. Protobuf fields are read by range: of a model of gigabytes only the
 * names and the nodes are loaded. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
 */
import { Failure, Flat } from "@adafm/core"
import type * as ByteSource from "../ByteSource.ts"
import type * as ParsedFile from "../ParsedFile.ts"
import type * as SiblingFiles from "../SiblingFiles.ts"
import type * as TensorView from "../TensorView.ts"
import * as UniquePaths from "../UniquePaths.ts"
import * as OnnxGraph from "./OnnxGraph.ts"
import * as OnnxTensor from "./OnnxTensor.ts"
import * as Protobuf from "./Protobuf.ts"

/** Every exporter writes ir_version (field 1 of ModelProto) first. */
export const looksLike = (head: Uint8Array): boolean =>
  head.length > 2 && head[0] === 0x08 && head[1]! > 0 && head[1]! < 0x20

/** @param siblings of the model's folder, for weights that are in other files */
export const read = (source: ByteSource.Source, siblings: SiblingFiles.SiblingFiles): ParsedFile.ParsedFile => {
  const views = Flat.empty<TensorView.View>()
  const problems: string[] = []
  const graphs: Protobuf.Field[] = []
  let opset = 0
  for (const model of Protobuf.fields(source, 0, source.size)) {
    if (model.wire !== 2) continue
    if (model.number === 8) opset = Math.max(opset, OnnxGraph.opset(source, model))
    if (model.number !== 7) continue
    graphs.push(model)
    for (const field of Protobuf.fields(source, model.begin, model.end)) {
      if (field.number !== 5 || field.wire !== 2) continue
      const { name, view } = OnnxTensor.read(source, field, siblings)
      if (name === "") problems.push("an initializer without a name")
      else UniquePaths.add(views, name, view)
    }
  }
  const [graph] = graphs
  if (graph === undefined || graphs.length !== 1)
    return Failure.raise("NotACheckpoint", `protobuf with ${graphs.length} graphs, not an ONNX model, which has one`, {
      offset: 0,
    })
  return {
    format: "onnx",
    views,
    scalars: {},
    metadata: {},
    topology: OnnxGraph.read(source, graph, opset, siblings),
    problems,
    verify: () => undefined,
  }
}
