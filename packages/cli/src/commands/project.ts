import { Failure } from "@adafm/core"
import { z } from "zod"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf } from "../Verb.ts"

const shape = {
  images: Values.text,
  out: Values.text,
  limit: z.exactOptional(Values.count),
  steps: z.exactOptional(Values.count),
  starts: z.exactOptional(Values.count),
  lr: z.exactOptional(Values.positive),
  features: z.exactOptional(Values.nonnegative),
  class: z.exactOptional(Values.natural),
  raw: Values.flag.default(false),
}

export const project: Verb.Verb<typeof shape> = {
  name: "project",
  about: "photographs put into the latents of a generator",
  files: "<model>",
  flags: [
    ["--images <images>", "one picture, or a folder, zip or tensor file of them"],
    [
      "--out <folder>",
      "projected.safetensors (z, …, images) and projected.png (pairs: photograph, what the model makes of it)",
    ],
    ["--limit <n>", "a seeded subset of the images"],
    ["--steps <n>", "iterations (default 300)"],
    ["--starts <n>", "latents to begin at for each photograph, the best is kept (default 4)"],
    ["--lr <rate>", "first learning rate, which falls to 0 (default 0.1)"],
    ["--features <weight>", "of the discriminator's features beside the pixels (default 0.1)"],
    ["--class <n>", "of a conditional model (default: drawn for each start)"],
    ["--raw", "a run's generator as it is trained, not its moving average"],
  ],
  shape,
  run: async ({ files, options, terminal }) => {
    const { Project } = await import("@adafm/job")
    const { lr, class: label, ...rest } = options
    const engine = await engineOf(options)
    const progress = terminal.progress("project")
    const done = await Failure.orThrow(
      Project.run(
        {
          ...rest,
          model: files[0]!,
          ...(lr !== undefined && { learningRate: lr }),
          ...(label !== undefined && { label }),
          onProgress: (step, steps, loss) => progress.update(step, steps, `loss ${loss.toFixed(4)}`),
        },
        engine,
      ),
    ).finally(progress.stop)
    const text = [
      Terminal.table([["photograph", "distance"], ...done.photographs.map((p) => [p.name, p.pixels.toFixed(3)])]),
      done.files.join(", "),
    ].join("\n")
    return { json: done, text }
  },
}
