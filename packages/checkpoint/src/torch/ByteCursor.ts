/** Reads a source from front to back through a small window, because the end of a pickle is known only once it is parsed. */
import { Failure } from "@adafm/core"
import type * as ByteSource from "../ByteSource.ts"

/** Bytes read at a time. */
const WINDOW = 1 << 16

export interface ByteCursor {
  /** Offset in the file of the next byte. */
  readonly offset: () => number
  /** Offset in the source of the next byte. */
  readonly position: () => number
  /** Bytes before the end of the source. */
  readonly remaining: () => number
  readonly byte: () => number
  readonly bytes: (length: number) => Uint8Array<ArrayBuffer>
  /** The bytes before the next newline, which is consumed. */
  readonly line: (limit: number) => Uint8Array<ArrayBuffer>
}

export const make = (source: ByteSource.Source, start = 0): ByteCursor => {
  let window = new Uint8Array(0)
  let windowAt = start
  let next = start
  const fill = (): void => {
    windowAt = next
    window = source.read(next, Math.min(WINDOW, source.size - next))
    if (window.length === 0) source.read(next, 1)
  }
  const byte = (): number => {
    if (next >= windowAt + window.length) fill()
    return window[next++ - windowAt]!
  }
  return {
    offset: () => source.at + next,
    position: () => next,
    remaining: () => source.size - next,
    byte,
    bytes: (length) => {
      const bytes =
        next + length <= windowAt + window.length
          ? window.slice(next - windowAt, next - windowAt + length)
          : source.read(next, length)
      next += length
      return bytes
    },
    line: (limit) => {
      const bytes: number[] = []
      for (let b = byte(); b !== 0x0a; b = byte()) {
        if (bytes.length === limit)
          Failure.raise("UnsafePickle", `a line of text is longer than ${limit} bytes`, { offset: source.at + next })
        bytes.push(b)
      }
      return Uint8Array.from(bytes)
    },
  }
}
