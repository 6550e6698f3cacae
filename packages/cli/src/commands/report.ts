import { Failure } from "@adafm/core"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"

const shape = { out: Values.text.default("report.html") }

export const report: Verb.Verb<typeof shape> = {
  name: "report",
  about: "one self-contained page of one or several runs, .md and .json beside it",
  files: "<runs...>",
  flags: [["--out <file.html>", "where the page goes (default: report.html)"]],
  shape,
  run: async ({ files, options: { out } }) => {
    const { Report } = await import("@adafm/job")
    const done = await Failure.orThrow(Report.run({ folders: files, out }))
    const runs = done.runs.map(({ run, steps, seconds }) => ({ run, steps, seconds }))
    return { json: { out: done.out, files: done.files, runs }, text: done.out }
  },
}
