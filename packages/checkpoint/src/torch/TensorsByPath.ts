/** The tensors and scalars of a PyTorch file by path: the keys and list indices of the nested object, joined with `/`. */
import { Failure, Flat } from "@adafm/core"
import * as JsonValue from "../JsonValue.ts"
import * as TensorView from "../TensorView.ts"
import * as UniquePaths from "../UniquePaths.ts"
import * as PickleValue from "./PickleValue.ts"

/** Levels of nesting; the checkpoint of a trainer has five. */
const MAX_DEPTH = 200
/** Values visited. A few bytes can describe a huge tree through shared lists. */
const MAX_VISITS = 5_000_000
/** Characters of a path. */
const MAX_PATH = 4096

export interface TensorsByPath {
  readonly views: Flat.Flat<TensorView.View>
  readonly scalars: Flat.Flat<JsonValue.JsonValue>
}

/** The path in a checkpoint that is a single tensor or a single value. */
const ROOT = "value"

const whole = ({ storage }: PickleValue.Storage): TensorView.View =>
  TensorView.dense(storage, [storage.length], storage.key)

export const of = (object: PickleValue.Value): TensorsByPath => {
  const views = Flat.empty<TensorView.View>()
  const scalars = Flat.empty<JsonValue.JsonValue>()
  let visits = 0

  const visit = (depth: number, path: string): void => {
    if (depth > MAX_DEPTH)
      Failure.raise("UnsafePickle", `nested deeper than ${MAX_DEPTH}`, { path: path.slice(0, 200) })
    if (++visits > MAX_VISITS)
      Failure.raise("UnsafePickle", `more than ${MAX_VISITS} values`, { path: path.slice(0, 200) })
    if (path.length > MAX_PATH) Failure.raise("UnsafePickle", `a path longer than ${MAX_PATH} characters`)
  }
  /** A value as JSON; `undefined` if it contains tensors or mappings. */
  const plain = (value: PickleValue.Value, depth: number, path: string): JsonValue.JsonValue | undefined => {
    visit(depth, path)
    if (typeof value === "bigint") return JsonValue.integer(value)
    if (typeof value !== "object" || value === null) return value
    if (value._tag === "Float") return JsonValue.number(value.value)
    if (value._tag === "Bytes") return { bytes: value.bytes.length }
    if (value._tag === "Global") return value.name
    if (value._tag === "Array" && typeof value.content !== "object") return value.content ?? "numpy array"
    if (value._tag !== "List") return undefined
    const items: JsonValue.JsonValue[] = []
    for (const item of value.items) {
      const json = plain(item, depth + 1, path)
      if (json === undefined) return undefined
      items.push(json)
    }
    return items
  }
  const go = (value: PickleValue.Value, path: string, depth: number): void => {
    visit(depth, path)
    const below = (key: PickleValue.Key): string =>
      path === "" ? PickleValue.spell(key) : `${path}/${PickleValue.spell(key)}`
    if (PickleValue.isTagged(value, "Tensor")) UniquePaths.add(views, path || ROOT, value.view)
    else if (PickleValue.isTagged(value, "Array") && typeof value.content === "object")
      UniquePaths.add(views, path || ROOT, value.content)
    else if (PickleValue.isTagged(value, "Storage")) UniquePaths.add(views, path || ROOT, whole(value))
    else if (PickleValue.isTagged(value, "Dict"))
      for (const [key, item] of value.entries) go(item, below(key), depth + 1)
    else {
      const json = plain(value, depth, path)
      if (json !== undefined) UniquePaths.add(scalars, path || ROOT, json)
      else if (PickleValue.isTagged(value, "List"))
        for (const [i, item] of value.items.entries()) go(item, below(i), depth + 1)
    }
  }
  go(object, "", 0)
  for (const path of Object.keys(scalars))
    if (path in views) Failure.raise("DuplicatePath", "two entries of the file have this path", { path })
  return { views, scalars }
}

/** The path of the first tensor over a storage, for error messages. */
export const pathOf = (object: PickleValue.Value, storageKey: string): string | undefined =>
  Object.entries(of(object).views).find(([, { storage }]) => storage.key === storageKey)?.[0]
