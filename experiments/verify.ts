/**
 * `pnpm exp:verify NAME [CELL|VARIANT] [--threads N]`: runs a cell of the committed results again, from nothing, and prints how its
 * scores differ. Exit code 1 if the KID differs by more than its noise.
 */
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure } from "@adafm/core"
import { ModelFolder } from "@adafm/gan"
import { Table } from "@adafm/report"
import * as Catalogue from "./lab/declare/Catalogue.ts"
import * as Reproduction from "./lab/judge/Reproduction.ts"
import * as ResultsFile from "./lab/judge/ResultsFile.ts"
import * as CellBank from "./lab/run/CellBank.ts"
import * as CellQueue from "./lab/run/CellQueue.ts"
import * as CellRunner from "./lab/run/CellRunner.ts"
import { asProgram, program, whole } from "./run.ts"

export interface Outcome {
  readonly order: CellRunner.Order
  readonly lines: readonly Reproduction.Line[]
}

/** @param file a `results.json` */
export const run = async (file: string, wanted: string | undefined, threads: number): Promise<Outcome> => {
  const results = await Failure.orThrow(ModelFolder.readJson(ResultsFile.ResultsFile, file))
  const { cell, order } = await Reproduction.choose(results, wanted)
  process.stderr.write(`running ${order.id} again: ${order.title}\n`)
  const folder = join("runs", "verify", order.id)
  await rm(folder, { recursive: true, force: true })
  CellBank.afresh(folder)
  const again = await CellRunner.run(order, await CellQueue.engine({ threads }), { threads })
  return { order, lines: Reproduction.lines(cell, again!) }
}

const table = (lines: readonly Reproduction.Line[]): string =>
  Table.markdown({
    columns: ["score", "committed", "again", "difference", "noise", "verdict"].map((title) => ({ title })),
    rows: lines.map((line) => [
      line.metric,
      line.committed,
      line.again,
      line.again - line.committed,
      line.noise,
      Reproduction.verdictOf(line),
    ]),
  })

const main = async (): Promise<number> => {
  const command = program("exp:verify")
    .argument("<experiment>", `one of ${Catalogue.names().join(", ")}`)
    .argument("[cell]", "the id or the variant of the cell (default: the first finished cell)")
    .option("--threads <n>", "threads; take as many as the committed run", whole, 1)
    .option("--results <file>", "a results.json other than the committed one")
    .parse()
  const [name, wanted] = command.args
  const { threads, results } = command.opts<{ readonly threads: number; readonly results?: string }>()
  const { order, lines } = await run(results ?? join(Catalogue.folderOf(name), "results.json"), wanted, threads)
  process.stdout.write(`${order.id}: ${order.title}\n\n${table(lines)}\n`)
  return lines.some(
    ({ metric, ...line }) => metric === "kid" && Reproduction.verdictOf({ metric, ...line }) === "different",
  )
    ? 1
    : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await asProgram(main)
