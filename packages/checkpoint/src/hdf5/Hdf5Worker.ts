/**
 * A thread that reads one HDF5 file at a time with h5wasm (the HDF5 library as WebAssembly). It sees no file system: the bytes come
 * from the thread that asks. So a file that keeps the library busy for ever can be given up, and its links lead nowhere.
 */
import { type MessagePort, receiveMessageOnPort, workerData } from "node:worker_threads"
import * as h5 from "h5wasm"
import type * as Messages from "./Hdf5Messages.ts"

const { port, signals } = workerData as { readonly port: MessagePort } & Messages.Shared
const [asking, reading] = [new Int32Array(signals, 0, 1), new Int32Array(signals, 4, 1)]

/** Bytes of WebAssembly memory; a dataset is read as a whole. */
const MAX_MEMORY = 600 * 2 ** 20
const MAX_OBJECTS = 20_000
const MAX_DEPTH = 32
/** Bytes of all attributes; `model_config` of large models has a few hundred kilobytes. */
const MAX_TEXT = 64 * 2 ** 20
const BLOCK = 1 << 16

/** What this project's types lack of WebAssembly. */
interface Memory {
  readonly buffer: ArrayBuffer
  grow: (this: Memory, pages: number) => number
}
const { prototype } = (globalThis as unknown as { WebAssembly: { Memory: { prototype: Memory } } }).WebAssembly.Memory
const { grow } = prototype
prototype.grow = function (pages) {
  if (this.buffer.byteLength + pages * 65536 > MAX_MEMORY) throw new RangeError("out of memory")
  return grow.call(this, pages)
}

const say = (reply: Messages.Reply): void => {
  port.postMessage(reply)
  Atomics.add(asking, 0, 1)
  Atomics.notify(asking, 0)
}

const hear = (): unknown => {
  for (;;) {
    const received = receiveMessageOnPort(port)
    if (received !== undefined) return received.message
    Atomics.wait(reading, 0, Atomics.load(reading, 0), 1000)
  }
}

/** The last blocks that were read, by number. */
const blocks = new Map<number, Uint8Array>()
let size = 0

const block = (index: number): Uint8Array => {
  const known = blocks.get(index)
  if (known !== undefined) return known
  const begin = index * BLOCK
  say({ kind: "need", begin, length: Math.min(BLOCK, size - begin) })
  const bytes = hear() as Uint8Array
  if (blocks.size > 256) blocks.delete(blocks.keys().next().value!)
  blocks.set(index, bytes)
  return bytes
}

/** Copies `[begin, begin + length)` of the file, as far as it goes; returns the number of bytes. */
const copy = (into: Uint8Array, begin: number, length: number): number => {
  const end = Math.min(size, begin + length)
  for (let at = begin; at < end; ) {
    const index = Math.floor(at / BLOCK)
    const from = at - index * BLOCK
    const bytes = block(index).subarray(from, from + end - at)
    into.set(bytes, at - begin)
    at += bytes.length
  }
  return Math.max(0, end - begin)
}

const NAME = "/file.h5"

interface Stream {
  usedBytes: number
  stream_ops: object
}

/** The file in the library's own file system, which has nothing else. */
const mount = async (): Promise<void> => {
  const { FS } = (await h5.ready) as unknown as {
    FS: { writeFile: (name: string, bytes: Uint8Array) => void; lookupPath: (name: string) => { node: Stream } }
  }
  FS.writeFile(NAME, new Uint8Array(0))
  const { node } = FS.lookupPath(NAME)
  Object.defineProperty(node, "usedBytes", { get: () => size, set: () => undefined })
  node.stream_ops = {
    ...node.stream_ops,
    read: (_: unknown, into: Uint8Array, offset: number, length: number, position: number) =>
      copy(into.subarray(offset, offset + length), position, length),
  }
}

const textsOf = (value: unknown): string | readonly string[] | undefined => {
  if (typeof value === "string") return value
  return Array.isArray(value) && value.every((v) => typeof v === "string") ? (value as string[]) : undefined
}

let texts = 0
const attributesOf = (object: h5.Group | h5.Dataset): Messages.Listed["attributes"] => {
  const found: Record<string, string | readonly string[]> = Object.create(null)
  for (const [name, attribute] of Object.entries(object.attrs)) {
    const value = textsOf(attribute.value)
    if (value === undefined) continue
    texts += name.length + (typeof value === "string" ? value.length : value.reduce((n, v) => n + v.length, 0))
    if (texts > MAX_TEXT) throw new Error(`its attributes have more than ${MAX_TEXT} characters, which is the limit`)
    found[name] = value
  }
  return found
}

const TYPES: Readonly<Record<number, string>> = { 0: "i", 1: "f" }

const list = (file: h5.File): readonly Messages.Listed[] => {
  const entries: Messages.Listed[] = [{ path: "", kind: "group", attributes: attributesOf(file) }]
  const visit = (group: h5.Group, prefix: string, depth: number): void => {
    if (depth > MAX_DEPTH) throw new Error(`its groups are nested more than ${MAX_DEPTH} deep, which is the limit`)
    for (const name of group.keys()) {
      const path = `${prefix}${name}`
      if (entries.length > MAX_OBJECTS) throw new Error(`it has more than ${MAX_OBJECTS} objects, which is the limit`)
      const object = group.get(name)
      if (object instanceof h5.Group) {
        entries.push({ path, kind: "group", attributes: attributesOf(object) })
        visit(object, `${path}/`, depth + 1)
      } else if (object instanceof h5.Dataset) {
        const { type, size: bytes, signed, littleEndian } = object.metadata
        const shape = object.shape ?? []
        const named = { type: TYPES[type] ?? `type ${type}`, bytes, signed, littleEndian }
        entries.push({ path, kind: "dataset", shape, ...named, attributes: attributesOf(object) })
      } else entries.push({ path, kind: "other", attributes: {} })
    }
  }
  visit(file, "", 0)
  return entries
}

let file: h5.File | undefined

const answer = (request: Messages.Request): void => {
  if (request.kind === "list") {
    file?.close()
    file = undefined
    blocks.clear()
    texts = 0
    size = request.size
    file = new h5.File(NAME, "r")
    say({ kind: "listed", entries: list(file) })
    return
  }
  const dataset = file?.get(request.path)
  if (!(dataset instanceof h5.Dataset)) throw new Error(`${request.path} is no dataset`)
  const { value } = dataset
  if (!ArrayBuffer.isView(value) && typeof value !== "number" && typeof value !== "bigint")
    throw new Error(`${request.path} holds no numbers`)
  // a scalar's raw bytes come with its first element's
  const array = ArrayBuffer.isView(value) ? value : scalar(dataset, value)
  say({ kind: "values", bytes: new Uint8Array(array.buffer, array.byteOffset, array.byteLength) })
}

const scalar = ({ metadata }: h5.Dataset, value: number | bigint): ArrayBufferView => {
  if (metadata.type === 1) return metadata.size === 8 ? Float64Array.of(Number(value)) : Float32Array.of(Number(value))
  return metadata.size === 8 ? BigInt64Array.of(BigInt(value)) : Int32Array.of(Number(value)).subarray(0, 1)
}

await mount()
say({ kind: "ready" })
for (;;) {
  const request = hear() as Messages.Request
  try {
    answer(request)
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown)
    const isFatal = !(thrown instanceof Error) || thrown.name === "RuntimeError" || thrown instanceof RangeError
    say({ kind: "failed", message, isFatal })
  }
}
