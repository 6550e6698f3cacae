/** Several transfers of one command: every combination of a grid of settings, for every seed, each in its own run folder. */
import { spawn } from "node:child_process"
import { extname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure, Files } from "@adafm/core"
import { usage } from "./Verb.ts"

/** Settings by the names of their flags. */
export type Values = Readonly<Record<string, unknown>>

export interface Cell {
  /** The folder below the sweep's own: `lr-0.001/seed-2`. */
  readonly name: string
  /** The combination without the seed: `lr-0.001`. */
  readonly variant: string
  readonly seed: number
  readonly settings: Values
}

/** The file that lists the runs of a sweep; `--config FILE --task I` is one of them. */
export const FILE = "sweep.json"

const plain = (value: unknown): string =>
  String(Array.isArray(value) ? value.join("+") : typeof value === "object" ? JSON.stringify(value) : value).replace(
    /[^\w.+-]+/g,
    "_",
  )

/** Every combination, the last setting varying fastest. */
const product = (grid: Readonly<Record<string, readonly unknown[]>>): readonly Values[] =>
  Object.entries(grid).reduce<readonly Values[]>(
    (all, [key, values]) => all.flatMap((one) => values.map((value) => ({ ...one, [key]: value }))),
    [{}],
  )

/** @param grid the settings that vary, `seed` among them if it does */
export const cells = (settings: Values, grid: Readonly<Record<string, readonly unknown[]>>): readonly Cell[] => {
  const { seed: seeds = [settings.seed ?? 0], ...others } = grid
  for (const [key, values] of Object.entries(grid))
    if (values.length === 0 || new Set(values.map(plain)).size < values.length)
      usage(`grid.${key}: expected different values, found ${JSON.stringify(values)}`)
  return product(others).flatMap((combination) => {
    const variant = Object.entries(combination)
      .map(([key, value]) => `${key}-${plain(value)}`)
      .join(",")
    return seeds.map((seed): Cell => {
      const name = [variant, ...(grid.seed === undefined ? [] : [`seed-${plain(seed)}`])].filter((part) => part !== "")
      return { name: name.join("/"), variant, seed: Number(seed), settings: { ...settings, ...combination, seed } }
    })
  })
}

export const write = (out: string, all: readonly Cell[]): Promise<void> =>
  Failure.orThrow(
    Files.write(
      join(out, FILE),
      `${JSON.stringify({ kind: "sweep", cells: all.map(({ name, settings }) => ({ name, settings: { ...settings, out: join(out, name) } })) }, null, 2)}\n`,
    ),
  )

export interface Ended {
  readonly cell: Cell
  /** The JSON document of the run. */
  readonly json: Values
  readonly code: number
}

const here = fileURLToPath(import.meta.url)
/** TypeScript in the repository, JavaScript in the published package. */
const main = join(here, "..", `main${extname(here)}`)

/** The program and its first arguments that run a cell in a process of its own. */
export const command = (out: string, task: number | string): readonly string[] => [
  process.execPath,
  ...process.execArgv,
  main,
  "transfer",
  "--config",
  join(out, FILE),
  "--task",
  String(task),
  "--json",
]

/** Runs the cells in processes of their own, `jobs` at a time. An interrupt is passed on to them, and no further one begins. */
export const inProcesses = async (
  out: string,
  all: readonly Cell[],
  {
    jobs,
    threads,
    note,
    shouldStop,
  }: {
    readonly jobs: number
    readonly threads: number
    readonly note: (line: string) => void
    readonly shouldStop: () => boolean
  },
): Promise<readonly Ended[]> => {
  const ended: Ended[] = []
  let next = 0
  const one = async (task: number): Promise<void> => {
    const cell = all[task]!
    const [program, ...args] = [...command(out, task), "--threads", String(threads)]
    const child = spawn(program!, args, { stdio: ["ignore", "pipe", "pipe"] })
    let [stdout, rest] = ["", ""]
    child.stdout.on("data", (text) => {
      stdout += text
    })
    child.stderr.on("data", (text) => {
      const lines = `${rest}${text}`.split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) note(`${cell.name}: ${line}`)
    })
    const stopping = setInterval(() => {
      if (shouldStop()) child.kill("SIGINT")
    }, 500)
    const code = await new Promise<number>((resolve, reject) =>
      child.on("error", reject).on("close", (found) => resolve(found ?? 1)),
    ).finally(() => clearInterval(stopping))
    try {
      ended.push({ cell, code, json: JSON.parse(stdout) as Values })
    } catch {
      ended.push({ cell, code: code || 1, json: { error: { message: `the process ended with code ${code}` } } })
    }
  }
  const worker = async (): Promise<void> => {
    while (next < all.length && !shouldStop()) await one(next++)
  }
  await Promise.all(Array.from({ length: Math.min(jobs, all.length) }, worker))
  return ended
}

const TASK = "$SLURM_ARRAY_TASK_ID"

/** A word of a command line, as a shell reads it. */
export const quoted = (word: string): string =>
  /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`

/** A job array of Slurm: a task for each run, at most `jobs` at a time. */
export const slurm = (out: string, all: readonly Cell[], jobs: number, threads: number): string => {
  const words = [...command(out, TASK), "--threads", String(threads)].map((word) =>
    word === TASK ? word : quoted(word),
  )
  return [
    "#!/bin/sh",
    `#SBATCH --job-name=adafm`,
    `#SBATCH --chdir=${JSON.stringify(process.cwd())}`,
    `#SBATCH --array=0-${all.length - 1}${jobs > 1 ? `%${jobs}` : ""}`,
    `#SBATCH --cpus-per-task=${threads}`,
    `#SBATCH --output=${JSON.stringify(join(out, "slurm-%a.log"))}`,
    // in place of the shell, which does not pass on Slurm's signal to stop
    `exec ${words.join(" ")}`,
    "",
  ].join("\n")
}

export interface Estimate {
  readonly mean: number
  readonly low: number
  readonly high: number
}

export interface Summary {
  readonly variant: string
  readonly seeds: readonly number[]
  /** What the short names mean, the network among it. */
  readonly labels: Readonly<Record<string, string>>
  /** By the short names of the scores. */
  readonly scores: Readonly<Record<string, Estimate>>
}

/** Mean and range of the last scores over the seeds of each combination. */
export const summary = (ended: readonly Ended[]): readonly Summary[] => {
  const variants = [...new Set(ended.map(({ cell }) => cell.variant))]
  return variants.map((variant) => {
    const own = ended.filter(({ cell, code }) => cell.variant === variant && code === 0)
    const lines = own.flatMap(({ json }): readonly Values[] => {
      const metrics = Array.isArray(json.metrics) ? (json.metrics as readonly Values[]) : []
      return metrics.slice(-1)
    })
    const labels = Object.assign({}, ...lines.map((line) => line.labels ?? {})) as Readonly<Record<string, string>>
    const names = Object.keys(labels)
    const estimate = (name: string): Estimate => {
      const values = lines.flatMap(({ [name]: value }) => (typeof value === "number" ? [value] : []))
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      return { mean, low: Math.min(...values), high: Math.max(...values) }
    }
    return {
      variant,
      seeds: own.map(({ cell }) => cell.seed),
      labels,
      scores: Object.fromEntries(names.map((name) => [name, estimate(name)])),
    }
  })
}
