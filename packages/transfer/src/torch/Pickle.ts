/**
 * Python's pickle as a machine that can only build data. A pickle is a program for a stack machine; Python's own reader
 * imports and calls whatever the program names. This one knows the opcodes that write data, resolves names through an
 * allow-list of our own functions (`Globals.ts`), and refuses the rest with the byte offset of the opcode.
 */
import { Failure } from "@adafm/core"
import type * as Cursor from "./Cursor.ts"
import * as Globals from "./Globals.ts"
import * as Value from "./Value.ts"

/** Opcodes of one pickle. A state dict of 1,000 tensors takes 60,000; a history of a million losses two million. */
const MAX_OPCODES = 10_000_000
/** Memo slots in use. Every string and tuple takes one; see above. */
const MAX_MEMO = 2_000_000
/** Values on the stack and its parked parts: one batch of SETITEMS holds 2,000, a long list at most itself. */
const MAX_STACK = 4_000_000
/** Bytes of one string: names are short, a saved config or vocabulary reaches megabytes. */
const MAX_STRING = 1 << 24
/** Bytes of one integer. Addresses and seeds take 8, Python's random state 2,500 in words of 4. */
const MAX_LONG = 1024
/** Decimal digits of a text integer; Python's own limit since 3.11. */
const MAX_DIGITS = 4300
/** Highest protocol that Python has defined. */
const MAX_PROTOCOL = 5

/** Resolves a persistent id (a storage of a PyTorch file). */
export type Persistent = (id: Value.Value, offset: number) => Value.Value

const utf8 = new TextDecoder("utf-8", { fatal: true })
const latin1 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1")

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

/** Python 2 strings are bytes; torch reads them as UTF-8, old ones hold Latin-1. */
const python2 = (bytes: Uint8Array): string => {
  try {
    return utf8.decode(bytes)
  } catch {
    return latin1(bytes)
  }
}

/** Little-endian two's complement. */
const long = (bytes: Uint8Array): number | bigint => {
  let value = 0n
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!)
  return small(bytes.length === 0 ? 0n : BigInt.asIntN(8 * bytes.length, value))
}

const small = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value

const decimal = (digits: string, offset: number): number | bigint => {
  const trimmed = digits.trim().replace(/L$/, "")
  if (trimmed.length > MAX_DIGITS)
    return unsafe(`an integer of ${trimmed.length} digits, the limit is ${MAX_DIGITS}`, offset)
  return /^[+-]?\d+$/.test(trimmed)
    ? small(BigInt(trimmed.replace(/^\+/, "")))
    : bad(`bad integer ${trimmed.slice(0, 40)}`, offset)
}

const float = (line: string, offset: number): number => {
  const named: Readonly<Record<string, number>> = { nan: Number.NaN, inf: Infinity, "-inf": -Infinity }
  const value = named[line] ?? Number(line)
  return line.trim() === "" || (Number.isNaN(value) && line !== "nan")
    ? bad(`bad float ${line.slice(0, 40)}`, offset)
    : value
}

/** A Python 2 string literal: quotes and backslash escapes. */
const literal = (line: string, offset: number): string => {
  const quoted = /^(['"])(.*)\1$/s.exec(line.trim()) ?? bad("a text string without quotes", offset)
  return quoted[2]!.replace(/\\(x[0-9a-fA-F]{2}|[0-7]{1,3}|.)/gs, (_, code: string) =>
    code[0] === "x" && code.length === 3
      ? String.fromCharCode(Number.parseInt(code.slice(1), 16))
      : /^[0-7]/.test(code)
        ? String.fromCharCode(Number.parseInt(code, 8))
        : ({ n: "\n", r: "\r", t: "\t" }[code] ?? code),
  )
}

/** Opcodes that call code by other ways than the allow-list, or need a partner that a file does not have. */
const refused: Readonly<Record<number, string>> = {
  80: "PERSID (text persistent id)",
  105: "INST (instance of a class)",
  111: "OBJ (instance of a class)",
  130: "EXT1 (extension registry)",
  131: "EXT2 (extension registry)",
  132: "EXT4 (extension registry)",
  146: "NEWOBJ_EX (instance of a class)",
  151: "NEXT_BUFFER (out-of-band buffer)",
  152: "READONLY_BUFFER (out-of-band buffer)",
}

/** Runs one pickle from the cursor to its STOP. */
export const read = (cursor: Cursor.Cursor, persistent: Persistent): Value.Value => {
  const memo = new Map<number, Value.Value>()
  const parked: Value.Value[][] = []
  let parkedValues = 0
  let stack: Value.Value[] = []
  let at = cursor.offset()

  const push = (value: Value.Value): void => {
    stack.push(value)
    if (stack.length + parkedValues > MAX_STACK) unsafe(`more than ${MAX_STACK} values on the stack`, at)
  }
  const pop = (): Value.Value => (stack.length === 0 ? bad("the stack is empty", at) : stack.pop()!)
  const top = (): Value.Value => (stack.length === 0 ? bad("the stack is empty", at) : stack.at(-1)!)
  const popToMark = (): Value.Value[] => {
    const items = stack
    stack = parked.pop() ?? bad("no MARK on the stack", at)
    parkedValues -= stack.length
    return items
  }
  const view = (length: number): DataView => new DataView(cursor.bytes(length).buffer)
  const u16 = (): number => view(2).getUint16(0, true)
  const u32 = (): number => view(4).getUint32(0, true)
  const i32 = (): number => view(4).getInt32(0, true)
  const u64 = (): number => Number(view(8).getBigUint64(0, true))
  const sized = (length: number, limit = MAX_STRING): Uint8Array<ArrayBuffer> =>
    length < 0 || length > limit ? unsafe(`${length} bytes announced, the limit is ${limit}`, at) : cursor.bytes(length)
  const line = (limit = MAX_STRING): string => latin1(cursor.line(limit))
  const bytes = (data: Uint8Array): Value.Value => ({ _tag: "Bytes", bytes: data })
  const put = (slot: number): void => {
    memo.set(slot, top())
    if (memo.size > MAX_MEMO) unsafe(`more than ${MAX_MEMO} memo slots`, at)
  }
  const get = (slot: number): Value.Value => {
    const value = memo.get(slot)
    return value === undefined ? bad(`memo slot ${slot} is not set`, at) : value
  }
  const appendTo = (target: Value.Value, items: readonly Value.Value[], kinds: readonly Value.List["kind"][]): void => {
    if (!Value.isTagged(target, "List") || !kinds.includes(target.kind))
      bad(`cannot append to ${Value.describe(target)}`, at)
    for (const item of items) target.items.push(item)
  }
  const setIn = (target: Value.Value, items: readonly Value.Value[]): void => {
    if (!Value.isTagged(target, "Dict") || target.kind !== "dict")
      bad(`cannot set an item of ${Value.describe(target)}`, at)
    if (items.length % 2 === 1) bad("keys and values do not pair up", at)
    for (let i = 0; i < items.length; i += 2) target.entries.set(Globals.key(items[i]!, at), items[i + 1]!)
  }
  const global = (module: Value.Value, name: Value.Value): Value.Value =>
    typeof module === "string" && typeof name === "string"
      ? Globals.resolve(module, name, at)
      : bad("STACK_GLOBAL takes two strings", at)
  const call = (args: Value.Value, callee: Value.Value): Value.Value => {
    if (!Value.isTagged(callee, "Global")) return unsafe(`calls ${Value.describe(callee)}, which is no function`, at)
    if (callee.call === undefined) return unsafe(`calls ${callee.name}, which is only a name here`, at)
    return Value.isTuple(args) ? callee.call(args.items, at) : bad("arguments are not a tuple", at)
  }
  const text1 = (data: Uint8Array): string => text(data, at)

  const first = cursor.byte()
  if (first !== 0x80) bad("does not begin with a pickle protocol", at)
  const protocol = cursor.byte()
  if (protocol > MAX_PROTOCOL) bad(`pickle protocol ${protocol}, the highest known is ${MAX_PROTOCOL}`, at)

  for (let opcodes = 0; opcodes < MAX_OPCODES; opcodes++) {
    at = cursor.offset()
    const opcode = cursor.byte()
    switch (opcode) {
      case 0x2e: // STOP
        if (stack.length !== 1 || parked.length > 0) return bad(`STOP with ${stack.length} values on the stack`, at)
        return stack[0]!
      case 0x80:
        if (cursor.byte() > MAX_PROTOCOL) bad("unknown pickle protocol", at)
        break
      case 0x95: {
        const frame = u64()
        if (frame > cursor.remaining()) bad(`a frame of ${frame} bytes, ${cursor.remaining()} are left`, at)
        break
      } // FRAME: a hint about buffering; the opcodes inside are read one by one
      case 0x28:
        parked.push(stack)
        parkedValues += stack.length
        stack = []
        break // MARK
      case 0x30:
        if (stack.length > 0) stack.pop()
        else popToMark()
        break // POP
      case 0x31:
        popToMark()
        break
      case 0x32:
        push(top())
        break
      case 0x4e:
        push(null)
        break
      case 0x88:
        push(true)
        break
      case 0x89:
        push(false)
        break
      case 0x49: {
        // INT, also how protocol 0 writes booleans
        const digits = line()
        push(digits === "01" ? true : digits === "00" ? false : decimal(digits, at))
        break
      }
      case 0x4a:
        push(i32())
        break
      case 0x4b:
        push(cursor.byte())
        break
      case 0x4d:
        push(u16())
        break
      case 0x4c:
        push(decimal(line(), at))
        break
      case 0x8a:
        push(long(cursor.bytes(cursor.byte())))
        break
      case 0x8b:
        push(long(sized(i32(), MAX_LONG)))
        break
      case 0x46:
        push(Value.float(float(line(), at)))
        break
      case 0x47:
        push(Value.float(view(8).getFloat64(0, false)))
        break
      case 0x53:
        push(literal(line(), at))
        break
      case 0x54:
        push(python2(sized(i32())))
        break
      case 0x55:
        push(python2(cursor.bytes(cursor.byte())))
        break
      case 0x56:
        push(text1(cursor.line(MAX_STRING)))
        break
      case 0x58:
        push(text1(sized(u32())))
        break
      case 0x8c:
        push(text1(cursor.bytes(cursor.byte())))
        break
      case 0x8d:
        push(text1(sized(u64())))
        break
      case 0x42:
        push(bytes(sized(u32())))
        break
      case 0x43:
        push(bytes(cursor.bytes(cursor.byte())))
        break
      case 0x8e:
        push(bytes(sized(u64())))
        break
      case 0x96:
        push(bytes(sized(u64())))
        break
      case 0x29:
        push(Value.tuple([]))
        break
      case 0x74:
        push(Value.tuple(popToMark()))
        break
      case 0x85:
        push(Value.tuple([pop()]))
        break
      case 0x86: {
        const b = pop()
        push(Value.tuple([pop(), b]))
        break
      }
      case 0x87: {
        const c = pop()
        const b = pop()
        push(Value.tuple([pop(), b, c]))
        break
      }
      case 0x5d:
        push(Value.list([]))
        break
      case 0x6c:
        push(Value.list(popToMark()))
        break
      case 0x61: {
        const item = pop()
        appendTo(top(), [item], ["list"])
        break
      }
      case 0x65: {
        const items = popToMark()
        appendTo(top(), items, ["list"])
        break
      }
      case 0x7d:
        push(Value.dict())
        break
      case 0x64: {
        const items = popToMark()
        push(Value.dict())
        setIn(top(), items)
        break
      }
      case 0x73: {
        const value = pop()
        const key = pop()
        setIn(top(), [key, value])
        break
      }
      case 0x75: {
        const items = popToMark()
        setIn(top(), items)
        break
      }
      case 0x8f:
        push(Value.set([]))
        break
      case 0x90: {
        const items = popToMark()
        appendTo(top(), items, ["set"])
        break
      }
      case 0x91:
        push(Value.set(popToMark()))
        break
      case 0x67:
        push(get(Number(decimal(line(), at))))
        break
      case 0x68:
        push(get(cursor.byte()))
        break
      case 0x6a:
        push(get(u32()))
        break
      case 0x70:
        put(Number(decimal(line(), at)))
        break
      case 0x71:
        put(cursor.byte())
        break
      case 0x72:
        put(u32())
        break
      case 0x94:
        put(memo.size)
        break
      case 0x63: {
        const module = line()
        push(global(module, line()))
        break
      }
      case 0x93: {
        const name = pop()
        push(global(pop(), name))
        break
      }
      case 0x52: {
        const args = pop()
        push(call(args, pop()))
        break
      }
      case 0x81: {
        const args = pop()
        push(call(args, pop()))
        break
      } // NEWOBJ
      case 0x62: {
        const state = pop()
        Globals.build(top(), state, at)
        break
      }
      case 0x51:
        push(persistent(pop(), at))
        break // BINPERSID
      default:
        return refused[opcode] === undefined
          ? bad(`unknown opcode 0x${opcode.toString(16).padStart(2, "0")}`, at)
          : unsafe(`opcode ${refused[opcode]} is refused`, at)
    }
  }
  return unsafe(`more than ${MAX_OPCODES} opcodes`, at)
}
