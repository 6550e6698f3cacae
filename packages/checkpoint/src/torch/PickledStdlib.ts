/** Objects of Python's standard library that trainers save with their weights, read as text or numbers. */
import { Failure } from "@adafm/core"
import * as PickleValue from "./PickleValue.ts"

type Args = readonly PickleValue.Value[]

const bad: (message: string, offset: number) => never = (message, offset) =>
  Failure.raise("BadPickle", message, { offset })

/** Characters of a path; one long string may be used for many parts. */
const MAX_PATH = 65_536

/** `pathlib.PosixPath("/", "runs", "a")` */
export const path = (parts: Args, offset: number): PickleValue.Value => {
  let joined = ""
  for (const part of parts) {
    if (typeof part !== "string")
      return bad(`a path with the part ${PickleValue.describe(part)}; expected a string`, offset)
    if (joined.length + part.length > MAX_PATH) return bad(`a path longer than ${MAX_PATH} characters`, offset)
    joined = joined === "" || joined.endsWith("/") ? joined + part : `${joined}/${part}`
  }
  return joined
}

const two = (n: number): string => String(n).padStart(2, "0")

/** `datetime.datetime(bytes)`: year (two bytes), month, day, hour, minute, second, microsecond (three). A time zone is dropped. */
export const datetime = ([data]: Args, offset: number): PickleValue.Value => {
  if (!PickleValue.isTagged(data, "Bytes") || data.bytes.length !== 10) return bad("a malformed datetime", offset)
  const [high, low, month, day, hour, minute, second, a, b, c] = [...data.bytes] as [
    ...[number, number, number, number, number, number, number, number, number, number],
  ]
  const micros = String((a << 16) | (b << 8) | c).padStart(6, "0")
  return `${high * 256 + low}-${two(month & 0x7f)}-${two(day)}T${two(hour)}:${two(minute)}:${two(second)}.${micros}`
}

/** `datetime.date(bytes)` */
export const date = ([data]: Args, offset: number): PickleValue.Value => {
  if (!PickleValue.isTagged(data, "Bytes") || data.bytes.length !== 4) return bad("a malformed date", offset)
  const [high, low, month, day] = [...data.bytes] as [number, number, number, number]
  return `${high * 256 + low}-${two(month)}-${two(day)}`
}

/** `datetime.timedelta(days, seconds, microseconds)` in seconds */
export const timedelta = ([days = 0, seconds = 0, micros = 0]: Args, offset: number): PickleValue.Value =>
  [days, seconds, micros].every((n) => typeof n === "number")
    ? PickleValue.float((days as number) * 86_400 + (seconds as number) + (micros as number) / 1e6)
    : bad("a malformed timedelta", offset)

/** A subclass of `str`, such as PyTorch's version. */
export const text = ([value]: Args, offset: number): PickleValue.Value =>
  typeof value === "string" ? value : bad(`a string made of ${PickleValue.describe(value)}`, offset)
