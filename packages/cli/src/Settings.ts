/**
 * Settings of a training job, from three places: a YAML file (`--config`), `--set key=value`, and flags, the later ones
 * winning. All of them speak of the same keys, the flags' long names: `limit-per-class: 20`, `--set limit-per-class=20`,
 * `--limit-per-class 20`.
 */
import { Failure, Files } from "@adafm/core"
import type { Command } from "commander"
import YAML from "yaml"
import { z } from "zod"
import { decode, Globals, usage } from "./Verb.ts"

type Values = Readonly<Record<string, unknown>>

/** `limit-per-class` → `limitPerClass`, as commander has it. */
const camel = (key: string): string => key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
const camelKeys = (values: Values): Values =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [camel(key), value]))

const ofFile = async (file: string): Promise<Values> => {
  const text = new TextDecoder().decode(await Failure.orThrow(Files.read(file)))
  let value: unknown
  try {
    value = YAML.parse(text, { maxAliasCount: 100 })
  } catch (thrown) {
    return Failure.raise("BadConfig", thrown instanceof Error ? thrown.message : String(thrown), { file })
  }
  const isRecord = typeof value === "object" && value !== null && !Array.isArray(value)
  return isRecord
    ? camelKeys(value as Values)
    : Failure.raise("BadConfig", "expected settings, one `key: value` a line", { file })
}

const ofAssignment = (text: string): readonly [string, unknown] => {
  const at = text.indexOf("=")
  if (at <= 0) return usage(`--set takes key=value, found ${text}`)
  const key = text.slice(0, at).trim()
  if (key === "json") return usage("--json is a flag of its own, not one of --set")
  try {
    return [camel(key), YAML.parse(text.slice(at + 1), { maxAliasCount: 100 })]
  } catch (thrown) {
    return usage(`--set ${key}: ${thrown instanceof Error ? thrown.message : thrown}`)
  }
}

/** Fits the schema, or names the file and the key. How failures are told is known before the file is read: `json` is no setting. */
const checkFile = (schema: z.ZodObject, values: Values, file: string): void => {
  const parsed = schema.omit({ json: true }).partial().strict().safeParse(values)
  if (!parsed.success)
    Failure.raise("BadConfig", z.prettifyError(parsed.error), {
      file,
      ...(parsed.error.issues[0] !== undefined && { path: parsed.error.issues[0].path.join("/") }),
    })
}

/** @param shape the settings, with defaults for what may be left out */
export const gather = async <const S extends z.ZodRawShape>(
  shape: S,
  command: Command,
): Promise<z.output<z.ZodObject<S>> & Globals> => {
  const { config, set = [], ...flags } = command.optsWithGlobals<{ config?: string; set?: readonly string[] }>()
  const all = z.strictObject({ ...Globals.shape, ...shape })
  const fromFile = config === undefined ? {} : await ofFile(config)
  if (config !== undefined) checkFile(all, fromFile, config)
  const assigned = Object.fromEntries(set.map(ofAssignment))
  return decode(all, { ...fromFile, ...assigned, ...flags }) as z.output<z.ZodObject<S>> & Globals
}
