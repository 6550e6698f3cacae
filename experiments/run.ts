/** `pnpm exp NAME [--profile smoke|quick|standard|paper] …`: runs the unfinished cells of an experiment and writes its pages. */
import { spawnSync } from "node:child_process"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure, Files } from "@adafm/core"
import { Command, CommanderError, InvalidArgumentError, Option } from "commander"
import * as Catalogue from "./lab/declare/Catalogue.ts"
import * as Experiment from "./lab/declare/Experiment.ts"
import * as CellShare from "./lab/run/CellShare.ts"
import * as ExperimentRun from "./lab/run/ExperimentRun.ts"
import * as SlurmArray from "./lab/run/SlurmArray.ts"

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, min: 60, h: 3600 }

/** `90s`, `20m` or `3h` in seconds. */
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

/** A command whose wrong use throws, so that `asProgram` decides on the exit code. */
export const program = (name: string): Command => new Command(name).exitOverride()

/** Flags that every experiment takes. */
export const flags = (command: Command): Command =>
  command
    .addOption(
      new Option("--profile <name>", "how much is run: seconds, minutes, hours, or the paper's own settings")
        .choices(Experiment.PROFILES)
        .default("quick"),
    )
    .option(
      "--data <images>",
      "target images: flowers, horse, ship, drawn, PATH or PATH#CLASS; several are separated by commas",
      list,
    )
    .option("--source <model>", "the source model: a model folder, a run, RUN@STEP or builtin:NAME")
    .option("--seeds <n>", "number of draws of training images, one seed each", whole)
    .option("--jobs <n>", "cells that run at the same time, each in its own process if there are several", whole, 1)
    .option("--threads <n>", "threads of each cell (default: the processors divided by the jobs)", whole)
    .option(
      "--provider <name>",
      "where generators train: cpu, cuda, webgpu, coreml or dml; scores are always computed on the CPU",
    )
    .option("--budget <duration>", "start no new cell after this long: 90s, 20m or 3h", duration)
    .option("--pages", "write the pages from the finished cells and run nothing")
    .option("--only <names>", "run only these variants and targets, separated by commas; pages still show all", list)
    .option("--cells <ids>", "run only these cells and write no pages; a call without it collects the results", list)
    .option(
      "--shard <i/n>",
      "run only part i of n of the cells and write no pages; for several machines",
      CellShare.shard,
    )
    .addOption(
      new Option(
        "--on <system>",
        "submit the cells that remain as a job array, one a task; --jobs of them at a time",
      ).choices(["slurm"]),
    )
    .option("--dry-run", "with --on: print the script and submit nothing")
    .option("--memory <gib>", "with --on: memory of a task", whole, 4)
    .option("--extractor <name>", "the feature extractor of the scores")
    .option("--out <folder>", "where RESULTS.md is written")

export interface Options extends ExperimentRun.Options {
  readonly jobs: number
  readonly threads: number
  readonly on?: "slurm"
  readonly dryRun?: boolean
  readonly memory: number
}

/** The flags as options. The first interrupt stops the run at its next checkpoint. */
export const options = (command: Command): Options => {
  let stop = false
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      stop = true
      process.stderr.write("stopping after the next checkpoint is written\n")
    })
  const given = command.opts<Omit<Options, "onNote" | "threads"> & { readonly threads?: number }>()
  return {
    ...given,
    threads: given.threads ?? Math.max(1, Math.floor(availableParallelism() / given.jobs)),
    onNote: (line) => void process.stderr.write(`${line}\n`),
    shouldStop: () => stop,
  }
}

/** The command that continues this one: without the flags that limited this call. */
export const again = (script: string, args: readonly string[]): string =>
  ["pnpm", script, ...args.filter((arg, i) => !/^--(budget|pages)/.test(arg) && args[i - 1] !== "--budget")].join(" ")

/** Flags of the submission and of the part, which the tasks do not take. */
const OF_SUBMISSION = /^--(on|dry-run|memory|jobs|cells|shard|threads|budget|pages)(=|$)/
const WITHOUT_VALUE = /^--(dry-run|pages)$/

/** The arguments that decide what the cells are. */
export const ofCells = (args: readonly string[]): readonly string[] =>
  args.filter((arg, i) => {
    const before = args[i - 1] ?? ""
    const isValue =
      !arg.startsWith("--") && OF_SUBMISSION.test(before) && !before.includes("=") && !WITHOUT_VALUE.test(before)
    return !OF_SUBMISSION.test(arg) && !isValue
  })

/** Submits the cells as a job array of Slurm, or prints its script. @param script the file of the command, `all.ts` or `run.ts` */
export const submit = async (
  cells: readonly string[],
  { jobs, threads, memory, dryRun = false, onNote }: Options,
  script: string,
): Promise<number> => {
  if (cells.length === 0) {
    onNote("no cell remains")
    return 0
  }
  const logs = join(process.cwd(), "runs", "slurm")
  const node = [process.execPath, "--import", "tsx", "--import", "./scripts/weights.mjs"]
  const text = SlurmArray.script({
    cells,
    command: [...node, script, ...ofCells(process.argv.slice(2)), "--threads", String(threads)],
    atOnce: jobs,
    threads,
    memory,
    folder: process.cwd(),
    logs,
  })
  if (dryRun) {
    process.stdout.write(text)
    return 0
  }
  await Files.folder(logs)
  const { status, stdout, stderr, error } = spawnSync("sbatch", [], { input: text, encoding: "utf8" })
  if (status !== 0)
    return Failure.raise(
      "NoSlurm",
      `sbatch did not take the job: ${(error?.message ?? stderr).trim()}; --dry-run prints the script`,
    )
  onNote(stdout.trim())
  onNote(`${cells.length} cells; when they are done, the same command without --on collects them`)
  return 0
}

const main = async (): Promise<number> => {
  const command = flags(program("exp").argument("[name]", `one of ${Catalogue.names().join(", ")}`)).parse()
  const experiment = await Catalogue.load(command.args[0])
  const given = options(command)
  if (given.on !== undefined)
    return submit([...new Set(await ExperimentRun.remaining(experiment, given))], given, fileURLToPath(import.meta.url))
  const { files, failed } = await ExperimentRun.run(experiment, given, again("exp", process.argv.slice(2)))
  process.stdout.write(`${files.join("\n")}\n`)
  return failed > 0 ? 1 : 0
}

/** Exit code of wrong arguments, as in the command line of `adafm`. */
const USAGE = 2

/** Ends the process with the exit code that `body` returns; what `body` throws is printed. */
export const asProgram = async (body: () => Promise<number>): Promise<never> => {
  try {
    process.exit(await body())
  } catch (thrown) {
    // commander has printed its message already
    if (thrown instanceof CommanderError) process.exit(thrown.exitCode === 0 ? 0 : USAGE)
    const { _tag, message, file } = Failure.fromThrown(thrown)
    process.stderr.write(`error: ${message}${file === undefined ? "" : ` (${file})`}\n`)
    process.exit(_tag === "BadArguments" ? USAGE : 1)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await asProgram(main)
