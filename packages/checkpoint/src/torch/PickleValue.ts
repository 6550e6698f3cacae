/** The values that the pickle machine can build: plain data, and tensors as views of storages that are not read yet. */
import type * as TensorView from "../TensorView.ts"

export type Key = string | number | bigint | boolean | null

export interface List {
  readonly _tag: "List"
  readonly kind: "list" | "tuple" | "set"
  readonly items: Value[]
}

/** A `record` is an object whose content are its attributes (`argparse.Namespace`), a `dtype` is NumPy's. */
export interface Dict {
  readonly _tag: "Dict"
  readonly kind: "dict" | "record" | "dtype"
  readonly entries: Map<Key, Value>
}

/** Distinct from integers, because a shape of floats is malformed. */
export interface Float {
  readonly _tag: "Float"
  readonly value: number
}

export interface Bytes {
  readonly _tag: "Bytes"
  readonly bytes: Uint8Array
}

/** A name from the allow-list. `call` is our function of plain data; nothing of Python is called. */
export interface Global {
  readonly _tag: "Global"
  readonly name: string
  readonly call?: (args: readonly Value[], offset: number) => Value
}

export interface Storage {
  readonly _tag: "Storage"
  readonly storage: TensorView.Storage
}

export interface Tensor {
  readonly _tag: "Tensor"
  readonly view: TensorView.View
}

/** A NumPy array, made empty and filled later: with a view, or with a description if its elements are no numbers. */
export interface Array_ {
  readonly _tag: "Array"
  content: TensorView.View | string | undefined
}

/** A `number` is an integer of at most 2^53. */
export type Value =
  | (null | boolean | number | bigint | string)
  | (Float | List | Dict | Bytes | Array_)
  | (Global | Storage | Tensor)

export const float = (value: number): Float => ({ _tag: "Float", value })
export const bytes = (data: Uint8Array): Bytes => ({ _tag: "Bytes", bytes: data })
export const list = (items: Value[]): List => ({ _tag: "List", kind: "list", items })
export const tuple = (items: Value[]): List => ({ _tag: "List", kind: "tuple", items })
export const set = (items: Value[]): List => ({ _tag: "List", kind: "set", items })
export const dict = (entries: Iterable<readonly [Key, Value]> = []): Dict => ({
  _tag: "Dict",
  kind: "dict",
  entries: new Map(entries),
})
export const record = (): Dict => ({ _tag: "Dict", kind: "record", entries: new Map() })
/** A NumPy type by its code; its byte order is set later. */
export const dtype = (code: string): Dict => ({ _tag: "Dict", kind: "dtype", entries: new Map([["dtype", code]]) })

export const isTuple = (value: Value | undefined): value is List => isTagged(value, "List") && value.kind === "tuple"

export const isTagged = <T extends Exclude<Value, Key>["_tag"]>(
  value: Value | undefined,
  tag: T,
): value is Extract<Value, { _tag: T }> => typeof value === "object" && value !== null && value._tag === tag

export const isKey = (value: Value): value is Key => typeof value !== "object" || value === null

/** A key as Python's `str` prints it. */
export const spell = (key: Key): string =>
  key === null ? "None" : typeof key === "boolean" ? (key ? "True" : "False") : String(key)

/** A few words for an error message. */
export const describe = (value: Value | undefined): string => {
  if (value === undefined) return "nothing"
  if (typeof value === "object" && value !== null)
    return value._tag === "Global"
      ? value.name
      : value._tag === "Float"
        ? `the float ${value.value}`
        : `a ${value._tag}`
  const text = typeof value === "string" ? JSON.stringify(value) : spell(value)
  return text.length > 60 ? `${text.slice(0, 60)}…` : text
}
