/** Python's values as JSON: `{"float": "nan"}` for numbers that JSON lacks, `{"integer": "…"}` for integers beyond 2^53. */

export type JsonValue =
  | (null | boolean | number | string)
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

export const number = (value: number): JsonValue =>
  Number.isFinite(value) ? value : { float: Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf" }

export const integer = (value: bigint): JsonValue =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : { integer: value.toString() }
