/**
 * Bytes that are read by range and never all at once: a file, a part of one, several in a row, or bytes that are decoded
 * on the first read. Reads are synchronous, because the pickle machine is a plain loop, and they return no `Either`: they
 * raise a `Failure` that the boundary captures.
 */
import { Disk, Failure } from "@adafm/core"

export interface Source {
  /** Bytes. */
  readonly size: number
  /**
   * Exactly `length` bytes from `begin`; raises `TruncatedFile` if the source is shorter. A file reads them into `into`, if
   * given, and returns a view of it: a caller that needs every byte only once allocates no new memory for each read.
   */
  readonly read: (begin: number, length: number, into?: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>
  /** The offset of byte 0 in the file on disk, as far as it is known. */
  readonly at: number
}

const isCount = (n: number): boolean => Number.isSafeInteger(n) && n >= 0

const checked = (source: Pick<Source, "size" | "at">, begin: number, length: number): void => {
  if (!isCount(begin) || !isCount(length) || begin + length > source.size)
    Failure.raise(
      "TruncatedFile",
      `expected ${length} bytes at byte ${source.at + begin}, but the data end at byte ${source.at + source.size}`,
      { offset: source.at + source.size },
    )
}

/** The file of an open descriptor, which the caller closes. */
export const ofDescriptor = (fd: number, size: number): Source => ({
  size,
  at: 0,
  read: (begin, length, into) => {
    checked({ size, at: 0 }, begin, length)
    const bytes = into === undefined ? new Uint8Array(length) : into.subarray(0, length)
    let done = 0
    while (done < length) {
      const n = Disk.readSync(fd, bytes, done, Math.min(length - done, 1 << 30), begin + done)
      if (n === 0)
        Failure.raise("TruncatedFile", `the file ended at byte ${begin + done} while it was read`, {
          offset: begin + done,
        })
      done += n
    }
    return bytes
  },
})

export const ofBytes = (bytes: Uint8Array, at = 0): Source => ({
  size: bytes.length,
  at,
  read: (begin, length) => {
    checked({ size: bytes.length, at }, begin, length)
    return new Uint8Array(bytes.subarray(begin, begin + length)) // `slice` of a Buffer would not copy
  },
})

/** Bytes `[begin, begin + size)` of another source; raises now if they are not there. */
export const slice = (source: Source, begin: number, size: number): Source => {
  checked(source, begin, size)
  const at = source.at + begin
  return {
    size,
    at,
    read: (from, length, into) => {
      checked({ size, at }, from, length)
      return source.read(begin + from, length, into)
    },
  }
}

/**
 * Bytes that exist only after `decode` (a deflated zip member, varints). They stay in memory until their last byte is read, so that
 * reading in pieces decodes once.
 */
export const decoded = (size: number, at: number, decode: () => Uint8Array): Source => {
  let kept: Uint8Array | undefined
  return {
    size,
    at,
    read: (begin, length) => {
      checked({ size, at }, begin, length)
      const whole = kept ?? decode()
      kept = begin + length < size ? whole : undefined
      return new Uint8Array(whole.subarray(begin, begin + length))
    },
  }
}

/** Elements of `width` bytes that are each computed from `from` bytes of another source; only the range that is read is computed. */
export const mapped = (
  source: Source,
  { from, width }: { readonly from: number; readonly width: number },
  convert: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array,
): Source => {
  const size = (source.size / from) * width
  return {
    size,
    at: source.at,
    read: (begin, length) => {
      checked({ size, at: source.at }, begin, length)
      const first = Math.floor(begin / width)
      const last = Math.ceil((begin + length) / width)
      const bytes = convert(source.read(first * from, (last - first) * from))
      return new Uint8Array(bytes.subarray(begin - first * width, begin - first * width + length))
    },
  }
}

/** Several sources as one, in the given order. */
export const concat = (parts: readonly Source[]): Source => {
  const size = parts.reduce((n, part) => n + part.size, 0)
  return {
    size,
    at: 0,
    read: (begin, length) => {
      checked({ size, at: 0 }, begin, length)
      const bytes = new Uint8Array(length)
      let start = 0
      for (const part of parts) {
        const from = Math.max(begin, start)
        const to = Math.min(begin + length, start + part.size)
        if (from < to) bytes.set(part.read(from - start, to - from), from - begin)
        start += part.size
      }
      return bytes
    },
  }
}

/** Bytes `[begin, begin + length)` in pieces of at most `step` bytes, so that a large range needs little memory. */
export function* pieces(source: Source, begin: number, length: number, step: number): Generator<Uint8Array> {
  for (let done = 0; done < length; done += step) yield source.read(begin + done, Math.min(step, length - done))
}
