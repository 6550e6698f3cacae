/**
 * PyTorch's container before 1.6: five pickles in a row (magic number, version, system, object, storage keys), then for every
 * key an element count and the raw elements. The object is parsed before the places of its storages are known.
 */
import { Failure } from "@adafm/core"
import * as ByteSource from "../ByteSource.ts"
import * as DType from "../DType.ts"
import type * as TensorView from "../TensorView.ts"
import * as ByteCursor from "./ByteCursor.ts"
import * as PersistentId from "./PersistentId.ts"
import * as PickleMachine from "./PickleMachine.ts"
import * as PickleValue from "./PickleValue.ts"
import * as TensorsByPath from "./TensorsByPath.ts"

const MAGIC = 0x1950a86a20f9469cfc6cn
const VERSION = 1001
/** Storages of one file; the optimizer of a large model has some thousands. */
const MAX_STORAGES = 1_000_000

interface Slot {
  readonly id: PersistentId.StorageId
  readonly storage: TensorView.Storage
  /** Set once the storage keys are read. */
  bytes: ByteSource.Source | undefined
}

const noStorages: PickleMachine.Persistent = (_, offset) =>
  Failure.raise("BadPickle", "a storage outside the pickle of the object", { offset })

const bad: (message: string, offset: number) => never = (message, offset) =>
  Failure.raise("BadHeader", message, { offset })

const expectHeader = (cursor: ByteCursor.ByteCursor): void => {
  const at = cursor.offset()
  const magic = PickleMachine.read(cursor, noStorages)
  if (magic !== MAGIC)
    Failure.raise(
      "NotACheckpoint",
      "a pickle without PyTorch's magic number; of pickles, only files that torch.save wrote are supported",
      { offset: at },
    )
  const version = PickleMachine.read(cursor, noStorages)
  if (version !== VERSION)
    Failure.raise(
      "BadHeader",
      `version ${PickleValue.describe(version)} of PyTorch's legacy container; only ${VERSION} is known`,
      { offset: at },
    )
  const system = PickleMachine.read(cursor, noStorages)
  if (!PickleValue.isTagged(system, "Dict")) bad("the system record is missing", at)
  if (system.entries.get("little_endian") !== true)
    Failure.raise("BadHeader", "written on a big-endian machine: the byte order of the storages is ambiguous", {
      offset: at,
    })
}

/** A storage whose bytes are found only after the object is read. */
const slotOf = (id: PersistentId.StorageId): Slot => {
  const bytes = (): ByteSource.Source =>
    slot.bytes ?? Failure.raise("BadStorage", `the storage ${id.key} has no data in the file`, { path: id.key })
  const slot: Slot = {
    id,
    bytes: undefined,
    storage: {
      dtype: id.dtype,
      length: id.length,
      bigEndian: false,
      key: id.key,
      bytes: {
        size: id.length * DType.bytesPerElement(id.dtype),
        get at() {
          return bytes().at
        },
        read: (begin, length) => bytes().read(begin, length),
      },
    },
  }
  return slot
}

/** The part of a storage that a view of PyTorch before 0.4 covers. */
const partOf = (slot: Slot, view: NonNullable<PersistentId.StorageId["view"]>, offset: number): TensorView.Storage => {
  if (view.offset + view.length > slot.id.length)
    return Failure.raise("BadStorage", "a view that ends after its storage", { offset, path: slot.id.key })
  const size = DType.bytesPerElement(slot.id.dtype)
  return {
    ...slot.storage,
    length: view.length,
    key: `${slot.id.key}:${view.key}`,
    bytes: ByteSource.slice(slot.storage.bytes, view.offset * size, view.length * size),
  }
}

export interface Container {
  readonly object: PickleValue.Value
  /** Where the object's pickle begins in the file. */
  readonly at: number
}

export const open = (file: ByteSource.Source): Container => {
  const cursor = ByteCursor.make(file)
  expectHeader(cursor)
  const slots = new Map<string, Slot>()
  const objectAt = cursor.offset()
  const object = PickleMachine.read(cursor, (value, offset) => {
    const id = PersistentId.parse(value, offset)
    const slot = slots.get(id.key) ?? slotOf(id)
    if (slot.id.dtype !== id.dtype || slot.id.length !== id.length)
      Failure.raise(
        "BadStorage",
        `one storage is used as ${slot.id.length} elements of ${slot.id.dtype} and as ${id.length} of ${id.dtype}`,
        { offset, path: id.key },
      )
    if (slots.size >= MAX_STORAGES) Failure.raise("BadStorage", `more than ${MAX_STORAGES} storages`, { offset })
    slots.set(id.key, slot)
    return { _tag: "Storage", storage: id.view === undefined ? slot.storage : partOf(slot, id.view, offset) }
  })
  const keysAt = cursor.offset()
  const keys = PickleMachine.read(cursor, noStorages)
  if (!PickleValue.isTagged(keys, "List"))
    return Failure.raise("BadStorage", "the storage keys are not a list", { offset: keysAt })

  let at = cursor.position()
  for (const key of keys.items) {
    const slot = typeof key === "string" ? slots.get(key) : undefined
    const fail = (message: string): never =>
      Failure.raise("BadStorage", message, { offset: at, path: String(PickleValue.describe(key)) })
    if (slot === undefined) return fail("the storage belongs to no tensor, so its size is unknown")
    if (slot.bytes !== undefined) return fail("the storage is listed twice")
    const count = new DataView(file.read(at, 8).buffer).getBigInt64(0, true)
    if (count !== BigInt(slot.id.length))
      return fail(`the storage has ${count} elements in the file, but ${slot.id.length} in the object`)
    const size = slot.id.length * DType.bytesPerElement(slot.id.dtype)
    if (at + 8 + size > file.size)
      Failure.raise(
        "TruncatedFile",
        `a storage of ${size} bytes at byte ${at + 8}, but the data end at byte ${file.size}`,
        {
          offset: file.size,
          path: TensorsByPath.pathOf(object, slot.id.key) ?? slot.id.key,
        },
      )
    slot.bytes = ByteSource.slice(file, at + 8, size)
    at += 8 + size
  }
  for (const { id, bytes } of slots.values())
    if (bytes === undefined)
      Failure.raise("BadStorage", "a tensor uses the storage, but the file has no data for it", {
        path: id.key,
        offset: keysAt,
      })
  if (at !== file.size)
    Failure.raise("TrailingBytes", `the storages end at byte ${at}, but the file has ${file.size} bytes`, {
      offset: at,
    })
  return { object, at: objectAt }
}
