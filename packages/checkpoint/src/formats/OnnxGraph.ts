/** The nodes, inputs and outputs of an ONNX graph. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3 */
import { Failure } from "@adafm/core"
import type * as ByteSource from "../ByteSource.ts"
import type * as Topology from "../Topology.ts"
import * as OnnxTensor from "./OnnxTensor.ts"
import * as Protobuf from "./Protobuf.ts"

type Field = Protobuf.Field

/** Nodes of a graph; the largest published generators have a few thousand. */
const MAX_NODES = 100_000
/** Numbers of one attribute: pads, axes, shapes. */
const MAX_NUMBERS = 100_000

const int = (value: bigint): number => Number(BigInt.asIntN(64, value))

const floats = (source: ByteSource.Source, field: Field): readonly number[] => {
  const bytes = source.read(field.begin, field.end - field.begin)
  const data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => data.getFloat32(4 * i, true))
}

interface Named {
  readonly name: string
  readonly value: Topology.Attribute | undefined
}

const attribute = (source: ByteSource.Source, message: Field, files: OnnxTensor.Files): Named => {
  let name = ""
  let value: Topology.Attribute | undefined
  const ints: number[] = []
  const reals: number[] = []
  const texts: string[] = []
  let type = 0
  for (const field of Protobuf.fields(source, message.begin, message.end)) {
    if (field.end - field.begin > 4 * MAX_NUMBERS && (field.number === 7 || field.number === 8))
      Protobuf.bad(`an attribute of ${field.end - field.begin} bytes`, source.at + field.begin)
    if (field.number === 1) name = Protobuf.text(source, field)
    else if (field.number === 2) value = floats(source, field)[0] ?? 0
    else if (field.number === 3) value = int(field.value)
    else if (field.number === 4) value = Protobuf.text(source, field)
    else if (field.number === 5) value = { tensor: OnnxTensor.read(source, field, files).view }
    else if (field.number === 7) for (const v of floats(source, field)) reals.push(v)
    else if (field.number === 8) for (const v of Protobuf.packed(source, field)) ints.push(int(v))
    else if (field.number === 9) texts.push(Protobuf.text(source, field))
    else if (field.number === 20) type = Number(field.value)
    if (ints.length + reals.length + texts.length > MAX_NUMBERS)
      Protobuf.bad(`an attribute of more than ${MAX_NUMBERS} numbers`, source.at + message.begin)
  }
  // proto3 does not write zeros and empty lists: the type tells what they are
  const empty: Readonly<Record<number, Topology.Attribute>> = { 1: 0, 2: 0, 3: "", 6: reals, 7: ints, 8: texts }
  return { name, value: value ?? empty[type] ?? (ints.length > 0 ? ints : reals.length > 0 ? reals : undefined) }
}

const node = (source: ByteSource.Source, message: Field, files: OnnxTensor.Files): Topology.OnnxNode => {
  const inputs: string[] = []
  const outputs: string[] = []
  const attributes: Record<string, Topology.Attribute> = Object.create(null)
  const unread: string[] = []
  let [name, op, domain] = ["", "", ""]
  for (const field of Protobuf.fields(source, message.begin, message.end)) {
    if (field.number === 1) inputs.push(Protobuf.text(source, field))
    else if (field.number === 2) outputs.push(Protobuf.text(source, field))
    else if (field.number === 3) name = Protobuf.text(source, field)
    else if (field.number === 4) op = Protobuf.text(source, field)
    else if (field.number === 7) domain = Protobuf.text(source, field)
    else if (field.number === 5) {
      const { name: key, value } = attribute(source, field, files)
      if (value === undefined) unread.push(key)
      else attributes[key] = value
    }
  }
  return { name, op, domain, inputs, outputs, attributes, unread }
}

/** Number and length of the sub-messages on the way from `ValueInfoProto` to its dimensions. */
function* at(source: ByteSource.Source, parents: Iterable<Field>, number: number): Generator<Field> {
  for (const parent of parents)
    for (const field of Protobuf.fields(source, parent.begin, parent.end))
      if (field.number === number && field.wire === 2) yield field
}

const valueInfo = (source: ByteSource.Source, message: Field): Topology.ValueInfo => {
  const [name] = at(source, [message], 1)
  const shapes = [...at(source, at(source, at(source, [message], 2), 1), 2)]
  const shape = [...at(source, shapes, 1)].map((dimension) => {
    for (const field of Protobuf.fields(source, dimension.begin, dimension.end))
      if (field.number === 1 && field.wire === 0) return int(field.value)
    return -1
  })
  return { name: name === undefined ? "" : Protobuf.text(source, name), ...(shapes.length > 0 && { shape }) }
}

/** @param graph the `GraphProto` */
export const read = (
  source: ByteSource.Source,
  graph: Field,
  opset: number,
  files: OnnxTensor.Files,
): Topology.OnnxGraph => {
  const nodes: Topology.OnnxNode[] = []
  const inputs: Topology.ValueInfo[] = []
  const outputs: Topology.ValueInfo[] = []
  for (const field of Protobuf.fields(source, graph.begin, graph.end)) {
    if (field.wire !== 2) continue
    if (field.number === 1) nodes.push(node(source, field, files))
    else if (field.number === 11) inputs.push(valueInfo(source, field))
    else if (field.number === 12) outputs.push(valueInfo(source, field))
    if (nodes.length > MAX_NODES)
      Failure.raise("BadProtobuf", `a graph of more than ${MAX_NODES} nodes, which is the limit`)
  }
  return { kind: "onnx", nodes, inputs, outputs, opset }
}

/** The version of ONNX's own operator set in a `ModelProto`'s field 8, or 0 for another set. */
export const opset = (source: ByteSource.Source, field: Field): number => {
  let [domain, version] = ["", 0]
  for (const { number, value, ...range } of Protobuf.fields(source, field.begin, field.end))
    if (number === 1) domain = Protobuf.text(source, { number, value, ...range })
    else if (number === 2) version = int(value)
  return domain === "" || domain === "ai.onnx" ? version : 0
}
