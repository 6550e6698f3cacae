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
import { replay } from "./commands/replay.ts"
import { report } from "./commands/report.ts"
import { sample } from "./commands/sample.ts"
import { transfer } from "./commands/transfer.ts"
import { weights } from "./commands/weights.ts"
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
    .description("GAN transfer learning with AdaFM: a pretrained GAN and a folder of images become a new generator")
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
  const statistics = program.command("metrics").description("statistics of image sets, in shards and merged")
  Verb.add(statistics, metrics.stats, streams, answer)
  Verb.add(statistics, metrics.merge, streams, answer)
  Verb.add(program, exportModel, streams, answer)
  Verb.add(program, report, streams, answer)
  Verb.add(program, bench, streams, answer)
  return program
}

/** Failures that are wrong arguments, also where only a package knows the names. */
const WRONG = [
  "BadArguments",
  "BadHash",
  "BadRecipe",
  "NoClass",
  "TooFew",
  "UnknownExtractor",
  "UnknownProvider",
  "WrongSize",
]

/** What was thrown, as a failure and an exit code. */
const failureOf = (thrown: unknown): { readonly code: 1 | 2; readonly failure: Failure.Failure } => {
  const failure =
    thrown instanceof CommanderError
      ? Failure.make(
          "BadArguments",
          thrown.code === "commander.help" ? "a verb is missing; see --help" : thrown.message.replace(/^error: /, ""),
        )
      : Failure.fromThrown(thrown)
  return { code: WRONG.includes(failure._tag) ? 2 : 1, failure }
}

/** @param args what stands behind `adafm` */
export const run = async (args: readonly string[], streams: Terminal.Streams): Promise<number> => {
  let [exit, shown] = [0, ""]
  const program = command(
    streams,
    (text) => {
      shown += text
    },
    async ({ json, text, code = 0 }, asJson) => {
      await streams.out(`${asJson ? document(json) : text}\n`)
      exit = code
    },
  )
  try {
    await program.parseAsync(args, { from: "user" })
    return exit
  } catch (thrown) {
    const isJson = args.includes("--json")
    // asked for and shown: no failure
    if (thrown instanceof CommanderError && thrown.exitCode === 0) {
      await streams.out(isJson ? `${document({ text: shown })}\n` : shown)
      return 0
    }
    if (process.env.ADAFM_DEBUG) console.error(thrown)
    const { code, failure } = failureOf(thrown)
    if (isJson) await streams.out(`${document({ error: failure })}\n`)
    else streams.err(`${Terminal.render(failure)}\n`)
    return code
  }
}
