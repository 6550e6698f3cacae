/**
 * A sorted table of LevelDB: keys and values in blocks, each block stored as it is or compressed with Snappy, with its checksum.
 * https://github.com/google/leveldb/blob/main/doc/table_format.md
 */
import { Bytes, Failure } from "@adafm/core"
import type * as ByteSource from "../ByteSource.ts"
import * as Crc32c from "./Crc32c.ts"
import * as Snappy from "./Snappy.ts"

const FOOTER = 48
/** The last eight bytes of every table, little-endian. */
const MAGIC = "\x57\xfb\x80\x8b\x24\x75\x47\xdb"
/** Bytes behind each block: how it is compressed, and its checksum. */
const TRAILER = 5

export const looksLike = (source: ByteSource.Source): boolean =>
  source.size >= FOOTER && Bytes.toLatin1(source.read(source.size - 8, 8)) === MAGIC

export const bad = (message: string): never => Failure.raise("BadTable", message, { offset: 0 })

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

/** The bytes of a block, whose checksum covers them as they are stored. */
const block = (source: ByteSource.Source, offset: number, size: number): Uint8Array => {
  const stored = source.read(offset, size + TRAILER)
  const sum = new DataView(stored.buffer, stored.byteOffset + size + 1, 4).getUint32(0, true)
  if (Crc32c.masked(Crc32c.of(stored.subarray(0, size + 1))) !== sum)
    Failure.raise("BadChecksum", "the checksum of a block of the table differs", { offset })
  const kind = stored[size]!
  if (kind > 1) bad(`a block is compressed by method ${kind}; none (0) and Snappy (1) are supported`)
  return kind === 0 ? stored.subarray(0, size) : Snappy.inflate(stored.subarray(0, size))
}

/** Keys and values of one block; every key shares its beginning with the one before. */
function* entriesOf(
  source: ByteSource.Source,
  offset: number,
  size: number,
): Generator<readonly [Uint8Array, Uint8Array]> {
  const bytes = block(source, offset, size)
  const { length } = bytes
  if (length < 4) bad("a block of less than four bytes")
  const restarts = new DataView(bytes.buffer, bytes.byteOffset, length).getUint32(length - 4, true)
  const end = length - 4 - 4 * restarts
  if (end < 0) bad(`a block of ${length} bytes with ${restarts} restarts`)
  const at = cursor(bytes.subarray(0, end))
  let key = new Uint8Array(0)
  while (at.at() < end) {
    const [shared, more, length] = [at.varint(), at.varint(), at.varint()]
    if (shared > key.length) bad("a key that shares more than its predecessor has")
    key = Bytes.concat([key.subarray(0, shared), at.take(more)])
    yield [key, at.take(length)]
  }
}

/** Every key and value, in the order of the keys. */
export function* entries(source: ByteSource.Source): Generator<readonly [key: Uint8Array, value: Uint8Array]> {
  const footer = cursor(source.read(source.size - FOOTER, 40))
  // the place of the index of filters comes first
  footer.varint()
  footer.varint()
  for (const [, handle] of entriesOf(source, footer.varint(), footer.varint())) {
    const place = cursor(handle)
    yield* entriesOf(source, place.varint(), place.varint())
  }
}
