/** PyTorch's zip container (since 1.6): `NAME/data.pkl`, and one stored member `NAME/data/KEY` for each storage. */
import { Failure } from "@adafm/core"
import * as DType from "../DType.ts"
import type * as TensorView from "../TensorView.ts"
import * as ZipReader from "../zip/ZipReader.ts"
import * as ByteCursor from "./ByteCursor.ts"
import * as PersistentId from "./PersistentId.ts"
import * as PickleMachine from "./PickleMachine.ts"
import type * as PickleValue from "./PickleValue.ts"

export interface Container {
  readonly object: PickleValue.Value
  /** Where the object's pickle begins in the file. */
  readonly at: number
  readonly directory: ZipReader.Directory
  readonly problems: readonly string[]
}

/** A key is a counter or a name, and part of a member's name. */
const KEY = /^[A-Za-z0-9_.-]{1,128}$/

/** The top folder of a PyTorch archive; undefined for other zip files. */
export const rootOf = (directory: ZipReader.Directory): string | undefined => {
  const roots = [...directory.members.keys()].flatMap((name) => /^([^/]+)\/data\.pkl$/.exec(name)?.[1] ?? [])
  return roots.length === 1 ? roots[0] : undefined
}

const byteOrder = (member: ZipReader.Member | undefined): "little" | "big" => {
  if (member === undefined) return "little"
  const text = member.size > 16 ? "" : new TextDecoder().decode(member.content.read(0, member.size)).trim()
  return text === "little" || text === "big"
    ? text
    : Failure.raise("BadZip", 'the member byteorder is neither "little" nor "big"', { path: member.name })
}

export const read = (directory: ZipReader.Directory, root: string): Container => {
  const record = (name: string): ZipReader.Member | undefined => directory.members.get(`${root}/${name}`)
  if (record("constants.pkl") !== undefined)
    return Failure.raise("UnsafePickle", "a TorchScript program, not a state dict: save model.state_dict() instead")
  const pickle = record("data.pkl")!
  ZipReader.verify(pickle)
  const bigEndian = byteOrder(record("byteorder")) === "big"
  const storages = new Map<string, TensorView.Storage>()
  const object = PickleMachine.read(ByteCursor.make(pickle.content), (id, offset) => {
    const { key, dtype, length, view } = PersistentId.parse(id, offset)
    const fail = (message: string): never => Failure.raise("BadStorage", message, { offset, path: `data/${key}` })
    if (view !== undefined) return fail("a view of a storage, which exists only in the legacy container")
    if (!KEY.test(key)) return fail(`the storage key ${JSON.stringify(key.slice(0, 80))} is not a plain file name`)
    const member = record(`data/${key}`) ?? fail("the zip file has no such member")
    const bytes = length * DType.bytesPerElement(dtype)
    if (member.size !== bytes)
      return fail(`${length} elements of ${dtype} take ${bytes} bytes, but the member has ${member.size}`)
    const known = storages.get(key)
    if (known !== undefined && known.dtype !== dtype)
      return fail(`one storage is used as ${known.dtype} and as ${dtype}`)
    const storage = known ?? { bytes: member.content, dtype, length, bigEndian, key }
    storages.set(key, storage)
    return { _tag: "Storage", storage }
  })
  const unused = [...directory.members.keys()].filter(
    (name) => name.startsWith(`${root}/data/`) && !storages.has(name.slice(root.length + 6)),
  )
  return {
    object,
    at: pickle.content.at,
    directory,
    problems: unused.map((name) => `${name} belongs to no tensor`),
  }
}
