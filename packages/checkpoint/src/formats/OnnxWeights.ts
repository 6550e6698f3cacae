/**
 * Initializers of an `.onnx` file. The protobuf fields are read by range: of a model of gigabytes only the names are loaded.
 * Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3 (ModelProto 7 graph; GraphProto 5 initializer).
 */
import { Failure, Flat, NdArray } from "@adafm/core"
import * as ByteSource from "../ByteSource.ts"
import * as DType from "../DType.ts"
import type * as ParsedFile from "../ParsedFile.ts"
import * as TensorView from "../TensorView.ts"
import * as UniquePaths from "../UniquePaths.ts"

/** Fields of one message; a graph has one per node and initializer. */
const MAX_FIELDS = 5_000_000
/** Bytes of a name. */
const MAX_NAME = 4096

interface Field {
  readonly number: number
  /** 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes. */
  readonly wire: number
  /** A varint's value, or where the content begins and ends. */
  readonly value: bigint
  readonly begin: number
  readonly end: number
}

/** TensorProto.DataType → ours; strings, 4-bit numbers and rarer 8-bit floats are not supported. */
const dtypes: Readonly<Record<number, DType.DType>> = {
  1: "float32",
  2: "uint8",
  3: "int8",
  4: "uint16",
  5: "int16",
  6: "int32",
  7: "int64",
  9: "bool",
  10: "float16",
  11: "float64",
  12: "uint32",
  13: "uint64",
  14: "complex64",
  15: "complex128",
  16: "bfloat16",
  17: "float8_e4m3fn",
  19: "float8_e5m2",
}

const bad = (message: string, offset: number): never => Failure.raise("BadProtobuf", message, { offset })

const varint = (source: ByteSource.Source, at: number, end: number): { value: bigint; next: number } => {
  const bytes = source.read(at, Math.min(10, end - at))
  let value = 0n
  for (let i = 0; i < bytes.length; i++) {
    value |= BigInt(bytes[i]! & 0x7f) << BigInt(7 * i)
    if (bytes[i]! < 0x80) return { value: BigInt.asUintN(64, value), next: at + i + 1 }
  }
  return bad("a varint without an end", source.at + at)
}

function* fields(source: ByteSource.Source, begin: number, end: number): Generator<Field> {
  let at = begin
  for (let count = 0; at < end; count++) {
    if (count === MAX_FIELDS) bad(`more than ${MAX_FIELDS} fields`, at)
    const tag = varint(source, at, end)
    const number = Number(tag.value >> 3n)
    const wire = Number(tag.value & 7n)
    const content = wire === 0 || wire === 2 ? varint(source, tag.next, end) : { value: 0n, next: tag.next }
    const length = wire === 0 ? 0 : wire === 1 ? 8 : wire === 5 ? 4 : Number(content.value)
    if (number === 0 || ![0, 1, 2, 5].includes(wire))
      return bad(`field ${number} has wire type ${wire}; only 0, 1, 2 and 5 exist in ONNX`, at)
    if (content.next + length > end)
      return Failure.raise(
        "TruncatedFile",
        `a field of ${length} bytes at byte ${at} ends after its message, which ends at byte ${end}`,
        {
          offset: source.at + source.size,
        },
      )
    yield { number, wire, value: content.value, begin: content.next, end: content.next + length }
    at = content.next + length
  }
}

/** A repeated varint field, packed or not. */
function* packed(source: ByteSource.Source, field: Field): Generator<bigint> {
  if (field.wire === 0) yield field.value
  for (let at = field.begin; field.wire === 2 && at < field.end; ) {
    const { value, next } = varint(source, at, field.end)
    yield BigInt.asIntN(64, value)
    at = next
  }
}

/** Values written as varints (`int32_data`, `int64_data`, `uint64_data`): integers, and the bits of small floats. */
const unpack = (
  source: ByteSource.Source,
  typed: readonly Field[],
  dtype: DType.DType,
  elements: number,
): Uint8Array => {
  const width = DType.bytesPerElement(dtype)
  const bytes = new Uint8Array(elements * width)
  const data = new DataView(bytes.buffer)
  const put = {
    1: (at: number, value: bigint) => data.setUint8(at, Number(BigInt.asUintN(8, value))),
    2: (at: number, value: bigint) => data.setUint16(at, Number(BigInt.asUintN(16, value)), true),
    4: (at: number, value: bigint) => data.setUint32(at, Number(BigInt.asUintN(32, value)), true),
    8: (at: number, value: bigint) => data.setBigUint64(at, BigInt.asUintN(64, value), true),
  }[width]
  if (put === undefined)
    return Failure.raise("BadProtobuf", `${dtype} cannot be written as varints`, { offset: source.at })
  let at = 0
  for (const field of typed)
    for (const value of packed(source, field)) {
      if (at < bytes.length) put(at, value)
      at += width
    }
  return at === bytes.length
    ? bytes
    : Failure.raise("BadTensor", `${at / width} values, but the shape has ${elements}`, { offset: source.at })
}

const tensor = (source: ByteSource.Source, message: Field): { name: string; view: TensorView.View } => {
  let name = ""
  let type = 0
  let external = false
  const shape: number[] = []
  const raw: Field[] = []
  const fixed: Field[] = []
  const varints: Field[] = []
  for (const field of fields(source, message.begin, message.end)) {
    if (field.number === 1) for (const d of packed(source, field)) shape.push(Number(d))
    else if (field.number === 2) type = Number(field.value)
    else if (field.number === 8 && field.end - field.begin <= MAX_NAME)
      name = new TextDecoder().decode(source.read(field.begin, field.end - field.begin))
    else if (field.number === 9) raw.push(field)
    else if (field.number === 4 || field.number === 10) fixed.push(field)
    else if (field.number === 5 || field.number === 7 || field.number === 11) varints.push(field)
    else if (field.number === 13 || (field.number === 14 && field.value === 1n)) external = true
    if (shape.length > 64) bad("a tensor of rank above 64", message.begin)
  }
  const fail = (message_: string): never =>
    Failure.raise("BadTensor", message_, { path: name, offset: source.at + message.begin })
  if (external)
    return fail("its data are in another file, which is not supported: save the model with its weights inside")
  const dtype = dtypes[type]
  if (dtype === undefined)
    return Failure.raise("UnsupportedDType", `ONNX data type ${type} is not supported`, { path: name })
  if (!shape.every((d) => Number.isSafeInteger(d) && d >= 0)) return fail(`bad shape [${shape.join(", ")}]`)
  const elements = NdArray.sizeOf(shape)
  const size = elements * DType.bytesPerElement(dtype)
  const blocks = raw.length > 0 ? raw : fixed
  const given = blocks.reduce((n, { begin, end }) => n + end - begin, 0)
  const bytes = (): ByteSource.Source => {
    if (varints.length > 0 && blocks.length === 0) {
      const count = varints.reduce((n, f) => n + (f.wire === 0 ? 1 : f.end - f.begin), 0)
      if (elements > count)
        return fail(`shape [${shape.join(", ")}] has ${elements} elements, the file at most ${count}`)
      return ByteSource.decoded(size, source.at + message.begin, () => unpack(source, varints, dtype, elements))
    }
    if (given !== size)
      return fail(`shape [${shape.join(", ")}] of ${dtype} takes ${size} bytes, the file has ${given}`)
    return ByteSource.concat(blocks.map(({ begin, end }) => ByteSource.slice(source, begin, end - begin)))
  }
  return {
    name,
    view: TensorView.dense({ bytes: bytes(), dtype, length: elements, bigEndian: false, key: name }, shape, name),
  }
}

/** Every exporter writes ir_version (field 1 of ModelProto) first. */
export const looksLike = (head: Uint8Array): boolean =>
  head.length > 2 && head[0] === 0x08 && head[1]! > 0 && head[1]! < 0x20

export const read = (source: ByteSource.Source): ParsedFile.ParsedFile => {
  const views = Flat.empty<TensorView.View>()
  const problems: string[] = []
  let graphs = 0
  for (const model of fields(source, 0, source.size)) {
    if (model.number !== 7 || model.wire !== 2) continue
    graphs++
    for (const field of fields(source, model.begin, model.end)) {
      if (field.number !== 5 || field.wire !== 2) continue
      const { name, view } = tensor(source, field)
      if (name === "") problems.push("an initializer without a name")
      else UniquePaths.add(views, name, view)
    }
  }
  if (graphs !== 1)
    return Failure.raise("NotACheckpoint", `protobuf with ${graphs} graphs, not an ONNX model, which has one`, {
      offset: 0,
    })
  return { format: "onnx", views, scalars: {}, metadata: {}, problems, verify: () => undefined }
}
