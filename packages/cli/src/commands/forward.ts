import { Failure } from "@adafm/core"
import { z } from "zod"
import * as CheckpointFlag from "../CheckpointFlag.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf, usage } from "../Verb.ts"

const shape = {
  net: z.enum(["generator", "discriminator"]),
  inputs: Values.text,
  out: Values.text,
  grad: Values.flag.default(false),
  raw: Values.flag.default(false),
  checkpoint: CheckpointFlag.value,
  batchNorm: z.exactOptional(z.enum(["stored", "batch"])),
}

export const forward: Verb.Verb<typeof shape> = {
  name: "forward",
  about: "evaluate a network once, on given tensors",
  files: "<model>",
  flags: [
    ["--net <name>", "generator (reads z, y or y_float, noise/0, …) or discriminator (reads x, y); required"],
    ["--inputs <file>", "safetensors with the inputs, images NCHW in [-1, 1] (required)"],
    ["--out <file>", "the safetensors to write: image, or logit (required)"],
    ["--grad", "write the discriminator's input_grad and r1_per_image too"],
    ["--raw", "use a run's trained generator, not its moving average"],
    CheckpointFlag.flag,
    ["--batch-norm <statistics>", "statistics of batch norm: stored or batch (default: as in model.json)"],
  ],
  shape,
  run: async ({ files, options, terminal }) => {
    if (options.grad && options.net === "generator") usage("--grad belongs to --net discriminator")
    const { Forward } = await import("@adafm/job")
    const done = await Failure.orThrow(
      Forward.run({ ...options, model: files[0]!, onNote: terminal.note }, await engineOf(options)),
    )
    return { json: done, text: `${done.out}: ${done.tensors.join(", ")}` }
  },
}
