/** Opcodes of a pickle that contain the value they push: numbers, strings, bytes, empty containers. */
import { Bytes, Failure } from "@adafm/core"
import type * as ByteCursor from "./ByteCursor.ts"
import * as PickleValue from "./PickleValue.ts"

/** Bytes of one string: names are short, but a saved configuration or vocabulary reaches megabytes. */
const MAX_STRING = 1 << 24
/** Bytes of one integer. Addresses and seeds take 8, Python's random state 2,500 in words of 4. */
const MAX_LONG = 1024
/** Decimal digits of a text integer; Python's own limit since 3.11. */
const MAX_DIGITS = 4300

const utf8 = new TextDecoder("utf-8", { fatal: true })
const latin1 = (bytes: Uint8Array): string => Bytes.toLatin1(bytes)

const bad: (message: string, offset: number) => never = (message, offset) =>
  Failure.raise("BadPickle", message, { offset })
const unsafe: (message: string, offset: number) => never = (message, offset) =>
  Failure.raise("UnsafePickle", message, { offset })

const text = (bytes: Uint8Array, offset: number): string => {
  try {
    return utf8.decode(bytes)
  } catch {
    return bad("a string is not valid UTF-8", offset)
  }
}

/** Python 2 strings are bytes; PyTorch reads them as UTF-8, old files hold Latin-1. */
const python2 = (bytes: Uint8Array): string => {
  try {
    return utf8.decode(bytes)
  } catch {
    return latin1(bytes)
  }
}

const small = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value

/** Little-endian two's complement. */
const long = (bytes: Uint8Array): number | bigint => {
  let value = 0n
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!)
  return small(bytes.length === 0 ? 0n : BigInt.asIntN(8 * bytes.length, value))
}

const decimal = (digits: string, offset: number): number | bigint => {
  const trimmed = digits.trim().replace(/L$/, "")
  if (trimmed.length > MAX_DIGITS)
    return unsafe(`an integer of ${trimmed.length} digits; the limit is ${MAX_DIGITS}`, offset)
  return /^[+-]?\d+$/.test(trimmed)
    ? small(BigInt(trimmed.replace(/^\+/, "")))
    : bad(`expected an integer, found ${trimmed.slice(0, 40)}`, offset)
}

const named: ReadonlyMap<string, number> = new Map([
  ["nan", Number.NaN],
  ["inf", Number.POSITIVE_INFINITY],
  ["-inf", Number.NEGATIVE_INFINITY],
])

const float = (line: string, offset: number): PickleValue.Float => {
  const value = named.get(line) ?? Number(line)
  return line.trim() === "" || (Number.isNaN(value) && line !== "nan")
    ? bad(`expected a float, found ${line.slice(0, 40)}`, offset)
    : PickleValue.float(value)
}

/** A Python 2 string literal: quotes and backslash escapes. */
const unquoted = (line: string, offset: number): string => {
  const quoted = /^(['"])(.*)\1$/s.exec(line.trim()) ?? bad("a string literal without quotes", offset)
  return quoted[2]!.replace(/\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)/gs, (_, code: string) =>
    code[0] === "x" && code.length === 3
      ? String.fromCharCode(Number.parseInt(code.slice(1), 16))
      : /^[0-7]/.test(code)
        ? String.fromCharCode(Number.parseInt(code, 8))
        : ({ n: "\n", r: "\r", t: "\t" }[code] ?? code),
  )
}

/** A line of text: a module or a name. */
export const line = (cursor: ByteCursor.ByteCursor): string => latin1(cursor.line(MAX_STRING))
/** A memo slot, written in digits. */
export const slot = (cursor: ByteCursor.ByteCursor, offset: number): number => Number(decimal(line(cursor), offset))

const view = (cursor: ByteCursor.ByteCursor, length: number): DataView => new DataView(cursor.bytes(length).buffer)
export const u16 = (cursor: ByteCursor.ByteCursor): number => view(cursor, 2).getUint16(0, true)
export const u32 = (cursor: ByteCursor.ByteCursor): number => view(cursor, 4).getUint32(0, true)
export const u64 = (cursor: ByteCursor.ByteCursor): number => Number(view(cursor, 8).getBigUint64(0, true))
const i32 = (cursor: ByteCursor.ByteCursor): number => view(cursor, 4).getInt32(0, true)

/** Reads as many bytes as the file announces; the number is checked before any memory is allocated. */
const sized = (
  cursor: ByteCursor.ByteCursor,
  length: number,
  offset: number,
  limit = MAX_STRING,
): Uint8Array<ArrayBuffer> =>
  length < 0 || length > limit
    ? unsafe(`the file announces a value of ${length} bytes; the limit is ${limit}`, offset)
    : cursor.bytes(length)

type Literal = (cursor: ByteCursor.ByteCursor, offset: number) => PickleValue.Value

const literals: Readonly<Record<number, Literal>> = {
  78: () => null,
  136: () => true,
  137: () => false,
  /** INT; protocol 0 also writes booleans with it */
  73: (c, at) => {
    const digits = line(c)
    return digits === "01" ? true : digits === "00" ? false : decimal(digits, at)
  },
  74: i32,
  75: (c) => c.byte(),
  77: u16,
  76: (c, at) => decimal(line(c), at),
  138: (c) => long(c.bytes(c.byte())),
  139: (c, at) => long(sized(c, i32(c), at, MAX_LONG)),
  70: (c, at) => float(line(c), at),
  71: (c) => PickleValue.float(view(c, 8).getFloat64(0, false)),
  83: (c, at) => unquoted(line(c), at),
  84: (c, at) => python2(sized(c, i32(c), at)),
  85: (c) => python2(c.bytes(c.byte())),
  86: (c, at) => text(c.line(MAX_STRING), at),
  88: (c, at) => text(sized(c, u32(c), at), at),
  140: (c, at) => text(c.bytes(c.byte()), at),
  141: (c, at) => text(sized(c, u64(c), at), at),
  66: (c, at) => PickleValue.bytes(sized(c, u32(c), at)),
  67: (c) => PickleValue.bytes(c.bytes(c.byte())),
  142: (c, at) => PickleValue.bytes(sized(c, u64(c), at)),
  150: (c, at) => PickleValue.bytes(sized(c, u64(c), at)),
  41: () => PickleValue.tuple([]),
  93: () => PickleValue.list([]),
  125: () => PickleValue.dict(),
  143: () => PickleValue.set([]),
}

/** How to read the value of an opcode; undefined for opcodes that do more than push a value. */
export const of = (opcode: number): Literal | undefined => literals[opcode]
