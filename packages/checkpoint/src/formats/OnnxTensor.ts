/** A `TensorProto` as a view: its data in the message, as varints, or in another file of the folder. */
import { Failure, NdArray } from "@adafm/core"
import * as ByteSource from "../ByteSource.ts"
import * as DType from "../DType.ts"
import type * as SiblingFiles from "../SiblingFiles.ts"
import * as TensorView from "../TensorView.ts"
import * as Protobuf from "./Protobuf.ts"

type Field = Protobuf.Field

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
    for (const value of Protobuf.packed(source, field)) {
      if (at < bytes.length) put(at, value)
      at += width
    }
  return at === bytes.length
    ? bytes
    : Failure.raise("BadTensor", `${at / width} values, but the shape has ${elements}`, { offset: source.at })
}

/** Where the data of tensors are that the model keeps in other files. */
export type Files = Pick<SiblingFiles.SiblingFiles, "open">

/** `external_data`: a list of keys and values. */
const entry = (source: ByteSource.Source, message: Field): readonly [string, string] => {
  let [key, value] = ["", ""]
  for (const field of Protobuf.fields(source, message.begin, message.end))
    if (field.number === 1) key = Protobuf.text(source, field)
    else if (field.number === 2) value = Protobuf.text(source, field)
  return [key, value]
}

/** The bytes of a tensor in another file, of which the format says name, offset and length. */
const external = (
  entries: ReadonlyMap<string, string>,
  size: number,
  files: Files,
  fail: (message: string) => never,
): ByteSource.Source => {
  const location = entries.get("location")
  if (location === undefined) return fail("its data are in another file, but the model does not say in which")
  const number = (key: string, otherwise: number): number => {
    const text = entries.get(key)
    if (text === undefined) return otherwise
    return /^\d{1,15}$/.test(text)
      ? Number(text)
      : fail(`bad ${key} ${JSON.stringify(text)} of its data in ${location}`)
  }
  const length = number("length", size)
  if (length !== size) return fail(`takes ${size} bytes, but the model says that ${location} holds ${length}`)
  return ByteSource.slice(files.open(location), number("offset", 0), size)
}

export interface Named {
  readonly name: string
  readonly view: TensorView.View
}

export const read = (source: ByteSource.Source, message: Field, files: Files): Named => {
  let name = ""
  let type = 0
  let isExternal = false
  const entries = new Map<string, string>()
  const shape: number[] = []
  const raw: Field[] = []
  const fixed: Field[] = []
  const varints: Field[] = []
  for (const field of Protobuf.fields(source, message.begin, message.end)) {
    if (field.number === 1) for (const d of Protobuf.packed(source, field)) shape.push(Number(d))
    else if (field.number === 2) type = Number(field.value)
    else if (field.number === 8) name = Protobuf.text(source, field)
    else if (field.number === 9) raw.push(field)
    else if (field.number === 4 || field.number === 10) fixed.push(field)
    else if (field.number === 5 || field.number === 7 || field.number === 11) varints.push(field)
    else if (field.number === 13) entries.set(...entry(source, field))
    else if (field.number === 14 && field.value === 1n) isExternal = true
    if (shape.length > 64) Protobuf.bad("a tensor of rank above 64", message.begin)
  }
  const fail = (message_: string): never =>
    Failure.raise("BadTensor", message_, { path: name, offset: source.at + message.begin })
  const dtype = dtypes[type]
  if (dtype === undefined)
    return Failure.raise("UnsupportedDType", `ONNX data type ${type} is not supported`, { path: name })
  if (!shape.every((d) => Number.isSafeInteger(d) && d >= 0)) return fail(`bad shape [${shape.join(", ")}]`)
  const elements = NdArray.sizeOf(shape)
  const size = elements * DType.bytesPerElement(dtype)
  const blocks = raw.length > 0 ? raw : fixed
  const given = blocks.reduce((n, { begin, end }) => n + end - begin, 0)
  const bytes = (): ByteSource.Source => {
    if (isExternal || entries.size > 0) return external(entries, size, files, fail)
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
