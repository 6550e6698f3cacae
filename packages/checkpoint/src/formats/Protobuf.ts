/** Protobuf messages, read field by field from a range of a file: large contents stay where they are. */
import { Failure } from "@adafm/core"
import type * as ByteSource from "../ByteSource.ts"

/** Fields of one message; a graph has one per node and initializer. */
const MAX_FIELDS = 5_000_000
/** Bytes of a name. */
const MAX_NAME = 4096

export interface Field {
  readonly number: number
  /** 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes. */
  readonly wire: number
  /** A varint's value, or where the content begins and ends. */
  readonly value: bigint
  readonly begin: number
  readonly end: number
}

export const bad = (message: string, offset: number): never => Failure.raise("BadProtobuf", message, { offset })

const varint = (source: ByteSource.Source, at: number, end: number): { value: bigint; next: number } => {
  const bytes = source.read(at, Math.min(10, end - at))
  let value = 0n
  for (let i = 0; i < bytes.length; i++) {
    value |= BigInt(bytes[i]! & 0x7f) << BigInt(7 * i)
    if (bytes[i]! < 0x80) return { value: BigInt.asUintN(64, value), next: at + i + 1 }
  }
  return bad("a varint without an end", source.at + at)
}

export function* fields(source: ByteSource.Source, begin: number, end: number): Generator<Field> {
  let at = begin
  for (let count = 0; at < end; count++) {
    if (count === MAX_FIELDS) bad(`more than ${MAX_FIELDS} fields`, at)
    const tag = varint(source, at, end)
    const number = Number(tag.value >> 3n)
    const wire = Number(tag.value & 7n)
    const content = wire === 0 || wire === 2 ? varint(source, tag.next, end) : { value: 0n, next: tag.next }
    const length = wire === 0 ? 0 : wire === 1 ? 8 : wire === 5 ? 4 : Number(content.value)
    if (number === 0 || ![0, 1, 2, 5].includes(wire))
      return bad(`field ${number} has wire type ${wire}; only 0, 1, 2 and 5 exist in ONNX`, at)
    if (content.next + length > end)
      return Failure.raise(
        "TruncatedFile",
        `a field of ${length} bytes at byte ${at} ends after its message, which ends at byte ${end}`,
        {
          offset: source.at + source.size,
        },
      )
    yield { number, wire, value: content.value, begin: content.next, end: content.next + length }
    at = content.next + length
  }
}

/** A repeated varint field, packed or not. */
export function* packed(source: ByteSource.Source, field: Field): Generator<bigint> {
  if (field.wire === 0) yield field.value
  for (let at = field.begin; field.wire === 2 && at < field.end; ) {
    const { value, next } = varint(source, at, field.end)
    yield BigInt.asIntN(64, value)
    at = next
  }
}

/** The text of a field; raises above 4 KiB. */
export const text = (source: ByteSource.Source, { begin, end }: Field): string =>
  end - begin > MAX_NAME
    ? bad(`a name of ${end - begin} bytes; the limit is ${MAX_NAME}`, source.at + begin)
    : new TextDecoder().decode(source.read(begin, end - begin))
