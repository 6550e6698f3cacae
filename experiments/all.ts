/** `pnpm exp:all [flags]`: runs all experiments under one budget, the most informative first, and writes their index and FINDINGS.md. */
import { dirname, extname, join, relative } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure, Files } from "@adafm/core"
import { Page } from "@adafm/report"
import * as Catalogue from "./lab/declare/Catalogue.ts"
import * as ResultsFile from "./lab/judge/ResultsFile.ts"
import * as FindingsPage from "./lab/page/FindingsPage.ts"
import * as IndexPage from "./lab/page/IndexPage.ts"
import * as CellShare from "./lab/run/CellShare.ts"
import * as ExperimentRun from "./lab/run/ExperimentRun.ts"
import { again, asProgram, flags, options, program, submit } from "./run.ts"

/** The most informative experiments first; those that are not named here come last. */
const ORDER = [
  "convergence",
  "ablation-layers",
  "ablation-adafm",
  "finetuning",
  "head-norm",
  "ablation-head",
  "baselines",
  "conditional",
]

const ordered = (): readonly string[] => {
  const names = Catalogue.names()
  return [...ORDER.filter((name) => names.includes(name)), ...names.filter((name) => !ORDER.includes(name))]
}

export interface Outcome {
  readonly files: readonly string[]
  readonly failed: number
}

export const run = async (given: ExperimentRun.Options, command: string): Promise<Outcome> => {
  const { profile, budget = Number.POSITIVE_INFINITY, onNote } = given
  const began = performance.now()
  const isCommitted = profile === "standard" || profile === "paper"
  const out = given.out ?? (isCommitted ? Catalogue.here : join("runs", "experiments", profile))
  const parts: { readonly about: Omit<IndexPage.Part, "link">; readonly files: readonly string[] }[] = []
  const files: string[] = []
  let failed = 0
  for (const name of ordered()) {
    const experiment = await Catalogue.load(name)
    const left = budget - (performance.now() - began) / 1000
    // with no time left the pages are still written, from the finished cells
    const place = isCommitted && given.out === undefined ? {} : { out: join(out, name) }
    const outcome = await ExperimentRun.run(experiment, { ...given, ...place, budget: left > 0 ? left : -1 }, command)
    failed += outcome.failed
    const results = ResultsFile.make(outcome.found, command)
    parts.push({ about: { title: experiment.title, results }, files: outcome.files })
    files.push(...outcome.files)
    onNote(`${name}: ${outcome.done} of ${outcome.cells} cells`)
  }
  // another call collects the results of parts
  if (CellShare.isPart(given)) return { files: [], failed }
  const written = [join(out, "RESULTS.md"), join("runs", "experiments", `index-${profile}.html`)] as const
  /** The index as Markdown links to Markdown pages, as HTML to HTML pages. */
  const page = (file: string): Page.Page => {
    const own = (all: readonly string[]): string => all.find((other) => extname(other) === extname(file))!
    const linked = parts.map(({ about, files }) => ({ ...about, link: relative(dirname(file), own(files)) }))
    return IndexPage.page(linked, profile, command)
  }
  await Failure.orThrow(Files.write(written[0], Page.markdown(page(written[0]), "figures").text))
  await Failure.orThrow(Files.write(written[1], Page.html(page(written[1]))))
  if (profile === "standard" && given.out === undefined) {
    try {
      await FindingsPage.write()
    } catch (thrown) {
      // a verdict changed, so its sentence has to be revised; the results are written already
      onNote(Failure.fromThrown(thrown).message)
    }
  }
  return { files: [...written, ...files], failed }
}

const main = async (): Promise<number> => {
  const command = flags(program("exp:all")).parse()
  const given = options(command)
  if (given.on !== undefined) {
    const cells = new Set<string>()
    for (const name of ordered())
      for (const id of await ExperimentRun.remaining(await Catalogue.load(name), given)) cells.add(id)
    return submit([...cells], given, fileURLToPath(import.meta.url))
  }
  const { files, failed } = await run(given, again("exp:all", process.argv.slice(2)))
  process.stdout.write(`${files.slice(0, 2).join("\n")}\n`)
  return failed > 0 ? 1 : 0
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await asProgram(main)
