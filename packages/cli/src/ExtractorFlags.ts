/** What `features`, `metrics stats` and `evaluate` have in common: the choice of an extractor, progress, the summary of a file. */
import type { Features } from "@adafm/job"
import { z } from "zod"
import type * as Terminal from "./Terminal.ts"
import * as Values from "./Values.ts"

export const shape = {
  extractor: z.exactOptional(Values.text),
  mode: z.exactOptional(z.enum(["tf-compat", "pytorch-fid", "clean", "authors"])),
  weights: z.exactOptional(Values.text),
  count: z.exactOptional(Values.pictures),
  size: z.exactOptional(Values.pixels),
}

export const flags: readonly (readonly [string, string])[] = [
  [
    "--extractor <name>",
    "inception, inception-768, inception-192, inception-64, embedded or a path to an .onnx (default: the best whose weights are found)",
  ],
  ["--mode <name>", "preprocess images like: tf-compat, pytorch-fid (default), clean, authors"],
  ["--weights <file>", "the extractor's weights, a safetensors or PyTorch file"],
  ["--count <n>", "use only n images of each set, chosen by --seed"],
  ["--size <px>", "first crop the centre and resize it to this many pixels"],
]

/** Images done, with their rate. */
export const progress = (terminal: Terminal.Terminal) => {
  const { update, stop } = terminal.progress("images")
  return {
    stop,
    update: (done: number, total: number | undefined, rate: number): void =>
      update(done, total, `${rate.toFixed(1)} images/s`),
  }
}

/** The file that was written, as text. */
export const summary = ({ out, count, dims, extractor, warnings }: Features.Outcome): string =>
  [
    `${out}: ${count} images, ${dims} features each, by ${extractor.name} (mode ${extractor.mode}, weights ${extractor.sha256.slice(0, 12)}…)`,
    ...warnings.map((warning) => `warning: ${warning}`),
  ].join("\n")
