/** `run.ts NAME [--profile smoke|quick|standard|paper] …`: runs the cells of an experiment that are not there yet, writes its pages. */
import { execFile, spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Failure, Files } from "@adafm/core"
import { type Engine, Engines } from "@adafm/engine"
import { Page } from "@adafm/report"
import { Command, InvalidArgumentError, Option } from "commander"
import * as Experiment from "./Experiment.ts"
import * as Plan from "./Plan.ts"
import * as Results from "./Results.ts"
import * as Runner from "./Runner.ts"

export interface Options extends Plan.Choices {
  /** Processes at a time. */
  readonly jobs: number
  /** Seconds after which no further cell begins. */
  readonly budget?: number
  /** Where RESULTS.md goes; for `standard` and `paper` beside the declaration. */
  readonly out?: string
  readonly onNote: (line: string) => void
  readonly shouldStop?: () => boolean
}

const here = fileURLToPath(new URL(".", import.meta.url))

export const load = async (name: string): Promise<Experiment.Experiment> => {
  const file = join(here, name, "config.ts")
  if (!/^[a-z0-9-]+$/.test(name) || !existsSync(file))
    return Failure.raise("BadArguments", `no experiment is called ${name}`)
  const { experiment } = (await import(file)) as { readonly experiment: unknown }
  return Experiment.Experiment.parse(experiment)
}

const commitOf = async (): Promise<string | null> => {
  try {
    return (await promisify(execFile)("git", ["rev-parse", "HEAD"], { cwd: here })).stdout.trim()
  } catch {
    return null
  }
}

/** A cell in a child process, with its share of the processor. */
const runApart = async (order: Runner.Order, threads: number): Promise<void> => {
  const folder = Runner.folderOf(order.id)
  await Failure.orRaise(Files.write(join(folder, "order.json"), `${JSON.stringify(order, null, 2)}\n`))
  const args = ["--import", import.meta.resolve("tsx"), join(here, "worker.ts"), folder, String(threads)]
  const code = await new Promise<number | null>((resolve, reject) => {
    spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] })
      .on("error", reject)
      .on("exit", resolve)
  })
  if (code !== 0) Failure.raise("CellFailed", `the process of cell ${order.id} ended with ${code}`)
}

const write = async (name: string, out: string, found: Results.Found, command: string): Promise<readonly string[]> => {
  const page = await Results.page(found, command)
  const { text, files } = Page.markdown(page, "figures")
  const html = join("runs", "experiments", `${name}-${found.profile}`, "report.html")
  const json = `${JSON.stringify(Results.json(found), null, 2)}\n`
  for (const [file, bytes] of Object.entries(files)) await Failure.orRaise(Files.write(join(out, file), bytes))
  await Failure.orRaise(Files.write(join(out, "results.json"), json))
  await Failure.orRaise(Files.write(join(out, "RESULTS.md"), text))
  await Failure.orRaise(Files.write(html, Page.html(page)))
  return [join(out, "RESULTS.md"), join(out, "results.json"), html]
}

export interface Outcome {
  readonly files: readonly string[]
  readonly done: number
  readonly cells: number
  readonly failed: number
}

export const run = async (experiment: Experiment.Experiment, options: Options, command: string): Promise<Outcome> => {
  const { profile, jobs, budget = Number.POSITIVE_INFINITY, onNote, shouldStop = () => false } = options
  const { name } = experiment
  const scratch = join("runs", "experiments", `${name}-${profile}`)
  const out = options.out ?? (profile === "standard" || profile === "paper" ? join(here, name) : scratch)
  const plan = await Plan.make(experiment, options)
  if (plan.impossible.length > 0) onNote(`the source has too few groups for ${plan.impossible.join(", ")}`)

  const results = new Map<string, Runner.Result>()
  const queue: Plan.Entry[] = []
  for (const entry of plan.entries) {
    const result = await Runner.read(entry.order.id)
    if (result !== undefined) results.set(entry.order.id, result)
    else if (!queue.some(({ order }) => order.id === entry.order.id)) queue.push(entry)
  }
  onNote(`${plan.entries.length} cells, ${queue.length} to run; source ${plan.source.path}`)

  const began = performance.now()
  const isOver = (): boolean => shouldStop() || (performance.now() - began) / 1000 > budget
  const threads = Math.max(1, Math.floor(availableParallelism() / jobs))
  let [failed, engine] = [0, undefined as Engine | undefined]
  const one = async ({ order }: Plan.Entry): Promise<Runner.Result | undefined> => {
    if (jobs > 1) {
      await runApart(order, threads)
      return Runner.read(order.id)
    }
    engine ??= await Engines.open()
    return Runner.run(order, engine, { shouldStop })
  }
  const lane = async (): Promise<void> => {
    for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) {
      if (isOver()) return void queue.unshift(entry)
      const { id, title } = entry.order
      try {
        const result = await one(entry)
        if (result === undefined) continue
        results.set(id, result)
        onNote(`${id} ${title}: ${result.seconds.toFixed(0)} s of training`)
      } catch (thrown) {
        failed++
        onNote(`${id} ${title}: failed, ${Failure.fromThrown(thrown).message}`)
      }
    }
  }
  await Promise.all(Array.from({ length: jobs }, lane))
  if (queue.length > 0) onNote(`${queue.length} cells are left; the same command goes on with them`)
  const files = await write(name, out, { experiment, profile, plan, results, commit: await commitOf() }, command)
  const done = plan.entries.filter(({ order }) => results.has(order.id)).length
  return { files, done, cells: plan.entries.length, failed }
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, min: 60, h: 3600 }

/** `90s`, `20m`, `3h` in seconds. */
export const duration = (text: string): number => {
  const found = /^(\d+(?:\.\d+)?)(s|m|min|h)$/.exec(text)
  if (found === null) throw new InvalidArgumentError("expected a duration such as 90s, 20m or 3h")
  return Number(found[1]) * UNITS[found[2]!]!
}

const whole = (text: string): number => {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("expected a whole number from 1")
  return Number(text)
}

const main = async (): Promise<void> => {
  const program = new Command("exp")
    .argument("<name>", "the experiment, a folder here")
    .addOption(new Option("--profile <name>", "how much of it").choices(Experiment.PROFILES).default("quick"))
    .option("--data <images>", "a folder, a zip, safetensors or drawn:flowers")
    .option("--source <model>", "a model folder, a run or builtin:NAME")
    .option("--seeds <n>", "draws, one seed each", whole)
    .option("--jobs <n>", "cells at a time", whole, 1)
    .option("--budget <duration>", "begin no cell after this long", duration)
    .option("--only <variants>", "these variants, by name", (text) => text.split(","))
    .option("--extractor <name>", "what scores look through")
    .option("--out <folder>", "where RESULTS.md goes")
    .parse()
  let stop = false
  process.once("SIGINT", () => {
    stop = true
    process.stderr.write("stopping, with a checkpoint\n")
  })
  const onNote = (line: string): void => void process.stderr.write(`${line}\n`)
  const name = program.args[0]!
  const given = process.argv.slice(3).join(" ")
  const options = { ...program.opts<Omit<Options, "onNote">>(), onNote, shouldStop: () => stop }
  const outcome = await run(await load(name), options, `pnpm exp:${name} ${given}`.trim())
  process.stdout.write(`${outcome.files.join("\n")}\n`)
  process.exitCode = outcome.failed > 0 ? 1 : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main()
  } catch (thrown) {
    const { message, file } = Failure.fromThrown(thrown)
    process.stderr.write(`error: ${message}${file === undefined ? "" : ` (${file})`}\n`)
    process.exitCode = 1
  }
  process.exit()
}
