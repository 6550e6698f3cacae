import { Failure } from "@adafm/core"
import { z } from "zod"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf, usage } from "../Verb.ts"

const shape = {
  net: z.enum(["generator", "discriminator"]),
  inputs: Values.text,
  out: Values.text,
  grad: Values.flag.default(false),
  raw: Values.flag.default(false),
  batchNorm: z.exactOptional(z.enum(["stored", "batch"])),
}

export const forward: Verb.Verb<typeof shape> = {
  name: "forward",
  about: "one evaluation of a network on given tensors",
  files: "<model>",
  flags: [
    ["--net <name>", "generator (reads z, y or y_float, noise/0, …) or discriminator (reads x, y)"],
    ["--inputs <file>", "safetensors, images NCHW in [-1, 1]"],
    ["--out <file>", "safetensors: image, or logit"],
    ["--grad", "the discriminator's input_grad and r1_per_image too"],
    ["--raw", "a run's generator as it is trained, not its moving average"],
    ["--batch-norm <statistics>", "stored or batch (default: as the model says)"],
  ],
  shape,
  run: async ({ files, options }) => {
    if (options.grad && options.net === "generator") usage("--grad belongs to --net discriminator")
    const { Forward } = await import("@adafm/job")
    const done = await Failure.orThrow(Forward.run({ ...options, model: files[0]! }, await engineOf(options)))
    return { json: done, text: `${done.out}: ${done.tensors.join(", ")}` }
  },
}
