#!/usr/bin/env node
/** `adafm`: decodes arguments, calls one function of a package, prints. Exit codes: 0 done, 1 failed, 2 wrong arguments. */
import { Failure } from "@adafm/core"
import { Command, CommanderError } from "commander"
import { bench } from "./commands/bench.ts"
import { doctor } from "./commands/doctor.ts"
import { evaluate } from "./commands/evaluate.ts"
import { exportModel } from "./commands/export.ts"
import { features } from "./commands/features.ts"
import { forward } from "./commands/forward.ts"
import { importModel } from "./commands/import.ts"
import { inspect } from "./commands/inspect.ts"
import { pretrain } from "./commands/pretrain.ts"
import { replay } from "./commands/replay.ts"
import { sample } from "./commands/sample.ts"
import { transfer } from "./commands/transfer.ts"
import * as Terminal from "./Terminal.ts"
import * as Verb from "./Verb.ts"

const wantsJson = process.argv.includes("--json")
// libraries that log would spoil the document
if (wantsJson) for (const name of ["log", "info", "debug"] as const) console[name] = console.error

const print = (text: string): Promise<void> =>
  new Promise((resolve) => {
    process.stdout.write(`${text}\n`, () => resolve())
  })

/** JSON has no NaN and no infinities. */
const document = (value: unknown): string =>
  JSON.stringify(value, (_, v) =>
    typeof v === "number" && !Number.isFinite(v) ? { float: String(v).toLowerCase().replace("infinity", "inf") } : v,
  )

const fail = async (failure: Failure.Failure): Promise<void> => {
  if (wantsJson) await print(document({ error: failure }))
  else process.stderr.write(`${Terminal.render(failure)}\n`)
}

const program = new Command("adafm")
  .description("GAN transfer learning with AdaFM: a pretrained GAN and a folder of images become a new generator")
  .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
  .configureOutput({ outputError: () => undefined })
  .exitOverride()
  .showHelpAfterError(false)
for (const [flags, about] of Verb.globals) program.option(flags, about)

let code = 0
const answer = async (given: Verb.Answer, json: boolean): Promise<void> => {
  await print(json ? document(given.json) : given.text)
  code = given.code ?? 0
}
Verb.add(program, doctor, answer)
Verb.add(program, inspect, answer)
Verb.add(program, importModel, answer)
Verb.add(program, transfer, answer)
Verb.add(program, pretrain, answer)
Verb.add(program, sample, answer)
Verb.add(program, forward, answer)
Verb.add(program, replay, answer)
Verb.add(program, features, answer)
Verb.add(program, evaluate, answer)
Verb.add(program, exportModel, answer)
Verb.add(program, bench, answer)

try {
  await program.parseAsync()
} catch (thrown) {
  if (thrown instanceof CommanderError) {
    const shown = ["commander.helpDisplayed", "commander.version"].includes(thrown.code)
    code = shown ? 0 : 2
    if (!shown)
      await fail(
        Failure.make(
          "BadArguments",
          thrown.code === "commander.help" ? "a verb is missing; see --help" : thrown.message.replace(/^error: /, ""),
        ),
      )
  } else {
    code = 1
    if (process.env.ADAFM_DEBUG) console.error(thrown)
    await fail(Failure.fromThrown(thrown))
  }
}
process.exit(code)
