/** Arguments in, an exit code out: 0 done, 1 the work failed, 2 wrong arguments. */
import { createRequire } from "node:module"
import { Failure } from "@adafm/core"
import { Command, CommanderError } from "commander"
import { bench } from "./commands/bench.ts"
import { demo } from "./commands/demo.ts"
import { doctor } from "./commands/doctor.ts"
import { evaluate } from "./commands/evaluate.ts"
import { exportModel } from "./commands/export.ts"
import { features } from "./commands/features.ts"
import { forward } from "./commands/forward.ts"
import { importModel } from "./commands/import.ts"
import { inspect } from "./commands/inspect.ts"
import * as metrics from "./commands/metrics.ts"
import { pretrain } from "./commands/pretrain.ts"
import { project } from "./commands/project.ts"
import { publish } from "./commands/publish.ts"
import { replay } from "./commands/replay.ts"
import { report } from "./commands/report.ts"
import { sample } from "./commands/sample.ts"
import { studio } from "./commands/studio.ts"
import { transfer } from "./commands/transfer.ts"
import { weights } from "./commands/weights.ts"
import * as ExitCode from "./ExitCode.ts"
import * as Printable from "./Printable.ts"
import * as Terminal from "./Terminal.ts"
import * as Verb from "./Verb.ts"

const { version } = createRequire(import.meta.url)("../package.json") as { readonly version: string }

/** JSON has no NaN and no infinities. */
const document = (value: unknown): string =>
  JSON.stringify(value, (_, v) =>
    typeof v === "number" && !Number.isFinite(v) ? { float: String(v).toLowerCase().replace("infinity", "inf") } : v,
  )

/** @param show takes the help and the version */
const command = (
  streams: Terminal.Streams,
  show: (text: string) => void,
  answer: (answer: Verb.Answer, json: boolean) => Promise<void>,
): Command => {
  const program = new Command("adafm")
    .description("GAN transfer learning with AdaFM: make a new generator from a pretrained GAN and a folder of images")
    .version(version)
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .configureOutput({
      writeOut: show,
      writeErr: streams.err,
      outputError: () => undefined,
    })
    .exitOverride()
  for (const [flags, about] of Verb.globals) program.option(flags, about)
  Verb.add(program, demo, streams, answer)
  Verb.add(program, doctor, streams, answer)
  Verb.add(program, inspect, streams, answer)
  Verb.add(program, weights, streams, answer)
  Verb.add(program, importModel, streams, answer)
  Verb.add(program, transfer, streams, answer)
  Verb.add(program, pretrain, streams, answer)
  Verb.add(program, sample, streams, answer)
  Verb.add(program, project, streams, answer)
  Verb.add(program, forward, streams, answer)
  Verb.add(program, replay, streams, answer)
  Verb.add(program, features, streams, answer)
  Verb.add(program, evaluate, streams, answer)
  const statistics = program
    .command("metrics")
    .description("statistics of image sets: compute them, merge those of shards")
  Verb.add(statistics, metrics.stats, streams, answer)
  Verb.add(statistics, metrics.merge, streams, answer)
  Verb.add(program, exportModel, streams, answer)
  Verb.add(program, publish, streams, answer)
  Verb.add(program, report, streams, answer)
  Verb.add(program, studio, streams, answer)
  Verb.add(program, bench, streams, answer)
  return program
}

/** What the operating system's refusals mean for a path. */
const SYSTEM: Readonly<Record<string, string>> = {
  "System.ENOENT": "no such file or folder",
  "System.EACCES": "no permission to read or write this path",
  "System.EPERM": "no permission to read or write this path",
  "System.EISDIR": "expected a file, but this is a folder",
  "System.ENOTDIR": "a part of this path is a file, not a folder",
  "System.EROFS": "this disk is read-only",
  "System.ENOSPC": "the disk is full",
}

const usageText = ({ code, message }: CommanderError): string => {
  const text = message.replace(/^error: /, "")
  if (code === "commander.help") return "a verb is missing"
  return code === "commander.excessArguments" ? `${text} Is there a path with spaces? Put it into quotes.` : text
}

/** What was thrown, as a failure and an exit code. */
const failureOf = (thrown: unknown): { readonly code: ExitCode.ExitCode; readonly failure: Failure.Failure } => {
  if (thrown instanceof CommanderError)
    return { code: ExitCode.WRONG_ARGUMENTS, failure: Failure.make("BadArguments", usageText(thrown)) }
  // a typed array that the memory cannot hold, or an array that is too long
  if (thrown instanceof RangeError && /array|allocation|length/i.test(thrown.message))
    return { code: ExitCode.FAILED, failure: Failure.make("OutOfMemory", `not enough memory: ${thrown.message}`) }
  const failure = Failure.fromThrown(thrown)
  const message = failure.file === undefined ? undefined : SYSTEM[failure._tag]
  return {
    code: ExitCode.of(failure),
    failure: message === undefined ? failure : { ...failure, message },
  }
}

/** The command that prints the help of the verb among the arguments. */
const helpCommand = (program: Command, args: readonly string[]): string => {
  const named = ({ commands }: Command): Command | undefined =>
    args.flatMap((arg) => commands.find((command) => command.name() === arg) ?? [])[0]
  const verb = named(program)
  const names = [verb, verb && named(verb)].flatMap((command) => command?.name() ?? [])
  return [Terminal.command, ...names, "--help"].join(" ")
}

/** @param args the arguments after `adafm` */
export const run = async (args: readonly string[], streams: Terminal.Streams): Promise<number> => {
  let [exit, shown] = [0, ""]
  const program = command(
    { ...streams, args },
    (text) => {
      shown += text
    },
    async ({ json, text, code = 0 }, asJson) => {
      await streams.out(`${Printable.text(asJson ? document(json) : text)}\n`)
      exit = code
    },
  )
  try {
    await program.parseAsync(args, { from: "user" })
    return exit
  } catch (thrown) {
    const isJson = args.includes("--json")
    // help and version are no failures
    if (thrown instanceof CommanderError && thrown.exitCode === 0) {
      await streams.out(isJson ? `${document({ text: shown })}\n` : shown)
      return 0
    }
    if (process.env.ADAFM_DEBUG) console.error(thrown)
    const { code, failure } = failureOf(thrown)
    if (isJson) await streams.out(`${Printable.text(document({ error: failure }))}\n`)
    else streams.err(`${Terminal.render(failure, code === 2 ? helpCommand(program, args) : undefined)}\n`)
    return code
  }
}
