/** Sum and largest magnitude of a tensor, computed piece by piece: exactly for integers, in float64 for floats. */
import { NdArray } from "@adafm/core"
import * as JsonValue from "./JsonValue.ts"

export interface Stats {
  readonly sum: JsonValue.JsonValue
  readonly absMax: JsonValue.JsonValue
}

/** So many elements have 32-bit halves whose sums are exact in float64. */
const EXACT = 1 << 20

const halfTables = new Map<"float16" | "bfloat16", Float64Array>()

/** The values of all 65,536 bit patterns. */
const tableOf = (dtype: "float16" | "bfloat16"): Float64Array => {
  const known = halfTables.get(dtype)
  if (known !== undefined) return known
  const bits = NdArray.make(
    dtype,
    [1 << 16],
    Uint16Array.from({ length: 1 << 16 }, (_, i) => i),
  )
  const table = NdArray.toFloat64(bits).data
  halfTables.set(dtype, table)
  return table
}

type Numbers = Float64Array | Float32Array | Uint16Array | Int32Array | Int16Array | Int8Array | Uint8Array

interface Totals {
  sum: number
  exact: bigint
  absMax: number
  absMaxExact: bigint
  nan: boolean
}

const addNumbers = (totals: Totals, data: Numbers, table: Float64Array | undefined): void => {
  let sum = 0
  let max = totals.absMax
  for (let i = 0; i < data.length; i++) {
    const value = table === undefined ? data[i]! : table[data[i]!]!
    sum += value
    const magnitude = Math.abs(value) // `value < 0 ? …` mispredicts on every other weight: five times slower
    if (magnitude > max) max = magnitude
  }
  // a NaN, or infinities of both signs, make the sum NaN; only a NaN makes the largest magnitude NaN
  if (Number.isNaN(sum))
    for (let i = 0; i < data.length && !totals.nan; i++)
      totals.nan = Number.isNaN(table === undefined ? data[i]! : table[data[i]!]!)
  totals.sum += sum
  totals.absMax = max
}

const addIntegers = (totals: Totals, data: BigInt64Array): void => {
  const words = new Int32Array(data.buffer, data.byteOffset, data.length * 2)
  for (let start = 0; start < data.length; start += EXACT) {
    let low = 0
    let high = 0
    for (let i = start; i < Math.min(data.length, start + EXACT); i++) {
      low += words[2 * i]! >>> 0
      high += words[2 * i + 1]!
    }
    totals.exact += BigInt(high) * 0x100000000n + BigInt(low)
  }
  for (const value of data) {
    const magnitude = value < 0n ? -value : value
    if (magnitude > totals.absMaxExact) totals.absMaxExact = magnitude
  }
}

export const of = (dtype: NdArray.DType, pieces: Iterable<NdArray.NdArray>): Stats => {
  const totals: Totals = { sum: 0, exact: 0n, absMax: 0, absMaxExact: 0n, nan: false }
  const table = dtype === "float16" || dtype === "bfloat16" ? tableOf(dtype) : undefined
  for (const { data } of pieces)
    if (data instanceof BigInt64Array) addIntegers(totals, data)
    else addNumbers(totals, data, table)
  return dtype === "int64"
    ? { sum: JsonValue.integer(totals.exact), absMax: JsonValue.integer(totals.absMaxExact) }
    : { sum: JsonValue.number(totals.sum), absMax: JsonValue.number(totals.nan ? Number.NaN : totals.absMax) }
}
