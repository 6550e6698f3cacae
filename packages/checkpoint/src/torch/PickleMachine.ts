/**
 * A machine for Python's pickles that can only build data. A pickle is a program for a stack machine, and Python's reader
 * imports and calls whatever the program names. This one executes the opcodes that build data, resolves names through an
 * allow-list of our functions (`AllowedGlobals.ts`), and refuses everything else with the byte offset of the opcode.
 */
import { Failure } from "@adafm/core"
import * as AllowedGlobals from "./AllowedGlobals.ts"
import type * as ByteCursor from "./ByteCursor.ts"
import * as PickleLiterals from "./PickleLiterals.ts"
import * as PickleValue from "./PickleValue.ts"

/** Opcodes of one pickle. A state dict of 1,000 tensors takes 60,000; a history of a million losses two million. */
const MAX_OPCODES = 10_000_000
/** Memo slots in use: every string and every tuple takes one. */
const MAX_MEMO = 2_000_000
/** Values on the stack, those below a MARK included: one batch of SETITEMS has 2,000, a long list its length. */
const MAX_STACK = 4_000_000
/** Highest protocol that Python has defined. */
const MAX_PROTOCOL = 5

/** Resolves a persistent id (a storage of a PyTorch file). */
export type Persistent = (id: PickleValue.Value, offset: number) => PickleValue.Value

const bad: (message: string, offset: number) => never = (message, offset) =>
  Failure.raise("BadPickle", message, { offset })
const unsafe: (message: string, offset: number) => never = (message, offset) =>
  Failure.raise("UnsafePickle", message, { offset })

/** Opcodes that would call code past the allow-list, or need data from outside the file. */
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

const append = (
  target: PickleValue.Value,
  items: readonly PickleValue.Value[],
  kind: PickleValue.List["kind"],
  at: number,
): void => {
  if (!PickleValue.isTagged(target, "List") || target.kind !== kind)
    bad(`the pickle appends to ${PickleValue.describe(target)}`, at)
  for (const item of items) target.items.push(item)
}

const assign = (target: PickleValue.Value, items: readonly PickleValue.Value[], at: number): void => {
  if (!PickleValue.isTagged(target, "Dict") || target.kind !== "dict")
    bad(`the pickle sets an item of ${PickleValue.describe(target)}`, at)
  if (items.length % 2 === 1) bad("a dictionary key without a value", at)
  for (let i = 0; i < items.length; i += 2) target.entries.set(AllowedGlobals.key(items[i]!, at), items[i + 1]!)
}

const call = (callee: PickleValue.Value, args: PickleValue.Value, at: number): PickleValue.Value => {
  if (!PickleValue.isTagged(callee, "Global"))
    return unsafe(`the pickle calls ${PickleValue.describe(callee)}, which is not a function`, at)
  if (callee.call === undefined) return unsafe(`the pickle calls ${callee.name}, which may be named but not called`, at)
  return PickleValue.isTuple(args) ? callee.call(args.items, at) : bad("the arguments of a call are not a tuple", at)
}

const named = (module: PickleValue.Value, name: PickleValue.Value, at: number): PickleValue.Value =>
  typeof module === "string" && typeof name === "string"
    ? AllowedGlobals.resolve(module, name, at)
    : bad("the module and the name of STACK_GLOBAL must be strings", at)

const checkProtocol = (protocol: number, at: number): void => {
  if (protocol > MAX_PROTOCOL) bad(`pickle protocol ${protocol}; the highest known is ${MAX_PROTOCOL}`, at)
}

/** Runs one pickle from the cursor to its STOP. */
export const read = (cursor: ByteCursor.ByteCursor, persistent: Persistent): PickleValue.Value => {
  const memo = new Map<number, PickleValue.Value>()
  const parked: PickleValue.Value[][] = []
  let parkedValues = 0
  let stack: PickleValue.Value[] = []
  let at = cursor.offset()

  const push = (value: PickleValue.Value): void => {
    stack.push(value)
    if (stack.length + parkedValues > MAX_STACK) unsafe(`more than ${MAX_STACK} values on the stack`, at)
  }
  const pop = (): PickleValue.Value => (stack.length === 0 ? bad("the stack is empty", at) : stack.pop()!)
  const top = (): PickleValue.Value => (stack.length === 0 ? bad("the stack is empty", at) : stack.at(-1)!)
  /** The last values of the stack, in the order in which they were pushed. */
  const last = (count: 1 | 2 | 3): PickleValue.Value[] => Array.from({ length: count }, pop).reverse()
  const mark = (): void => {
    parked.push(stack)
    parkedValues += stack.length
    stack = []
    if (parked.length > MAX_STACK) unsafe(`more than ${MAX_STACK} marks`, at)
  }
  const popToMark = (): PickleValue.Value[] => {
    const items = stack
    stack = parked.pop() ?? bad("no MARK on the stack", at)
    parkedValues -= stack.length
    return items
  }
  const put = (slot: number): void => {
    memo.set(slot, top())
    if (memo.size > MAX_MEMO) unsafe(`more than ${MAX_MEMO} memo slots`, at)
  }
  const get = (slot: number): void => {
    const value = memo.get(slot)
    push(value === undefined ? bad(`memo slot ${slot} is not set`, at) : value)
  }
  const frame = (): void => {
    const length = PickleLiterals.u64(cursor)
    if (length > cursor.remaining()) bad(`a frame of ${length} bytes, but only ${cursor.remaining()} are left`, at)
  }

  const steps: Readonly<Record<number, () => void>> = {
    128: () => checkProtocol(cursor.byte(), at), // PROTO
    149: frame, // FRAME: a hint about buffering; the opcodes inside are read one by one
    40: mark, // MARK
    48: () => void (stack.length > 0 ? stack.pop() : popToMark()), // POP
    49: () => void popToMark(), // POP_MARK
    50: () => push(top()), // DUP
    116: () => push(PickleValue.tuple(popToMark())), // TUPLE
    133: () => push(PickleValue.tuple(last(1))), // TUPLE1
    134: () => push(PickleValue.tuple(last(2))), // TUPLE2
    135: () => push(PickleValue.tuple(last(3))), // TUPLE3
    108: () => push(PickleValue.list(popToMark())), // LIST
    145: () => push(PickleValue.set(popToMark())), // FROZENSET
    100: () => {
      // DICT
      const items = popToMark()
      push(PickleValue.dict())
      assign(top(), items, at)
    },
    97: () => {
      // APPEND
      const items = last(1)
      append(top(), items, "list", at)
    },
    101: () => {
      // APPENDS
      const items = popToMark()
      append(top(), items, "list", at)
    },
    144: () => {
      // ADDITEMS
      const items = popToMark()
      append(top(), items, "set", at)
    },
    115: () => {
      // SETITEM
      const items = last(2)
      assign(top(), items, at)
    },
    117: () => {
      // SETITEMS
      const items = popToMark()
      assign(top(), items, at)
    },
    103: () => get(PickleLiterals.slot(cursor, at)), // GET
    104: () => get(cursor.byte()), // BINGET
    106: () => get(PickleLiterals.u32(cursor)), // LONG_BINGET
    112: () => put(PickleLiterals.slot(cursor, at)), // PUT
    113: () => put(cursor.byte()), // BINPUT
    114: () => put(PickleLiterals.u32(cursor)), // LONG_BINPUT
    148: () => put(memo.size), // MEMOIZE
    99: () => {
      // GLOBAL
      const module = PickleLiterals.line(cursor)
      push(named(module, PickleLiterals.line(cursor), at))
    },
    147: () => {
      // STACK_GLOBAL
      const [module, name] = last(2) as [PickleValue.Value, PickleValue.Value]
      push(named(module, name, at))
    },
    82: () => {
      // REDUCE
      const [callee, args] = last(2) as [PickleValue.Value, PickleValue.Value]
      push(call(callee, args, at))
    },
    129: () => {
      // NEWOBJ
      const [callee, args] = last(2) as [PickleValue.Value, PickleValue.Value]
      push(call(callee, args, at))
    },
    98: () => {
      // BUILD
      const state = pop()
      AllowedGlobals.build(top(), state, at)
    },
    81: () => push(persistent(pop(), at)), // BINPERSID
  }

  if (cursor.byte() !== 0x80) bad("the pickle does not begin with its protocol", at)
  checkProtocol(cursor.byte(), at)
  for (let opcodes = 0; opcodes < MAX_OPCODES; opcodes++) {
    at = cursor.offset()
    const opcode = cursor.byte()
    if (opcode === 0x2e) {
      if (stack.length !== 1 || parked.length > 0) bad(`STOP with ${stack.length} values on the stack`, at)
      return stack[0]!
    }
    const literal = PickleLiterals.of(opcode)
    const step = steps[opcode]
    if (literal !== undefined) push(literal(cursor, at))
    else if (step !== undefined) step()
    else if (refused[opcode] !== undefined) unsafe(`the opcode ${refused[opcode]} is not allowed`, at)
    else bad(`unknown opcode 0x${opcode.toString(16).padStart(2, "0")}`, at)
  }
  return unsafe(`more than ${MAX_OPCODES} opcodes`, at)
}
