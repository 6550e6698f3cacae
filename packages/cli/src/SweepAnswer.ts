/** What a sweep answers: its runs, mean and range over the seeds, and a page about all of them. */
import { spawnSync } from "node:child_process"
import { join } from "node:path"
import { Failure, Files } from "@adafm/core"
import * as ExitCode from "./ExitCode.ts"
import * as ScoreText from "./ScoreText.ts"
import type * as Sweep from "./Sweep.ts"
import { quoted, summary } from "./Sweep.ts"
import * as Terminal from "./Terminal.ts"
import type * as Verb from "./Verb.ts"

/** A run that fails does not end the sweep. */
export const settled = async (cell: Sweep.Cell, run: () => Promise<Verb.Answer>): Promise<Sweep.Ended> => {
  try {
    const { json, code = 0 } = await run()
    return { cell, json: json as Sweep.Values, code }
  } catch (thrown) {
    const failure = Failure.fromThrown(thrown)
    return { cell, json: { error: failure }, code: ExitCode.of(failure) }
  }
}

const message = ({ json }: Sweep.Ended): string => {
  const { error } = json as { readonly error?: { readonly message?: string } }
  return error?.message ?? "interrupted; the same command continues"
}

const digits = (value: number): string => String(+value.toPrecision(4))

/** `1.2 (1.1 to 1.3)` */
const estimate = ({ mean, low, high }: Sweep.Estimate): string =>
  low === high ? digits(mean) : `${digits(mean)} (${digits(low)} to ${digits(high)})`

/** A page about the runs, if one of them got far enough. */
const reported = async (out: string, done: number): Promise<string | undefined> => {
  if (done === 0) return undefined
  const { Report } = await import("@adafm/job")
  return (await Failure.orThrow(Report.run({ folders: [out], out: join(out, "report.html") }))).out
}

export const of = async (
  out: string,
  cells: readonly Sweep.Cell[],
  ended: readonly Sweep.Ended[],
): Promise<Verb.Answer> => {
  const failed = ended.filter(({ code }) => code !== 0 && code !== 130)
  const done = ended.filter(({ code }) => code === 0)
  const means = summary(ended)
  const report = await reported(out, done.length)
  const labels: Readonly<Record<string, string>> = Object.assign({}, ...means.map((one) => one.labels))
  const names = [...new Set(means.flatMap(({ scores }) => Object.keys(scores)))]
  const text = [
    `${out}: ${done.length} of ${cells.length} runs done`,
    ...(names.length === 0
      ? []
      : [
          Terminal.table([
            ["", "seeds", ...names.map((name) => `${ScoreText.short(labels[name] ?? name)}, mean (range)`)],
            ...means.map(({ variant, seeds, scores }) => [
              variant || "all",
              seeds.length,
              ...names.map((name) => (scores[name] === undefined ? "" : estimate(scores[name]))),
            ]),
          ]),
        ]),
    ...ended.filter(({ code }) => code !== 0).map((one) => `${one.cell.name}: ${message(one)}`),
    ...(report === undefined ? [] : [`the page: ${report}`]),
    ...(done.length + failed.length < cells.length ? ["stopped before the end; the same command continues"] : []),
  ].join("\n")
  const json = {
    out,
    runs: ended.map(({ cell, json: own, code }) => ({
      name: cell.name,
      seed: cell.seed,
      run: join(out, cell.name),
      code,
      ...(own.error === undefined ? { steps: own.steps, metrics: own.metrics } : { error: own.error }),
    })),
    summary: means,
    report: report ?? null,
  }
  const code = failed.length > 0 ? ExitCode.FAILED : done.length < cells.length ? 130 : 0
  return { json, text, ...(code !== 0 && { code }) }
}

/** Writes the script of a job array and, unless it is a dry run, hands it to Slurm. */
export const submitted = async (
  out: string,
  cells: readonly Sweep.Cell[],
  script: string,
  isDry: boolean,
): Promise<Verb.Answer> => {
  const file = join(out, "sweep.sh")
  await Failure.orThrow(Files.write(file, script))
  const after = `when all have ended: ${Terminal.command} report ${quoted(out)} --out ${quoted(join(out, "report.html"))}`
  if (isDry)
    return {
      json: { out, script: file, tasks: cells.length, job: null },
      text: `${file}: ${cells.length} tasks\n${after}`,
    }
  const { status, stdout, stderr, error } = spawnSync("sbatch", ["--parsable", file], { encoding: "utf8" })
  if (status !== 0)
    Failure.raise(
      "NoSlurm",
      `sbatch did not take the job array: ${error?.message ?? stderr.trim()}; the script is written`,
      {
        file,
      },
    )
  const job = stdout.trim()
  return {
    json: { out, script: file, tasks: cells.length, job },
    text: `job ${job}: ${cells.length} tasks of ${file}\n${after}`,
  }
}
