import { Failure } from "@adafm/core"
import { z } from "zod"
import * as CheckpointFlag from "../CheckpointFlag.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf } from "../Verb.ts"

const shape = {
  images: Values.text,
  out: Values.text,
  limit: z.exactOptional(Values.count),
  steps: z.exactOptional(Values.count),
  starts: z.exactOptional(Values.batch),
  lr: z.exactOptional(Values.positive),
  features: z.exactOptional(Values.nonnegative),
  class: z.exactOptional(Values.natural),
  raw: Values.flag.default(false),
  checkpoint: CheckpointFlag.value,
}

export const project: Verb.Verb<typeof shape> = {
  name: "project",
  about: "find the latents whose images are closest to photographs",
  files: "<model>",
  flags: [
    ["--images <images>", "one photograph, or a folder, zip or tensor file of them (required)"],
    [
      "--out <folder>",
      "the folder for projected.safetensors (z, …, images) and projected.png (pairs of photograph and projection; required)",
    ],
    ["--limit <n>", "use only n of the images, chosen by --seed"],
    ["--steps <n>", "iterations (default 300)"],
    ["--starts <n>", "random starts for each photograph, of which the best result is kept (default 4)"],
    ["--lr <rate>", "initial learning rate, which falls to 0 (default 0.1)"],
    ["--features <weight>", "weight of the discriminator's features, that of the pixels being 1 (default 0.1)"],
    ["--class <n>", "the class, for a conditional model (default: drawn for each start)"],
    ["--raw", "use a run's trained generator, not its moving average"],
    CheckpointFlag.flag,
  ],
  shape,
  run: async ({ files, options, terminal }) => {
    const { Project } = await import("@adafm/job")
    const { lr, class: label, ...rest } = options
    const engine = await engineOf(options)
    const progress = terminal.progress("iterations")
    const done = await Failure.orThrow(
      Project.run(
        {
          ...rest,
          model: files[0]!,
          onNote: terminal.note,
          ...(lr !== undefined && { learningRate: lr }),
          ...(label !== undefined && { label }),
          onProgress: (step, steps, loss) => progress.update(step, steps, `loss ${loss.toFixed(4)}`),
        },
        engine,
      ),
    ).finally(progress.stop)
    const text = [
      ...CheckpointFlag.lines(done.checkpoint),
      Terminal.table([["photograph", "distance"], ...done.photographs.map((p) => [p.name, p.pixels.toFixed(3)])]),
      done.files.join(", "),
    ].join("\n")
    return { json: done, text }
  },
}
