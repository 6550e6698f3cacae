/** A JSON object from an untrusted file. */
import { Failure } from "@adafm/core"
import type * as ByteSource from "./ByteSource.ts"

/** Bytes; model.json of the largest published TensorFlow.js models has 5 MB. */
const MAX_JSON = 100_000_000

export type JsonObject = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

export const parse = (source: ByteSource.Source): JsonObject => {
  if (source.size > MAX_JSON)
    return Failure.raise("BadHeader", `a JSON file of ${source.size} bytes; the limit is ${MAX_JSON}`, { offset: 0 })
  try {
    const json: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(source.read(0, source.size)))
    if (isObject(json)) return json
  } catch (thrown) {
    if (thrown instanceof Failure.Raised) throw thrown
    return Failure.raise("BadHeader", `not JSON: ${thrown instanceof Error ? thrown.message : String(thrown)}`, {
      offset: 0,
    })
  }
  return Failure.raise("BadHeader", "not a JSON object", { offset: 0 })
}
