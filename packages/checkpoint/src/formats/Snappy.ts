/** Snappy's raw format. https://github.com/google/snappy/blob/main/format_description.txt */
import { Failure } from "@adafm/core"

/** Bytes of one inflated block; TensorFlow's blocks have 256 KiB. */
const LIMIT = 64 * 2 ** 20

const bad = (message: string): never => Failure.raise("BadTable", `a Snappy block ${message}`, { offset: 0 })

export const inflate = (bytes: Uint8Array): Uint8Array => {
  let at = 0
  /** A little-endian number. */
  const number = (width: number): number => {
    if (at + width > bytes.length) return bad("ends inside a number")
    let value = 0
    for (let k = 0; k < width; k++) value += bytes[at++]! * 2 ** (8 * k)
    return value
  }
  let size = 0
  for (let shift = 0; ; shift += 7) {
    const byte = number(1)
    size += (byte & 127) * 2 ** shift
    if (size > LIMIT || shift > 28) return bad(`claims ${size} bytes; the limit is ${LIMIT}`)
    if (byte < 128) break
  }
  const out = new Uint8Array(size)
  let end = 0
  const copy = (offset: number, length: number): void => {
    if (offset === 0 || offset > end) bad("copies from before its beginning")
    if (end + length > size) bad("makes more bytes than it says")
    // may overlap: a copy of what it writes repeats it
    for (let k = 0; k < length; k++, end++) out[end] = out[end - offset]!
  }
  while (at < bytes.length) {
    const tag = number(1)
    const upper = tag >>> 2
    switch (tag & 3) {
      case 0: {
        const length = (upper < 60 ? upper : number(upper - 59)) + 1
        if (at + length > bytes.length || end + length > size) bad("has more literal bytes than it says")
        out.set(bytes.subarray(at, at + length), end)
        at += length
        end += length
        break
      }
      case 1:
        copy(((upper >>> 3) << 8) | number(1), (upper & 7) + 4)
        break
      case 2:
        copy(number(2), upper + 1)
        break
      default:
        copy(number(4), upper + 1)
    }
  }
  return end === size ? out : bad(`makes ${end} bytes instead of ${size}`)
}
