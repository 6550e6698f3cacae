/** A verb of the command: the names and meanings of its flags, and one function from their values to an answer. */
import { Failure } from "@adafm/core"
import type { Engine } from "@adafm/engine"
import { type Command, InvalidArgumentError } from "commander"
import { z } from "zod"
import * as Terminal from "./Terminal.ts"
import * as Values from "./Values.ts"

export const ENGINES = ["onnx", "tensorflow", "wasm", "cpu"] as const satisfies readonly Engine["name"][]

/** Flags that every verb takes. */
export const Globals = z.strictObject({
  json: Values.flag.default(false),
  seed: Values.integer.default(0),
  engine: z.exactOptional(z.enum(ENGINES)),
  provider: z.exactOptional(Values.text),
  threads: z.exactOptional(Values.threads),
})
export type Globals = z.output<typeof Globals>

export const globals: readonly (readonly [string, string])[] = [
  ["--json", "print one JSON document on stdout, and nothing else there"],
  ["--seed <n>", "seed of every random draw (default 0)"],
  ["--engine <name>", "onnx, tensorflow, wasm or cpu (default: the first that works here; see doctor)"],
  ["--provider <name>", "execution provider of the onnx engine: cpu, cuda, webgpu, … (default cpu)"],
  ["--threads <n>", "processor threads (default: one for each core)"],
]

export interface Answer {
  readonly json: unknown
  readonly text: string
  /** Exit code, 0 by default. */
  readonly code?: number
}

export interface Given<S extends z.ZodRawShape> {
  readonly files: readonly string[]
  readonly options: z.output<z.ZodObject<S>> & Globals
  readonly terminal: Terminal.Terminal
}

export interface Verb<S extends z.ZodRawShape = z.ZodRawShape> {
  readonly name: string
  readonly about: string
  /** Positional arguments in commander's notation, separated by spaces. */
  readonly files?: string
  /** In commander's notation. `collect` makes one value of a flag that may be given more than once. */
  readonly flags: readonly (readonly [
    flags: string,
    about: string,
    collect?: (value: string, before?: readonly string[]) => readonly string[],
  ])[]
  readonly shape: S
  /** Reads the options; from the flags alone by default. */
  readonly read?: (shape: S, command: Command) => Promise<z.output<z.ZodObject<S>> & Globals>
  readonly run: (given: Given<S>) => Promise<Answer>
}

/** Wrong arguments: exit code 2. */
export const usage = (message: string): never => {
  throw new InvalidArgumentError(message)
}

/** `a, b, or c` */
const either = new Intl.ListFormat("en", { type: "disjunction" })

/** `limitPerClass` → `limit-per-class` */
export const kebab = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

/**
 * Why a value was refused, for people.
 * @param values by key, as they were given
 * @param nameOf what people call a key: a flag, or the key of a file
 */
export const refusal = (
  issue: z.core.$ZodIssue,
  values: Readonly<Record<string, unknown>>,
  nameOf = (key: string): string => `--${kebab(key)}`,
): string => {
  if (issue.code === "unrecognized_keys")
    return `unknown setting ${issue.keys.map(kebab).join(", ")}: settings have the names of the flags, see --help`
  const [key, index] = issue.path
  if (key === undefined) return issue.message
  const [name, given] = [nameOf(String(key)), values[String(key)]]
  if (given === undefined) return `${name} is required`
  const parts: unknown = typeof given === "string" ? given.split(",") : given
  const found: unknown = typeof index === "number" && Array.isArray(parts) ? parts[index] : given
  const expected =
    issue.code === "invalid_value" ? `expected ${either.format(issue.values.map(String))}` : issue.message
  return `${name}: ${expected}, found ${typeof found === "string" ? found || "nothing" : JSON.stringify(found)}`
}

/** Options as their schema reads them; a value that does not fit is a wrong argument. */
export const decode = <S extends z.ZodType>(schema: S, values: Readonly<Record<string, unknown>>): z.output<S> => {
  const parsed = schema.safeParse(values)
  return parsed.success ? parsed.data : usage(parsed.error.issues.map((issue) => refusal(issue, values)).join("; "))
}

/** Adds a verb to the program. */
export const add = <const S extends z.ZodRawShape>(
  program: Command,
  verb: Verb<S>,
  streams: Terminal.Streams,
  answer: (answer: Answer, json: boolean) => Promise<void>,
): void => {
  const command = program.command(verb.name).description(verb.about)
  if (verb.files !== undefined) command.arguments(verb.files)
  for (const [flags, about, collect] of verb.flags)
    if (collect === undefined) command.option(flags, about)
    else command.option(flags, about, collect)
  command.action(async () => {
    const schema = z.strictObject({ ...Globals.shape, ...verb.shape })
    const options =
      (await verb.read?.(verb.shape, command)) ?? (decode(schema, command.optsWithGlobals()) as Given<S>["options"])
    await answer(await verb.run({ files: command.args, options, terminal: Terminal.open(streams) }), options.json)
  })
}

/** The engine that the flags choose. */
export const engineOf = async (options: Pick<Globals, "engine" | "provider" | "threads">): Promise<Engine> => {
  const { Doctor } = await import("@adafm/job")
  return Failure.orThrow(Doctor.engine(options))
}
