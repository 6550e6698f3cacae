import { Failure } from "@adafm/core"
import { z } from "zod"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { usage } from "../Verb.ts"

const shape = {
  out: Values.text.default("report.html"),
  watch: Values.flag.default(false),
  timelapse: z.exactOptional(Values.text),
  fps: z.exactOptional(Values.positive),
}

export const report: Verb.Verb<typeof shape> = {
  name: "report",
  about: "make one self-contained page about one or several runs, with .md and .json next to it",
  files: "<runs...>",
  flags: [
    ["--out <file.html>", "the page to write (default report.html)"],
    ["--watch", "write the page again while a run lives; an open page loads itself again"],
    ["--timelapse <file>", "write the grids of one run as an animation instead: .gif, .webp, .mp4 or .webm"],
    ["--fps <n>", "frames in a second of the timelapse (default 3)"],
  ],
  shape,
  run: async ({ files, options: { out, watch, timelapse, fps }, terminal }) => {
    if (fps !== undefined && timelapse === undefined) usage("--fps belongs to --timelapse")
    const { Report } = await import("@adafm/job")
    if (timelapse !== undefined) {
      if (files.length !== 1) usage(`--timelapse shows one run, found ${files.length}`)
      const done = await Failure.orThrow(Report.timelapse(files[0]!, timelapse, fps))
      return { json: { out: done.file, frames: done.frames }, text: `${done.file}: ${done.frames} frames` }
    }
    const options = { folders: files, out, onNote: terminal.note }
    const done = await Failure.orThrow(
      watch
        ? Report.watch(options, {
            shouldStop: terminal.heedInterrupts(),
            onPage: ({ runs }) =>
              terminal.note(`${out}: ${runs.map(({ run, steps }) => `${run}, step ${steps}`).join("; ")}`),
          })
        : Report.run(options),
    )
    const runs = done.runs.map(({ run, steps, seconds }) => ({ run, steps, seconds }))
    return { json: { out: done.out, files: done.files, runs }, text: done.out }
  },
}
