/** `run.ts NAME [--profile smoke|quick|standard|paper] …`: runs the cells of an experiment that are not there yet, writes its pages. */
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { Failure } from "@adafm/core"
import { Command, InvalidArgumentError, Option } from "commander"
import * as Catalogue from "./lab/declare/Catalogue.ts"
import * as Experiment from "./lab/declare/Experiment.ts"
import * as Session from "./lab/run/Session.ts"

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, min: 60, h: 3600 }

/** `90s`, `20m`, `3h` in seconds. */
export const duration = (text: string): number => {
  const found = /^(\d+(?:\.\d+)?)(s|m|min|h)$/.exec(text)
  if (found === null) throw new InvalidArgumentError("expected a duration such as 90s, 20m or 3h")
  return Number(found[1]) * UNITS[found[2]!]!
}

export const whole = (text: string): number => {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("expected a whole number from 1")
  return Number(text)
}

const list = (text: string): readonly string[] => text.split(",")

/** Flags that every experiment takes. */
export const flags = (program: Command): Command =>
  program
    .addOption(new Option("--profile <name>", "how much of it").choices(Experiment.PROFILES).default("quick"))
    .option(
      "--data <images>",
      "targets: flowers, horse, ship, drawn, PATH or PATH#class, one or several by commas",
      list,
    )
    .option("--source <model>", "a model folder, a run, RUN@STEP or builtin:NAME")
    .option("--seeds <n>", "draws, one seed each", whole)
    .option("--jobs <n>", "cells at a time, each in a process of its own when there are several", whole, 1)
    .option("--threads <n>", "threads of a cell (default: all processors, shared among the jobs)", whole)
    .option(
      "--provider <name>",
      "where generators train: cpu, cuda, webgpu, coreml or dml; scores are taken on the CPU",
    )
    .option("--budget <duration>", "begin no cell after this long", duration)
    .option("--only <names>", "run these variants and targets alone; pages show all", list)
    .option("--extractor <name>", "what scores look through")
    .option("--out <folder>", "where RESULTS.md goes")

/** The flags as options; the first interrupt stops with a checkpoint. */
export const options = (program: Command): Session.Options & { readonly jobs: number; readonly threads: number } => {
  let stop = false
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      stop = true
      process.stderr.write("stopping, with a checkpoint\n")
    })
  const given = program.opts<Omit<Session.Options, "onNote"> & { readonly jobs: number }>()
  return {
    ...given,
    threads: given.threads ?? Math.max(1, Math.floor(availableParallelism() / given.jobs)),
    onNote: (line) => void process.stderr.write(`${line}\n`),
    shouldStop: () => stop,
  }
}

/** The command that goes on from here: a budget was of that call. */
export const again = (script: string, args: readonly string[]): string =>
  ["pnpm", script, ...args.filter((arg, i) => !arg.startsWith("--budget") && args[i - 1] !== "--budget")].join(" ")

const main = async (): Promise<number> => {
  const program = flags(new Command("exp").argument("<name>", `one of ${Catalogue.names().join(", ")}`)).parse()
  const name = program.args[0]!
  const command = again(`exp:${name}`, process.argv.slice(3))
  const { files, failed } = await Session.run(await Catalogue.load(name), options(program), command)
  process.stdout.write(`${files.join("\n")}\n`)
  return failed > 0 ? 1 : 0
}

/** Ends the process with the code that `body` answers; what it throws is told. */
export const asProgram = async (body: () => Promise<number>): Promise<never> => {
  try {
    process.exit(await body())
  } catch (thrown) {
    const { message, file } = Failure.fromThrown(thrown)
    process.stderr.write(`error: ${message}${file === undefined ? "" : ` (${file})`}\n`)
    process.exit(1)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await asProgram(main)
