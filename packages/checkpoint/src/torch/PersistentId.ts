/** How a pickle names a storage: `("storage", class, key, location, number of elements[, view])`. */
import { Failure } from "@adafm/core"
import type * as DType from "../DType.ts"
import { storageDtypes } from "./AllowedGlobals.ts"
import * as PickleValue from "./PickleValue.ts"

export interface StorageId {
  readonly key: string
  readonly dtype: DType.DType
  /** Elements. */
  readonly length: number
  /** Device that the tensor lived on, e.g. `cuda:0`. */
  readonly location: string
  /** Files of PyTorch before 0.4: this storage is a part of another. */
  readonly view?: { readonly key: string; readonly offset: number; readonly length: number }
}

const isCount = (n: unknown): n is number => typeof n === "number" && Number.isSafeInteger(n) && n >= 0

export const parse = (id: PickleValue.Value, offset: number): StorageId => {
  const fail = (message: string): never => Failure.raise("BadStorage", message, { offset })
  if (!PickleValue.isTuple(id)) return fail(`expected a tuple as persistent id, found ${PickleValue.describe(id)}`)
  const [kind, type, key, location, length, view, ...rest] = id.items
  if (kind !== "storage") return fail(`a persistent id of kind ${PickleValue.describe(kind)}; only "storage" is known`)
  if (location === undefined || length === undefined || rest.length > 0)
    return fail(`a storage id of ${id.items.length} fields; expected 5 or 6`)
  const dtype = PickleValue.isTagged(type, "Global") ? storageDtypes.get(type.name) : undefined
  if (dtype === undefined) return fail(`a storage of the unknown class ${PickleValue.describe(type)}`)
  if (typeof key !== "string" || typeof location !== "string")
    return fail("the key and the location of a storage must be strings")
  if (!isCount(length)) return fail(`a storage of ${PickleValue.describe(length)} elements`)
  const id_ = { key, dtype, length, location }
  if (view === undefined || view === null) return id_
  const [viewKey, viewOffset, viewLength] = PickleValue.isTuple(view) ? view.items : []
  return typeof viewKey === "string" && isCount(viewOffset) && isCount(viewLength)
    ? { ...id_, view: { key: viewKey, offset: viewOffset, length: viewLength } }
    : fail("a malformed view of a storage")
}
