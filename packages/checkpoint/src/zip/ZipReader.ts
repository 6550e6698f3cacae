/**
 * The directory of a zip file, read without extracting anything. The file is not trusted: every size is compared with the file
 * and with the local headers, members may not overlap, names may not leave the folder.
 * https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
 */

import { Failure } from "@adafm/core"
import { crc32, inflateRawSync } from "#zip/Deflate"
import * as ByteSource from "../ByteSource.ts"
import * as MemberName from "./MemberName.ts"

export interface Member {
  readonly name: string
  /** Bytes after decompression. */
  readonly size: number
  /** Its content, decompressed on reading if it is deflated. */
  readonly content: ByteSource.Source
  /** Where its bytes are in the file, as they are stored. */
  readonly packed: { readonly at: number; readonly size: number }
  /** Why it cannot be read; only of readers that accept such members. */
  readonly problem?: string
  /** Absent if the file was written without checksums. */
  readonly crc32?: number
  readonly deflated: boolean
}

export interface Directory {
  readonly members: ReadonlyMap<string, Member>
  readonly problems: readonly string[]
}

/** What depends on the kind of zip file. */
export interface Kind {
  /** Most members. */
  readonly members: number
  /** Most bytes of the directory. */
  readonly directory: number
  /** The name of a member; undefined if it is not a plain relative path. */
  readonly nameOf: (stored: MemberName.Stored) => string | undefined
  /** Accepts members that cannot be read, as their reader may not want them. */
  readonly acceptsOthers: boolean
}

/** A checkpoint has one member per storage; Stable Diffusion XL has 2,500. Every member is part of the model. */
export const CHECKPOINT: Kind = {
  members: 100_000,
  directory: 1 << 26,
  nameOf: MemberName.strict,
  acceptsOthers: false,
}

/** Image sets have up to 3 million members, and other files among them. */
export const PICTURES: Kind = {
  members: 4_000_000,
  directory: 1 << 30,
  nameOf: MemberName.usual,
  acceptsOthers: true,
}

/** Bytes of a member's name: parameter names reach 200. */
const MAX_NAME = 1024
/** Deflate cannot compress more than this; a larger announced ratio is false. */
const MAX_RATIO = 1032
/** Bytes of one deflated member, which is inflated in memory. Stored members have no limit. */
const MAX_INFLATED = 1 << 30
/** All deflated members together, as a multiple of the file size: weights hardly compress, sparse ones tenfold. */
const MAX_INFLATED_TIMES = 100
/** Bytes that deflated members may always have: small files of zeros are legitimate. */
const INFLATED_ALLOWANCE = 1 << 24

const END = 22
const LOCATOR64 = 20
const END64 = 56
const MAX_COMMENT = 0xffff

interface Record {
  readonly name: string
  /** The bytes of the name as the directory has them. */
  readonly stored: Uint8Array
  readonly flags: number
  readonly method: number
  readonly crc32: number
  readonly packed: number
  readonly size: number
  readonly local: number
}

const bad = (message: string, offset: number, path?: string): never =>
  Failure.raise("BadZip", message, path === undefined ? { offset } : { offset, path })

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const u64 = (data: DataView, at: number): number => Number(data.getBigUint64(at, true))

/** The place of the directory, from the end record (and its zip64 form). */
const locate = (file: ByteSource.Source): { begin: number; size: number; count: number; end: number } => {
  const tailAt = Math.max(0, file.size - END - MAX_COMMENT)
  const tail = view(file.read(tailAt, file.size - tailAt))
  let at = tail.byteLength - END
  while (
    at >= 0 &&
    !(tail.getUint32(at, true) === 0x06054b50 && tail.getUint16(at + 20, true) === tail.byteLength - END - at)
  )
    at--
  if (at < 0)
    return Failure.raise("TruncatedFile", "no end record: the zip file is truncated", {
      offset: file.size,
    })
  const place = {
    begin: tail.getUint32(at + 16, true),
    size: tail.getUint32(at + 12, true),
    count: tail.getUint16(at + 10, true),
    end: tailAt + at,
  }
  if (tail.getUint16(at + 4, true) !== 0 && tail.getUint16(at + 4, true) !== 0xffff)
    return bad("one part of a zip file in several parts, which is not supported", place.end)
  // the zip64 record may be redundant: PyTorch always writes one
  const locatorAt = place.end - LOCATOR64
  const locator = locatorAt < 0 ? undefined : view(file.read(locatorAt, LOCATOR64))
  if (locator === undefined || locator.getUint32(0, true) !== 0x07064b50) return place
  const end64 = u64(locator, 8)
  if (end64 + END64 > locatorAt) return bad("the zip64 end record is not where its locator says", locatorAt)
  const record = view(file.read(end64, END64))
  if (record.getUint32(0, true) !== 0x06064b50) return bad("no zip64 end record where its locator says", end64)
  const wide = { begin: u64(record, 48), size: u64(record, 40), count: u64(record, 32), end: end64 }
  const agrees = (narrow: number, full: number, value: number): boolean => narrow === full || narrow === value
  return agrees(place.begin, 0xffffffff, wide.begin) &&
    agrees(place.size, 0xffffffff, wide.size) &&
    agrees(place.count, 0xffff, wide.count)
    ? wide
    : bad("the end record and its zip64 form disagree", end64)
}

const checkedName = (stored: MemberName.Stored, { nameOf }: Kind, offset: number): string => {
  const { bytes } = stored
  if (bytes.length > MAX_NAME) return bad(`a member name of ${bytes.length} bytes; the limit is ${MAX_NAME}`, offset)
  const name = nameOf(stored)
  if (name !== undefined) return name
  const path = new TextDecoder().decode(bytes)
  return Failure.raise("UnsafePath", `the member name ${JSON.stringify(path)} is not a plain relative path`, {
    offset,
    path,
  })
}

/** Extra field 1 holds, in this order, the sizes and the offset whose 32-bit fields are full. */
const widen = (extra: DataView, fields: readonly number[], offset: number): readonly number[] => {
  if (!fields.includes(0xffffffff)) return fields
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    if (extra.getUint16(at, true) !== 1) continue
    let next = at + 4
    const end = next + extra.getUint16(at + 2, true)
    return fields.map((field) => {
      if (field !== 0xffffffff) return field
      if (next + 8 > Math.min(end, extra.byteLength)) return bad("a zip64 field is missing", offset)
      next += 8
      return u64(extra, next - 8)
    })
  }
  return fields
}

const readRecords = (
  file: ByteSource.Source,
  kind: Kind,
): { records: readonly Record[]; end: number; begin: number } => {
  const place = locate(file)
  if (place.begin + place.size !== place.end)
    return bad(
      `the directory spans bytes ${place.begin} to ${place.begin + place.size}, but its end record is at byte ${place.end}`,
      place.end,
    )
  if (place.size > kind.directory || place.count > kind.members)
    return bad(
      `a directory of ${place.count} members in ${place.size} bytes; the limits are ${kind.members} and ${kind.directory}`,
      place.begin,
    )
  const data = view(file.read(place.begin, place.size))
  const records: Record[] = []
  let at = 0
  while (at < place.size) {
    const offset = place.begin + at
    if (at + 46 > place.size || data.getUint32(at, true) !== 0x02014b50)
      return bad("a directory entry is malformed", offset)
    const [nameSize, extraSize, commentSize] = [28, 30, 32].map((f) => data.getUint16(at + f, true)) as [
      number,
      number,
      number,
    ]
    if (at + 46 + nameSize + extraSize + commentSize > place.size) return bad("a directory entry is truncated", offset)
    const extra = new DataView(data.buffer, data.byteOffset + at + 46 + nameSize, extraSize)
    const [size, packed, local] = widen(
      extra,
      [24, 20, 42].map((f) => data.getUint32(at + f, true)),
      offset,
    ) as [number, number, number]
    const stored = new Uint8Array(data.buffer, data.byteOffset + at + 46, nameSize)
    const flags = data.getUint16(at + 8, true)
    records.push({
      name: checkedName({ bytes: stored, flags, extra }, kind, offset),
      stored,
      flags,
      method: data.getUint16(at + 10, true),
      crc32: data.getUint32(at + 16, true),
      packed,
      size,
      local,
    })
    at += 46 + nameSize + extraSize + commentSize
  }
  if (records.length !== place.count)
    return bad(`the directory has ${records.length} members, but the end record says ${place.count}`, place.end)
  return { records, begin: place.begin, end: place.end }
}

/** Compares a member with its local header and returns the place of its data. */
const place = (file: ByteSource.Source, record: Record, directoryAt: number): { begin: number; end: number } => {
  const { name, local } = record
  if (local + 30 > directoryAt)
    return bad(`local header at byte ${local}, but the members end at byte ${directoryAt}`, local, name)
  const bytes = file.read(local, Math.min(30 + record.stored.length, directoryAt - local))
  const header = view(bytes)
  if (header.getUint32(0, true) !== 0x04034b50) return bad(`no local header at byte ${local}`, local, name)
  const nameSize = header.getUint16(26, true)
  const begin = local + 30 + nameSize + header.getUint16(28, true)
  const end = begin + record.packed
  if (!(end <= directoryAt))
    return bad(`data end at byte ${end}, but the members end at byte ${directoryAt}`, begin, name)
  const own = bytes.subarray(30, 30 + nameSize)
  if (own.length !== record.stored.length || own.some((byte, i) => byte !== record.stored[i]))
    return bad(
      `the local header has another name: ${JSON.stringify(new TextDecoder().decode(own).slice(0, 200))}`,
      local,
      name,
    )
  if ((header.getUint16(6, true) & MemberName.UTF8) !== (record.flags & MemberName.UTF8))
    return bad("the local header has another encoding of the name", local, name)
  if (header.getUint16(8, true) !== record.method)
    return bad("the local header has another compression method", local, name)
  const sizes = [header.getUint32(18, true), header.getUint32(22, true)]
  const streamed = (record.flags & 8) !== 0
  if (
    !sizes.includes(0xffffffff) &&
    !(streamed && sizes.every((s) => s === 0)) &&
    (sizes[0] !== record.packed || sizes[1] !== record.size)
  )
    return bad(
      `the local header says ${sizes.join(" and ")} bytes, but the directory ${record.packed} and ${record.size}`,
      local,
      name,
    )
  return { begin, end }
}

const inflate = (packed: ByteSource.Source, record: Record): Uint8Array => {
  const fail = (why: string): never =>
    bad(`the member does not inflate to its ${record.size} bytes: ${why}`, packed.at, record.name)
  let bytes: Uint8Array
  try {
    bytes = inflateRawSync(packed.read(0, packed.size), { maxOutputLength: Math.max(1, record.size) })
  } catch (thrown) {
    if (thrown instanceof Failure.Raised) throw thrown
    return fail(thrown instanceof Error ? thrown.message : String(thrown))
  }
  return bytes.length === record.size ? bytes : fail(`it has ${bytes.length}`)
}

/** Why a member cannot be read. */
const problemOf = ({ flags, method, packed, size }: Record): string | undefined => {
  if (flags & 1) return "the member is encrypted, which is not supported"
  if (method !== 0 && method !== 8)
    return `compression method ${method}; only stored (0) and deflated (8) are supported`
  if (method === 0 && packed !== size)
    return `the member is stored, but its packed size is ${packed} bytes and its size ${size}`
  return method === 8 && (size > MAX_INFLATED || size > MAX_RATIO * packed)
    ? `the member inflates from ${packed} to ${size} bytes; the limits are ${MAX_RATIO} times and ${MAX_INFLATED} bytes`
    : undefined
}

const member = (
  file: ByteSource.Source,
  record: Record,
  at: { begin: number; end: number },
  hasChecksums: boolean,
  { acceptsOthers }: Kind,
): Member => {
  const { name, size, packed, method } = record
  const packedBytes = ByteSource.slice(file, at.begin, packed)
  const problem = problemOf(record)
  if (problem !== undefined && !acceptsOthers) return bad(problem, record.local, name)
  let last: WeakRef<Uint8Array> | undefined
  const decode = (): Uint8Array => {
    const bytes = last?.deref() ?? inflate(packedBytes, record)
    last = new WeakRef(bytes)
    return bytes
  }
  return {
    name,
    size,
    ...(hasChecksums && { crc32: record.crc32 }),
    deflated: method === 8,
    packed: { at: at.begin, size: packed },
    ...(problem !== undefined && { problem }),
    content: method === 0 ? packedBytes : ByteSource.decoded(size, at.begin, decode),
  }
}

/** Reads and checks the directory of a whole zip file. */
export const read = (file: ByteSource.Source, kind: Kind = CHECKPOINT): Directory => {
  const { records, begin: directoryAt } = readRecords(file, kind)
  const members = new Map<string, Member>()
  // PyTorch writes zeros everywhere after torch.serialization.set_crc32_options(False)
  const hasChecksums = records.length < 2 || records.some(({ crc32 }) => crc32 !== 0)
  const placed = records.map((record) => ({ record, ...place(file, record, directoryAt) }))
  for (const { record, begin, end } of placed) {
    if (members.has(record.name)) return bad("two members have the same name", record.local, record.name)
    members.set(record.name, member(file, record, { begin, end }, hasChecksums, kind))
  }
  let at = 0
  for (const { record, end } of placed.toSorted((a, b) => a.record.local - b.record.local)) {
    if (record.local < at)
      return bad(`the member overlaps the one before it, which ends at byte ${at}`, record.local, record.name)
    at = end
  }
  const inflated = records.reduce((n, { method, size }) => (method === 8 ? n + size : n), 0)
  if (!kind.acceptsOthers && inflated > MAX_INFLATED_TIMES * file.size + INFLATED_ALLOWANCE)
    return bad(`the members inflate to ${inflated} bytes, more than ${MAX_INFLATED_TIMES} times the file`, directoryAt)
  return { members, problems: hasChecksums ? [] : ["written without checksums: a flipped bit would not be noticed"] }
}

/** The buffer in which every checksum is computed. */
const BLOCK = new Uint8Array(1 << 20)

/** Compares a member's bytes with its checksum, piece by piece. */
export const verify = (member: Member): void => {
  const { content, size } = member
  if (member.crc32 === undefined) return
  let sum = 0
  for (let done = 0; done < size; done += BLOCK.length)
    sum = crc32(content.read(done, Math.min(BLOCK.length, size - done), BLOCK), sum)
  if (sum >>> 0 !== member.crc32)
    Failure.raise(
      "BadChecksum",
      `the CRC-32 is ${hex(sum)}, but the directory says ${hex(member.crc32)}: the file is damaged`,
      {
        path: member.name,
        offset: member.content.at,
      },
    )
}

const hex = (n: number): string => (n >>> 0).toString(16).padStart(8, "0")
