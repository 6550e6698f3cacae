/** One safetensors file. */
import { Failure, Flat, NdArray, Safetensors } from "@adafm/core"
import * as ByteSource from "../ByteSource.ts"
import * as DType from "../DType.ts"
import type * as ParsedFile from "../ParsedFile.ts"
import * as TensorView from "../TensorView.ts"

const dtypes: Safetensors.Dtypes<DType.DType> = new Map<string, Safetensors.Coded<DType.DType>>([
  ...Safetensors.dtypes,
  ...(
    [
      ["U16", "uint16"],
      ["U32", "uint32"],
      ["U64", "uint64"],
      ["F8_E4M3", "float8_e4m3fn"],
      ["F8_E5M2", "float8_e5m2"],
      ["C64", "complex64"],
    ] as const
  ).map(([code, dtype]) => [code, { dtype, bytes: DType.bytesPerElement(dtype) }] as const),
])

/** Whether the file begins with a plausible header length and a JSON object. */
export const looksLike = (head: Uint8Array, size: number): boolean => {
  if (head.length < 10) return false
  const length = new DataView(head.buffer, head.byteOffset).getBigUint64(0, true)
  return head[8] === 0x7b && (length <= BigInt(size) || length < 1n << 40n)
}

/** Tensors of one file; those of the largest published models, which have 100,000 in many shards, have 5,000. */
const MAX_TENSORS = 50_000

/** How often the header has the word that every tensor's entry has, without parsing it. */
const countEntries = (header: Uint8Array): number => {
  const word = new TextEncoder().encode("data_offsets")
  let count = 0
  for (let at = header.indexOf(word[0]!); at >= 0; at = header.indexOf(word[0]!, at + 1))
    if (word.every((byte, k) => header[at + k] === byte)) count++
  return count
}

/** Bytes of a tensor that are hashed at a time. */
const PIECE = 1 << 20

export const read = (source: ByteSource.Source): ParsedFile.ParsedFile => {
  const length = Failure.orThrow(Safetensors.headerLength(source.read(0, Math.min(8, source.size)), source.size))
  const json = source.read(8, length)
  const count = countEntries(json)
  if (count > MAX_TENSORS)
    Failure.raise("BadHeader", `the header lists ${count} tensors; the limit is ${MAX_TENSORS}`, { offset: 8 })
  const header = Failure.orThrow(Safetensors.decodeHeaderWith(dtypes, json, source.size))
  const views = Flat.map(header.entries, ({ dtype, shape, begin, end }, path): TensorView.View => {
    const bytes = ByteSource.slice(source, begin, end - begin)
    return TensorView.dense({ bytes, dtype, length: NdArray.sizeOf(shape), bigEndian: false, key: path }, shape, path)
  })
  return {
    format: "safetensors",
    views,
    scalars: {},
    metadata: header.metadata,
    problems: [],
    verify: () => Safetensors.verify(header, ({ begin, end }) => ByteSource.pieces(source, begin, end - begin, PIECE)),
  }
}
