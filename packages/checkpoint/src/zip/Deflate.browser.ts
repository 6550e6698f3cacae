/** What zip files are compressed and checked with, in JavaScript. Node has another `Deflate`. */
import { Failure } from "@adafm/core"
import { Inflate } from "fflate"

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1
  return c
})

/** CRC-32 (ISO 3309). @param before the sum of the bytes so far */
export const crc32 = (bytes: Uint8Array, before = 0): number => {
  let c = ~before
  for (const byte of bytes) c = TABLE[(c ^ byte) & 255]! ^ (c >>> 8)
  return ~c >>> 0
}

/** Compressed bytes that are inflated at a time: a few kilobytes of zeros must not fill the memory before they are counted. */
const BLOCK = 1 << 14

/** Throws where the result would have more than `maxOutputLength` bytes. */
export const inflateRawSync = (
  bytes: Uint8Array,
  { maxOutputLength }: { readonly maxOutputLength: number },
): Uint8Array => {
  const out = new Uint8Array(maxOutputLength)
  let size = 0
  let isComplete = false
  const stream = new Inflate((part, isLast) => {
    if (size + part.length > maxOutputLength)
      Failure.raise("BadZip", `the inflated data have more than ${maxOutputLength} bytes`)
    out.set(part, size)
    size += part.length
    isComplete = isLast
  })
  for (let at = 0; at < bytes.length; at += BLOCK)
    stream.push(bytes.subarray(at, at + BLOCK), at + BLOCK >= bytes.length)
  if (!isComplete) throw new Error("unexpected end of file")
  return out.subarray(0, size)
}
