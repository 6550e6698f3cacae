import { Failure } from "@adafm/core"
import { z } from "zod"
import * as Terminal from "../Terminal.ts"
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
  about: "show AdaFM in minutes: the bundled GAN learns 100 drawn flowers, next to a GAN from scratch (npm start)",
  flags: [
    ["--source <model>", "start from this GAN: a model folder, a run or a bundled one (default builtin:cifar32-small)"],
    ["--out <folder>", "the folder for the runs and the report (default runs/demo)"],
    ["--steps <n>", "training steps of each of the two GANs (default 400, fewer on a slow machine)"],
  ],
  shape,
  run: async ({ options, terminal }) => {
    const { Demo } = await import("@adafm/job")
    const engine = await engineOf(options)
    const progress = terminal.progress("training")
    const done = await Failure.orThrow(
      Demo.run(
        {
          ...options,
          command: Terminal.command,
          onNote: terminal.note,
          onProgress: progress.update,
          shouldStop: terminal.heedInterrupts(),
        },
        engine,
      ),
    ).finally(progress.stop)
    const text = done.done
      ? [
          `The report is ready after ${done.seconds.toFixed(0)} s: open ${done.report} in a browser. Then try your own images:`,
          ...done.next,
          `(PHOTOS: your folder or zip of images${Terminal.command.startsWith("pnpm") ? "; if pnpm is not found, write npx pnpm@10.34.8" : ""})`,
        ]
      : [`Stopped, with a checkpoint. To continue: ${done.next[0]}`]
    return { json: done, text: text.join("\n  "), ...(!done.done && { code: 130 }) }
  },
}
