/**
 * A TensorFlow checkpoint, as tensors: `NAME.index`, a sorted table of names, and `NAME.data-00000-of-00001`. The graph is not in
 * it. https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/protobuf/tensor_bundle.proto
 */
import { Failure, Flat, NdArray } from "@adafm/core"
import * as ByteSource from "../ByteSource.ts"
import * as DType from "../DType.ts"
import type * as ParsedFile from "../ParsedFile.ts"
import type * as SiblingFiles from "../SiblingFiles.ts"
import * as TensorView from "../TensorView.ts"
import * as UniquePaths from "../UniquePaths.ts"
import * as Crc32c from "./Crc32c.ts"
import * as Protobuf from "./Protobuf.ts"
import * as SortedTable from "./SortedTable.ts"

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

const { bad } = SortedTable
export const { looksLike } = SortedTable

interface Entry {
  readonly dtype: number
  readonly shape: readonly number[]
  readonly shard: number
  readonly offset: number
  readonly size: number
  readonly sliced: boolean
  /** Of the tensor's bytes; TensorFlow always writes one. */
  readonly checksum: number | undefined
}

const entry = (value: Uint8Array): Entry => {
  const source = ByteSource.ofBytes(value)
  const number: Record<number, number> = {}
  const shape: number[] = []
  let sliced = false
  let checksum: number | undefined
  for (const field of Protobuf.fields(source, 0, source.size))
    if (field.number === 2 && field.wire === 2)
      for (const dim of Protobuf.fields(source, field.begin, field.end)) {
        let size = 0
        if (dim.number !== 2 || dim.wire !== 2) continue
        for (const part of Protobuf.fields(source, dim.begin, dim.end)) if (part.number === 1) size = Number(part.value)
        shape.push(size)
      }
    else if (field.number === 6 && field.wire === 5)
      checksum = new DataView(value.buffer, value.byteOffset + field.begin, 4).getUint32(0, true)
    else if (field.number === 7) sliced = true
    else if (field.wire === 0) number[field.number] = Number(field.value)
  return {
    dtype: number[1] ?? 0,
    shape,
    shard: number[3] ?? 0,
    offset: number[4] ?? 0,
    size: number[5] ?? 0,
    sliced,
    checksum,
  }
}

/** `layer/kernel/.ATTRIBUTES/VARIABLE_VALUE` as `layer/kernel`. */
const nameOf = (key: string): string => key.replace(/\/\.ATTRIBUTES\/VARIABLE_VALUE$/, "")

const PIECE = 2 ** 20

const sumOf = (source: ByteSource.Source): number => {
  let sum = 0
  for (let at = 0; at < source.size; at += PIECE)
    sum = Crc32c.of(source.read(at, Math.min(PIECE, source.size - at)), sum)
  return sum
}

/** @param file the index's own name, from which those of the data files follow */
export const read = (
  source: ByteSource.Source,
  file: string,
  siblings: SiblingFiles.SiblingFiles,
): ParsedFile.ParsedFile => {
  if (source.size > MAX_INDEX) bad(`an index of ${source.size} bytes; the limit is ${MAX_INDEX}`)
  const all: (readonly [string, Entry])[] = []
  let shards = 1
  for (const [key, value] of SortedTable.entries(source)) {
    if (key.length > 0) all.push([new TextDecoder().decode(key), entry(value)])
    else {
      const header = ByteSource.ofBytes(value)
      for (const field of Protobuf.fields(header, 0, header.size)) {
        if (field.number === 1) shards = Number(field.value)
        if (field.number === 2 && field.value === 1n) bad("big-endian data are not supported")
      }
    }
  }
  if (shards < 1 || shards > MAX_SHARDS) bad(`${shards} data files; the limit is ${MAX_SHARDS}`)
  const prefix = file.replace(/\.index$/, "")
  const number = (n: number): string => String(n).padStart(5, "0")
  const views = Flat.empty<TensorView.View>()
  const problems: string[] = []
  const checks: (() => void)[] = []
  for (const [key, { dtype: code, shape, shard, offset: begin, size: bytes, sliced, checksum }] of all) {
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
    const own = ByteSource.slice(data, begin, bytes)
    if (checksum !== undefined)
      checks.push(() => {
        if (Crc32c.masked(sumOf(own)) !== checksum)
          Failure.raise("BadChecksum", "the checksum of the tensor differs", { path: name })
      })
    const storage: TensorView.Storage = {
      bytes: own,
      dtype,
      length,
      bigEndian: false,
      key: name,
    }
    UniquePaths.add(views, name, TensorView.dense(storage, shape, name))
  }
  return {
    format: "tf-checkpoint",
    views,
    scalars: {},
    metadata: {},
    problems,
    verify: () => {
      for (const check of checks) check()
    },
  }
}
