/**
 * A writer of TensorFlow checkpoints, after tensorflow/core/util/tensor_bundle and LevelDB's table format: sorted keys with shared
 * beginnings, restarts every 16 keys, blocks with type and checksum, an empty index of filters, an index of blocks, a footer.
 */
import { Bytes, NdArray } from "@adafm/core"
import * as Crc32c from "../src/formats/Crc32c.ts"

export interface Bundle {
  readonly index: Uint8Array
  readonly data: Uint8Array
  /** Bytes of the index that nobody reads: the empty block of filters. */
  readonly unread: number
}

interface Options {
  readonly blockSize: number
  readonly compress: boolean
  readonly bigEndian?: boolean
}

const RESTART = 16
/** LevelDB's number at the end of every table. */
const MAGIC = 0xdb4775248b80fb57n

const varint = (value: number): Uint8Array => {
  const out: number[] = []
  for (let v = value; ; v = Math.floor(v / 128)) {
    out.push(v >= 128 ? (v % 128) | 128 : v)
    if (v < 128) return Uint8Array.from(out)
  }
}

const fixed32 = (value: number): Uint8Array => {
  const out = new Uint8Array(4)
  new DataView(out.buffer).setUint32(0, value, true)
  return out
}

/** A field of a protobuf message. */
const field = (number: number, content: number | Uint8Array): Uint8Array =>
  typeof content === "number"
    ? Bytes.concat([varint(number << 3), varint(content)])
    : Bytes.concat([varint((number << 3) | 2), varint(content.length), content])

const shared = (a: Uint8Array, b: Uint8Array): number => {
  let n = 0
  while (n < a.length && n < b.length && a[n] === b[n]) n++
  return n
}

type Pair = readonly [key: Uint8Array, value: Uint8Array]

const block = (pairs: readonly Pair[]): Uint8Array => {
  const parts: Uint8Array[] = []
  const restarts: number[] = []
  let at = 0
  for (const [k, [key, value]] of pairs.entries()) {
    const own = k % RESTART === 0 ? 0 : shared(pairs[k - 1]![0], key)
    if (k % RESTART === 0) restarts.push(at)
    const entry = Bytes.concat([varint(own), varint(key.length - own), varint(value.length), key.subarray(own), value])
    parts.push(entry)
    at += entry.length
  }
  if (restarts.length === 0) restarts.push(0)
  return Bytes.concat([...parts, ...restarts.map(fixed32), fixed32(restarts.length)])
}

/** Snappy: copies of four to eleven bytes from at most 2047 before, literals between. */
const deflated = (bytes: Uint8Array): Uint8Array => {
  const parts: Uint8Array[] = [varint(bytes.length)]
  let begin = 0
  const literal = (end: number): void => {
    for (let at = begin; at < end; at += 60) {
      const part = bytes.subarray(at, Math.min(end, at + 60))
      parts.push(Uint8Array.of((part.length - 1) << 2), part)
    }
  }
  for (let at = 0; at < bytes.length; ) {
    let best = { length: 0, offset: 0 }
    for (let offset = 1; offset <= Math.min(at, 2047); offset++) {
      let n = 0
      while (n < 11 && at + n < bytes.length && bytes[at + n] === bytes[at + n - offset]) n++
      if (n > best.length) best = { length: n, offset }
    }
    if (best.length < 4) at++
    else {
      literal(at)
      parts.push(Uint8Array.of(((best.offset >> 8) << 5) | ((best.length - 4) << 2) | 1, best.offset & 255))
      at += best.length
      begin = at
    }
  }
  literal(bytes.length)
  return Bytes.concat(parts)
}

const types: Readonly<Record<string, number>> = { float32: 1, int64: 9 }
const text = (s: string): Uint8Array => new TextEncoder().encode(s)
const GRAPH = text("the graph of objects, a serialised message")
/** Bytes at the end of the data that belong to no tensor. */
export const graphBytes = GRAPH.length

const entryOf = (type: number, shape: readonly number[], offset: number, bytes: Uint8Array): Uint8Array =>
  Bytes.concat([
    field(1, type),
    field(2, Bytes.concat(shape.map((d) => field(2, field(1, d))))),
    // zeros are not written
    ...(offset > 0 ? [field(4, offset)] : []),
    field(5, bytes.length),
    Uint8Array.of((6 << 3) | 5),
    fixed32(Crc32c.masked(Crc32c.of(bytes))),
  ])

export const encode = (
  tensors: Readonly<Record<string, NdArray.NdArray>>,
  { blockSize, compress, bigEndian = false }: Options,
): Bundle => {
  const data: Uint8Array[] = []
  const header = Bytes.concat([field(1, 1), ...(bigEndian ? [field(2, 1)] : []), field(3, field(1, 1))])
  const pairs: Pair[] = [[new Uint8Array(0), header]]
  let offset = 0
  for (const name of Object.keys(tensors).sort()) {
    const array = tensors[name]!
    const bytes = NdArray.toBytes(array)
    pairs.push([text(name), entryOf(types[array.dtype]!, array.shape, offset, bytes)])
    data.push(bytes)
    offset += bytes.length
  }
  pairs.push([text("_CHECKPOINTABLE_OBJECT_GRAPH"), entryOf(7, [], offset, GRAPH)])
  data.push(GRAPH)
  pairs.sort(([a], [b]) => Buffer.compare(a, b))

  const out: Uint8Array[] = []
  let at = 0
  const put = (plain: Uint8Array): Uint8Array => {
    const stored = compress ? deflated(plain) : plain
    const typed = Bytes.concat([stored, Uint8Array.of(compress ? 1 : 0)])
    out.push(typed, fixed32(Crc32c.masked(Crc32c.of(typed))))
    const handle = Bytes.concat([varint(at), varint(stored.length)])
    at += typed.length + 4
    return handle
  }
  const index: Pair[] = []
  for (let begin = 0; begin < pairs.length; ) {
    let end = begin
    for (let size = 0; end < pairs.length && size < blockSize; end++)
      size += pairs[end]![0].length + pairs[end]![1].length + 8
    index.push([pairs[end - 1]![0], put(block(pairs.slice(begin, end)))])
    begin = end
  }
  const before = at
  const filters = put(block([]))
  const unread = at - before
  const handles = Bytes.concat([filters, put(block(index))])
  const footer = new Uint8Array(48)
  footer.set(handles)
  new DataView(footer.buffer).setBigUint64(40, MAGIC, true)
  return { index: Bytes.concat([...out, footer]), data: Bytes.concat(data), unread }
}
