/** What every format's reader answers: tensors as views, everything else as plain JSON. */
import { Failure, type Flat } from "@adafm/core"
import type * as TensorView from "./TensorView.ts"

export type Format = "torch-legacy" | "torch-zip" | "safetensors" | "npz" | "onnx" | "tfjs"

/** JSON, with `{"float": "nan"}` for what JSON numbers cannot say and `{"integer": "…"}` for integers beyond 2^53. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export interface Contents {
  readonly format: Format
  readonly views: Flat.Flat<TensorView.View>
  readonly scalars: Flat.Flat<Json>
  /** Key-value text of formats that have it (safetensors). */
  readonly metadata: Readonly<Record<string, string>>
  /** Harmless oddities. Whatever is not harmless is a failure. */
  readonly problems: readonly string[]
  /** Checks the bytes that no tensor needs (checksums of other members); raises. */
  readonly verify: () => void
}

export const number = (value: number): Json =>
  Number.isFinite(value) ? value : { float: Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf" }

export const integer = (value: bigint): Json =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : { integer: value.toString() }

/** Adds an entry; two things under one path cannot be told apart later, so the second is refused. */
export const put = <A>(record: Record<Flat.Path, A>, path: Flat.Path, value: A): void => {
  if (path in record) Failure.raise("DuplicatePath", "two entries of the file have this path", { path })
  record[path] = value
}

/** Elements of views that repeat their storage, all together: reading them costs time that the file's size does not show. */
const MAX_REPEATED_TOTAL = 1 << 24

/** Raises where many repeated views of a small file add up. */
export const checkRepeats = (views: Flat.Flat<TensorView.View>): void => {
  let repeated = 0
  for (const [path, { shape, storage }] of Object.entries(views)) {
    const elements = shape.reduce((n, d) => n * d, 1)
    if (elements > storage.length) repeated += elements
    if (repeated > MAX_REPEATED_TOTAL)
      Failure.raise("BadTensor", `with this one repeated views of more than ${MAX_REPEATED_TOTAL} elements`, {
        path,
        offset: storage.bytes.at,
      })
  }
}
