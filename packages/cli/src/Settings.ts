/**
 * Settings of a training job, from three places: a YAML file or the `config.json` of a run (`--config`), `--set key=value`, and flags. Later places override
 * earlier ones. The keys are the flags' long names everywhere: `limit-per-class: 20`, `--set limit-per-class=20`,
 * `--limit-per-class 20`.
 */
import { Failure, Files, YamlText } from "@adafm/core"
import type { Command } from "commander"
import * as E from "fp-ts/lib/Either.js"
import { z } from "zod"
import { decode, Globals, kebab, refusal, usage } from "./Verb.ts"

type Values = Readonly<Record<string, unknown>>

/** `limit-per-class` → `limitPerClass`, commander's form of a flag. */
export const camel = (key: string): string => key.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase())
const camelKeys = (values: Values): Values =>
  Object.fromEntries(Object.entries(values).map(([key, value]) => [camel(key), value]))

const isRecord = (value: unknown): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The settings that the `config.json` of a run records. */
const ofRun = ({ kind, made }: Values, verb: string, file: string): Values => {
  if (kind !== verb)
    Failure.raise("BadConfig", `this is the config.json of a run of ${kind}: repeat it with adafm ${kind}`, { file })
  const settings = isRecord(made) ? made.settings : undefined
  return isRecord(settings)
    ? settings
    : Failure.raise(
        "BadConfig",
        "this config.json of a run does not record the run's settings: it was written by an older version, or not by the command",
        { file, path: "made.settings" },
      )
}

/** The settings of one run of a sweep. */
const ofSweep = ({ cells }: Values, task: unknown, file: string): Values => {
  const all = Array.isArray(cells) ? (cells as readonly unknown[]) : []
  const cell = all[Number(task ?? Number.NaN)]
  return isRecord(cell) && isRecord(cell.settings)
    ? cell.settings
    : Failure.raise("BadConfig", `this file lists ${all.length} runs: give --task 0 to ${all.length - 1}`, { file })
}

/** @param verb whose settings the file should hold @param task which run of a sweep */
const ofFile = async (file: string, verb: string, task: unknown): Promise<Values> => {
  const text = await Failure.orThrow(Files.readText(file))
  const parsed = YamlText.parse(text)
  if (E.isLeft(parsed)) return Failure.raise("BadConfig", parsed.left.message, { file })
  const value = parsed.right
  if (!isRecord(value)) return Failure.raise("BadConfig", "expected settings, a line `key: value` for each", { file })
  if (value.kind === "sweep") return camelKeys(ofSweep(value, task, file))
  return camelKeys(value.kind === "transfer" || value.kind === "pretrain" ? ofRun(value, verb, file) : value)
}

const ofAssignment = (text: string): readonly [string, unknown] => {
  const at = text.indexOf("=")
  if (at <= 0) return usage(`--set ${text}: expected key=value`)
  const key = text.slice(0, at).trim()
  if (key === "json") return usage("--set json: give the flag --json instead")
  const parsed = YamlText.parse(text.slice(at + 1))
  return E.isLeft(parsed) ? usage(`--set ${key}: ${parsed.left.message}`) : [camel(key), parsed.right]
}

/** Refuses a file that does not fit the schema. `json` is no setting: how to print a failure is known before the file is read. */
const checkFile = (schema: z.ZodObject, values: Values, file: string): void => {
  const { error } = schema.omit({ json: true }).partial().strict().safeParse(values)
  const [first] = error?.issues ?? []
  if (error === undefined || first === undefined) return
  const key = first.code === "unrecognized_keys" ? first.keys[0] : first.path[0]
  Failure.raise("BadConfig", error.issues.map((issue) => refusal(issue, values, kebab)).join("; "), {
    file,
    ...(key !== undefined && { path: kebab(String(key)) }),
  })
}

/** The settings' files, and which settings are from them: a refusal of such a setting names the file. */
const origins = new WeakMap<object, { readonly file: string; readonly keys: readonly string[] }>()

/** The file of `--config`, if any of these settings is from it. */
export const fileOf = (options: object, keys: readonly string[]): string | undefined => {
  const origin = origins.get(options)
  return origin?.keys.some((key) => keys.includes(key)) ? origin.file : undefined
}

/** @param shape the settings, with defaults for those that are optional */
export const gather = async <const S extends z.ZodRawShape>(
  shape: S,
  command: Command,
): Promise<z.output<z.ZodObject<S>> & Globals> => {
  const {
    config,
    task,
    set = [],
    ...flags
  } = command.optsWithGlobals<{
    config?: string
    task?: string
    set?: readonly string[]
  }>()
  if (task !== undefined && config === undefined) usage("--task belongs to --config FILE of a sweep")
  const all = z.strictObject({ ...Globals.shape, ...shape })
  const fromFile = config === undefined ? {} : await ofFile(config, command.name(), task)
  if (config !== undefined) checkFile(all, fromFile, config)
  const assigned = Object.fromEntries(set.map(ofAssignment))
  const options = decode(all, { ...fromFile, ...assigned, ...flags }) as z.output<z.ZodObject<S>> & Globals
  const keys = Object.keys(fromFile).filter((key) => !(key in assigned) && !(key in flags))
  if (config !== undefined) origins.set(options, { file: config, keys })
  return options
}
