import { Failure } from "@adafm/core"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"

const shape = { out: Values.text.default("report.html") }

export const report: Verb.Verb<typeof shape> = {
  name: "report",
  about: "make one self-contained page about one or several runs, with .md and .json next to it",
  files: "<runs...>",
  flags: [["--out <file.html>", "the page to write (default report.html)"]],
  shape,
  run: async ({ files, options: { out } }) => {
    const { Report } = await import("@adafm/job")
    const done = await Failure.orThrow(Report.run({ folders: files, out }))
    const runs = done.runs.map(({ run, steps, seconds }) => ({ run, steps, seconds }))
    return { json: { out: done.out, files: done.files, runs }, text: done.out }
  },
}
