/** Zip files of stored members whose data begin at multiples of 64 bytes, as in PyTorch's files. */

import { Failure } from "@adafm/core"
import { crc32 } from "#zip/Deflate"

export interface Member {
  readonly name: string
  readonly bytes: Uint8Array
}

/** PyTorch's alignment of tensor data, in bytes. */
const ALIGNMENT = 64
const FULL32 = 0xffffffff
const FULL16 = 0xffff

/** Little-endian fields: `[bytes, value]`. */
const fields = (...values: readonly (readonly [2 | 4 | 8, number])[]): Uint8Array => {
  const bytes = new Uint8Array(values.reduce((n, [size]) => n + size, 0))
  const view = new DataView(bytes.buffer)
  let at = 0
  for (const [size, value] of values) {
    if (size === 2) view.setUint16(at, value, true)
    else if (size === 4) view.setUint32(at, value, true)
    else view.setBigUint64(at, BigInt(value), true)
    at += size
  }
  return bytes
}

/** An extra field of zeros that aligns the data; its id is the one that PyTorch's writer uses ("FB"). */
const padding = (headerEnd: number): Uint8Array => {
  const missing = (ALIGNMENT - ((headerEnd + 4) % ALIGNMENT)) % ALIGNMENT
  const bytes = new Uint8Array(4 + missing)
  bytes.set(fields([2, 0x4246], [2, missing]))
  return bytes
}

/** The file in chunks. A member must be smaller than 4 GiB; the archive may be larger. */
export function* encode(members: readonly Member[]): Generator<Uint8Array> {
  const directory: Uint8Array[] = []
  let at = 0
  for (const { name: text, bytes } of members) {
    if (bytes.length >= FULL32)
      Failure.raise("TooLarge", `${text} has ${bytes.length} bytes; a member must be smaller than 4 GiB`, {
        path: text,
      })
    const name = new TextEncoder().encode(text)
    const extra = padding(at + 30 + name.length)
    const common = [
      [2, 0],
      [2, 0],
      [2, 0],
      [2, 0x21],
      [4, crc32(bytes)],
      [4, bytes.length],
      [4, bytes.length],
      [2, name.length],
    ] as const
    const wide = at >= FULL32 ? fields([2, 1], [2, 8], [8, at]) : new Uint8Array(0)
    directory.push(
      fields(
        [4, 0x02014b50],
        [2, 45],
        [2, 45],
        ...common,
        [2, wide.length],
        [2, 0],
        [2, 0],
        [2, 0],
        [4, 0],
        [4, Math.min(at, FULL32)],
      ),
      name,
      wide,
    )
    const header = [fields([4, 0x04034b50], [2, 45], ...common, [2, extra.length]), name, extra]
    yield* header
    yield bytes
    at += header.reduce((n, part) => n + part.length, 0) + bytes.length
  }
  const size = directory.reduce((n, part) => n + part.length, 0)
  yield* directory
  if (at >= FULL32 || members.length >= FULL16) {
    yield fields(
      [4, 0x06064b50],
      [8, 44],
      [2, 45],
      [2, 45],
      [4, 0],
      [4, 0],
      [8, members.length],
      [8, members.length],
      [8, size],
      [8, at],
    )
    yield fields([4, 0x07064b50], [4, 0], [8, at + size], [4, 1])
  }
  const count = Math.min(members.length, FULL16)
  yield fields([4, 0x06054b50], [2, 0], [2, 0], [2, count], [2, count], [4, size], [4, Math.min(at, FULL32)], [2, 0])
}
