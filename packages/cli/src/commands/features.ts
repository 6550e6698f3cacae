import { Failure } from "@adafm/core"
import type * as Job from "@adafm/job"
import { z } from "zod"
import type * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"

/** What was made, for people. */
export const told = (done: Job.Features.Outcome): string => {
  const { name, mode, sha256 } = done.extractor
  return [
    `${done.out}: ${done.count} × ${done.dims} by ${name}, ${mode}, weights ${sha256.slice(0, 12)}…`,
    ...done.warnings.map((warning) => `beware: ${warning}`),
  ].join("\n")
}

/** Progress of images, with their rate. */
export const imageProgress = (terminal: Terminal.Terminal) => {
  const { update, stop } = terminal.progress("images")
  return {
    stop,
    update: (done: number, total: number | undefined, rate: number): void =>
      update(done, total, `${rate.toFixed(1)} images/s`),
  }
}

/** How images are looked at: common to `features` and `evaluate`. */
export const lookShape = {
  extractor: z.exactOptional(Values.text),
  mode: z.exactOptional(z.enum(["tf-compat", "pytorch-fid", "clean", "authors"])),
  weights: z.exactOptional(Values.text),
  count: z.exactOptional(Values.count),
  size: z.exactOptional(Values.count),
}
export const lookFlags: readonly (readonly [string, string])[] = [
  [
    "--extractor <name>",
    "inception, inception-768, -192, -64, embedded or a path to an .onnx (default: the best here)",
  ],
  ["--mode <name>", "whose protocol: tf-compat, pytorch-fid (default), clean, authors"],
  ["--weights <file>", "the extractor's weights, safetensors or PyTorch"],
  ["--count <n>", "images of each side, a seeded subset"],
  ["--size <px>", "centre crop and resize to this first"],
]

const shape = { ...lookShape, out: Values.text }

export const features: Verb.Verb<typeof shape> = {
  name: "features",
  about: "features of images, as tensors or as .npz statistics",
  files: "<images>",
  flags: [...lookFlags, ["--out <file>", "safetensors with `features` (and `logits`), or .npz with mu and sigma"]],
  shape,
  run: async ({ files, options, terminal }) => {
    const { Features } = await import("@adafm/job")
    const progress = imageProgress(terminal)
    const done = await Failure.orThrow(
      Features.run({ ...options, images: files[0]!, onProgress: progress.update }),
    ).finally(progress.stop)
    return { json: done, text: told(done) }
  },
}
