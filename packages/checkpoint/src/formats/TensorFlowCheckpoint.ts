/**
 * A TensorFlow checkpoint, as tensors: `NAME.index`, a sorted table of names, and `NAME.data-00000-of-00001`. The graph is not in
 * it. https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/protobuf/tensor_bundle.proto
 */
import { Bytes, Failure, Flat, NdArray } from "@adafm/core"
import * as ByteSource from "../ByteSource.ts"
import * as DType from "../DType.ts"
import type * as ParsedFile from "../ParsedFile.ts"
import type * as SiblingFiles from "../SiblingFiles.ts"
import * as TensorView from "../TensorView.ts"
import * as UniquePaths from "../UniquePaths.ts"
import * as Protobuf from "./Protobuf.ts"

const FOOTER = 48
/** The last eight bytes of every table, little-endian. */
const MAGIC = "\x57\xfb\x80\x8b\x24\x75\x47\xdb"
/** Bytes; the index of a model with 100,000 variables has 10 MB. */
const MAX_INDEX = 100_000_000
const MAX_SHARDS = 1000

/** DataType of types.proto. */
const dtypes: Readonly<Record<number, DType.DType>> = {
  1: "float32",
  2: "float64",
  3: "int32",
  4: "uint8",
  5: "int16",
  6: "int8",
  8: "complex64",
  9: "int64",
  10: "bool",
  14: "bfloat16",
  17: "uint16",
  18: "complex128",
  19: "float16",
  22: "uint32",
  23: "uint64",
}
const STRING = 7

export const looksLike = (source: ByteSource.Source): boolean =>
  source.size >= FOOTER && Bytes.toLatin1(source.read(source.size - 8, 8)) === MAGIC

const bad = (message: string): never => Failure.raise("BadTable", message, { offset: 0 })

/** Reads numbers of seven bits a byte from memory. */
const cursor = (bytes: Uint8Array, start = 0) => {
  let at = start
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 50; shift += 7) {
      const byte = bytes[at++] ?? bad("the table ends inside a number")
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    return bad("a number of more than seven bytes")
  }
  return {
    varint,
    take: (length: number): Uint8Array => {
      if (at + length > bytes.length) return bad("an entry reaches beyond its block")
      at += length
      return bytes.subarray(at - length, at)
    },
    at: (): number => at,
  }
}

/** Keys and values of one block; every key shares its beginning with the one before. */
function* entries(
  source: ByteSource.Source,
  offset: number,
  size: number,
): Generator<readonly [Uint8Array, Uint8Array]> {
  const bytes = source.read(offset, size + 1)
  if (bytes[size] !== 0) bad("the table is compressed, which is not supported")
  const data = new DataView(bytes.buffer, bytes.byteOffset, size)
  const restarts = size < 4 ? bad("a block of less than four bytes") : data.getUint32(size - 4, true)
  const end = size - 4 - 4 * restarts
  if (end < 0) bad(`a block of ${size} bytes with ${restarts} restarts`)
  const at = cursor(bytes.subarray(0, end))
  let key = new Uint8Array(0)
  while (at.at() < end) {
    const [shared, more, length] = [at.varint(), at.varint(), at.varint()]
    if (shared > key.length) bad("a key that shares more than its predecessor has")
    key = Bytes.concat([key.subarray(0, shared), at.take(more)])
    yield [key, at.take(length)]
  }
}

interface Entry {
  readonly dtype: number
  readonly shape: readonly number[]
  readonly shard: number
  readonly offset: number
  readonly size: number
  readonly sliced: boolean
}

const entry = (value: Uint8Array): Entry => {
  const source = ByteSource.ofBytes(value)
  const number: Record<number, number> = {}
  const shape: number[] = []
  let sliced = false
  for (const field of Protobuf.fields(source, 0, source.size))
    if (field.number === 2 && field.wire === 2)
      for (const dim of Protobuf.fields(source, field.begin, field.end)) {
        let size = 0
        if (dim.number !== 2 || dim.wire !== 2) continue
        for (const part of Protobuf.fields(source, dim.begin, dim.end)) if (part.number === 1) size = Number(part.value)
        shape.push(size)
      }
    else if (field.number === 7) sliced = true
    else if (field.wire === 0) number[field.number] = Number(field.value)
  return {
    dtype: number[1] ?? 0,
    shape,
    shard: number[3] ?? 0,
    offset: number[4] ?? 0,
    size: number[5] ?? 0,
    sliced,
  }
}

/** `layer/kernel/.ATTRIBUTES/VARIABLE_VALUE` as `layer/kernel`. */
const nameOf = (key: string): string => key.replace(/\/\.ATTRIBUTES\/VARIABLE_VALUE$/, "")

/** @param file the index's own name, from which those of the data files follow */
export const read = (
  source: ByteSource.Source,
  file: string,
  siblings: SiblingFiles.SiblingFiles,
): ParsedFile.ParsedFile => {
  if (source.size > MAX_INDEX) bad(`an index of ${source.size} bytes; the limit is ${MAX_INDEX}`)
  const footer = cursor(source.read(source.size - FOOTER, 40))
  footer.varint()
  footer.varint()
  const [offset, size] = [footer.varint(), footer.varint()]
  const all: (readonly [string, Entry])[] = []
  let shards = 1
  for (const [, handle] of entries(source, offset, size)) {
    const block = cursor(handle)
    for (const [key, value] of entries(source, block.varint(), block.varint())) {
      if (key.length === 0) {
        const header = ByteSource.ofBytes(value)
        for (const field of Protobuf.fields(header, 0, header.size)) {
          if (field.number === 1) shards = Number(field.value)
          if (field.number === 2 && field.value === 1n) bad("big-endian data are not supported")
        }
      } else all.push([new TextDecoder().decode(key), entry(value)])
    }
  }
  if (shards < 1 || shards > MAX_SHARDS) bad(`${shards} data files; the limit is ${MAX_SHARDS}`)
  const prefix = file.replace(/\.index$/, "")
  const number = (n: number): string => String(n).padStart(5, "0")
  const views = Flat.empty<TensorView.View>()
  const problems: string[] = []
  for (const [key, { dtype: code, shape, shard, offset: begin, size: bytes, sliced }] of all) {
    const name = nameOf(key)
    if (code === STRING) continue
    const dtype = dtypes[code]
    if (dtype === undefined || sliced) {
      problems.push(`${name} is left out: ${sliced ? "it is saved in slices" : `its type ${code} is not supported`}`)
      continue
    }
    const length = NdArray.sizeOf(shape)
    if (length * DType.bytesPerElement(dtype) !== bytes)
      Failure.raise("BadTensor", `shape [${shape.join(", ")}] of ${dtype}, but ${bytes} bytes`, { path: name })
    const data = siblings.open(`${prefix}.data-${number(shard)}-of-${number(shards)}`)
    const storage: TensorView.Storage = {
      bytes: ByteSource.slice(data, begin, bytes),
      dtype,
      length,
      bigEndian: false,
      key: name,
    }
    UniquePaths.add(views, name, TensorView.dense(storage, shape, name))
  }
  return { format: "tf-checkpoint", views, scalars: {}, metadata: {}, problems, verify: () => undefined }
}
