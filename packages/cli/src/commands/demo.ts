import { Failure } from "@adafm/core"
import { z } from "zod"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf } from "../Verb.ts"

const shape = {
  source: z.exactOptional(Values.text),
  out: Values.text.default("runs/demo"),
  steps: z.exactOptional(Values.count),
}

export const demo: Verb.Verb<typeof shape> = {
  name: "demo",
  about: "the bundled GAN to a hundred drawn flowers in minutes, beside a run from scratch; what npm start does",
  flags: [
    ["--source <model>", "another source than the bundled one"],
    ["--out <folder>", "runs and report (default runs/demo)"],
    ["--steps <n>", "steps of each of the two (default 400, fewer on a slow machine)"],
  ],
  shape,
  run: async ({ options, terminal }) => {
    const { Demo } = await import("@adafm/job")
    const engine = await engineOf(options)
    const progress = terminal.progress("training")
    const done = await Failure.orThrow(
      Demo.run(
        { ...options, onNote: terminal.note, onProgress: progress.update, shouldStop: terminal.heedInterrupts() },
        engine,
      ),
    ).finally(progress.stop)
    const text = done.done
      ? [
          `${done.report} is ready after ${done.seconds.toFixed(0)} s. Open it in a browser; then:`,
          ...done.next,
          "(PHOTOS: a folder or zip of your own images; where pnpm is not found: npx pnpm@10.34.8)",
        ]
      : ["stopped, with a checkpoint; the same command goes on"]
    return { json: done, text: text.join("\n  "), ...(!done.done && { code: 130 }) }
  },
}
