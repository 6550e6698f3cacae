/** Seeded damage to the bytes of a file: what disks, networks and strangers do to it. */

export const KINDS = ["bit", "byte", "number", "cut", "zeros", "repeat", "swap", "insert", "remove"] as const
export type Kind = (typeof KINDS)[number]

/** Four numbers from 0 to below 1, drawn by the caller: the kind of damage, its place, its amount, and the place or value it takes. */
export type Draw = readonly [kind: number, place: number, amount: number, other: number]

export interface Damaged {
  readonly kind: Kind
  /** Where it begins, in bytes. */
  readonly at: number
  readonly bytes: Uint8Array
}

/** Numbers that parsers often get wrong: limits of the widths that they read, signs, and sizes beyond any memory. */
const EXTREMES = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  1n << 40n,
  1n << 53n,
  (1n << 63n) - 1n,
  (1n << 64n) - 1n,
]

/** Bytes of the longest piece that is erased, doubled, moved or added. */
const LONGEST = 64

const replaced = (bytes: Uint8Array, at: number, part: Uint8Array): Uint8Array => {
  const out = bytes.slice()
  out.set(part.subarray(0, bytes.length - at), at)
  return out
}

const little = (value: bigint, width: number): Uint8Array => {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, value, true)
  return out.subarray(0, width)
}

/** A damaged copy. Equal numbers give equal damage; an empty file stays as it is. */
export const of = (whole: Uint8Array, [a, b, c, d]: Draw): Damaged => {
  // a Buffer's slices are views of it
  const bytes = new Uint8Array(whole)
  const kind = KINDS[Math.floor(a * KINDS.length)]!
  if (bytes.length === 0) return { kind, at: 0, bytes }
  const at = Math.floor(b * bytes.length)
  const length = 1 + Math.floor(c * c * Math.min(LONGEST, bytes.length - at))
  const part = bytes.subarray(at, at + length)
  const to = Math.floor(d * bytes.length)
  const make: Readonly<Record<Kind, () => Uint8Array>> = {
    bit: () => replaced(bytes, at, Uint8Array.of(bytes[at]! ^ (1 << Math.floor(8 * c)))),
    byte: () => replaced(bytes, at, Uint8Array.of(Math.floor(256 * c))),
    number: () =>
      replaced(bytes, at, little(EXTREMES[Math.floor(c * EXTREMES.length)]!, [1, 2, 4, 8][Math.floor(4 * d)]!)),
    cut: () => bytes.slice(0, at),
    zeros: () => replaced(bytes, at, new Uint8Array(length)),
    repeat: () => Buffer.concat([bytes.subarray(0, at), part, part, bytes.subarray(at + length)]),
    swap: () => replaced(replaced(bytes, at, bytes.slice(to, to + length)), to, part.slice()),
    insert: () =>
      Buffer.concat([bytes.subarray(0, at), new Uint8Array(length).fill(Math.floor(256 * d)), bytes.subarray(at)]),
    remove: () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]),
  }
  return { kind, at, bytes: new Uint8Array(make[kind]()) }
}

/** Replacements for a number or a string of a JSON file. */
const VALUES = [
  "0",
  "-1",
  "1e308",
  "0.5",
  "9007199254740993",
  "null",
  "true",
  "[]",
  "{}",
  "[[[[]]]]",
  '""',
  '"float32"',
  '"complex64"',
  '"__proto__"',
  '"../1.bin"',
  '"1.bin"',
  '"x"',
]

/**
 * A copy of a JSON file with another value, or the value of another place, for one number or string, so that it stays JSON. Names
 * of fields are strings too.
 * @param draw the place, and the value
 */
export const inJson = (bytes: Uint8Array, [a, b]: readonly [place: number, value: number]): Uint8Array => {
  const text = Buffer.from(bytes).toString("latin1")
  const tokens = [...text.matchAll(/"[^"]*"|-?\d+(\.\d+)?/g)]
  const token = tokens[Math.floor(a * tokens.length)]
  if (token === undefined) return bytes
  const half = b * 2
  const value =
    half < 1 ? VALUES[Math.floor(half * VALUES.length)]! : tokens[Math.floor((half - 1) * tokens.length)]![0]
  return Buffer.from(text.slice(0, token.index) + value + text.slice(token.index + token[0].length), "latin1")
}
