/** What a verb is: names and meanings of its flags, and one function from their values to an answer. */
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
  threads: z.exactOptional(Values.count),
})
export type Globals = z.output<typeof Globals>

export const globals: readonly (readonly [string, string])[] = [
  ["--json", "one JSON document on stdout, and nothing else there"],
  ["--seed <n>", "fixes every random draw (default 0)"],
  ["--engine <name>", "onnx, tensorflow, wasm or cpu (default: the first that runs here)"],
  ["--provider <name>", "execution provider of the onnx engine: cpu, cuda, webgpu, … (default cpu)"],
  ["--threads <n>", "processor threads (default: all)"],
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
  /** Positional arguments in commander's notation, with spaces between them. */
  readonly files?: string
  readonly flags: readonly (readonly [flags: string, about: string])[]
  readonly shape: S
  /** Where the options come from; the flags alone by default. */
  readonly read?: (shape: S, command: Command) => Promise<z.output<z.ZodObject<S>> & Globals>
  readonly run: (given: Given<S>) => Promise<Answer>
}

/** Wrong arguments: exit code 2. */
export const usage = (message: string): never => {
  throw new InvalidArgumentError(message)
}

const issueText = ({ path, message }: z.core.$ZodIssue): string => {
  if (path.length === 0) return message
  const flag = `--${String(path[0]).replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`)}`
  return path.length === 1 && message.endsWith("received undefined") ? `${flag} is needed` : `${flag}: ${message}`
}

/** Options as their schema reads them; a value that does not fit is a wrong argument. */
export const decode = <S extends z.ZodType>(schema: S, value: unknown): z.output<S> => {
  const parsed = schema.safeParse(value)
  return parsed.success ? parsed.data : usage(parsed.error.issues.map(issueText).join("; "))
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
  for (const [flags, about] of verb.flags) command.option(flags, about)
  command.action(async () => {
    const schema = z.strictObject({ ...Globals.shape, ...verb.shape })
    const options =
      (await verb.read?.(verb.shape, command)) ?? (decode(schema, command.optsWithGlobals()) as Given<S>["options"])
    await answer(await verb.run({ files: command.args, options, terminal: Terminal.open(streams) }), options.json)
  })
}

/** The engine that the flags ask for. */
export const engineOf = async (options: Pick<Globals, "engine" | "provider" | "threads">): Promise<Engine> => {
  const { Doctor } = await import("@adafm/job")
  return Failure.orThrow(Doctor.engine(options))
}
