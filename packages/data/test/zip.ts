/** Zip archives for the tests: stored or deflated, with fixed times. */
import { crc32, deflateRawSync } from "node:zlib"

export interface Entry {
  readonly name: string
  readonly bytes: Uint8Array
  readonly deflate?: boolean
}

const record = (signature: number, fields: readonly (readonly [value: number, size: 2 | 4])[]): Buffer => {
  const bytes = Buffer.alloc(4 + fields.reduce((n, [, size]) => n + size, 0))
  bytes.writeUInt32LE(signature)
  let at = 4
  for (const [value, size] of fields) {
    bytes.writeUIntLE(value, at, size)
    at += size
  }
  return bytes
}

export const zip = (entries: readonly Entry[]): Buffer => {
  const [local, central]: [Buffer[], Buffer[]] = [[], []]
  let offset = 0
  for (const { name, bytes, deflate = false } of entries) {
    const label = Buffer.from(name)
    const body = deflate ? deflateRawSync(bytes) : Buffer.from(bytes)
    const shared = [
      [20, 2],
      [0x800, 2],
      [deflate ? 8 : 0, 2],
      [0, 2],
      [33, 2],
      [crc32(bytes) >>> 0, 4],
      [body.length, 4],
      [bytes.length, 4],
      [label.length, 2],
      [0, 2],
    ] as const
    const head = Buffer.concat([record(0x04034b50, shared), label, body])
    central.push(record(0x02014b50, [[20, 2], ...shared, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]]), label)
    local.push(head)
    offset += head.length
  }
  const directory = Buffer.concat(central)
  const end = record(0x06054b50, [
    [0, 2],
    [0, 2],
    [entries.length, 2],
    [entries.length, 2],
    [directory.length, 4],
    [offset, 4],
    [0, 2],
  ])
  return Buffer.concat([...local, directory, end])
}
