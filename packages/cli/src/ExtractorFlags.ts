/** What `features`, `metrics stats` and `evaluate` have in common: the choice of an extractor, progress, the summary of a file. */
import type { Features } from "@adafm/job"
import { z } from "zod"
import type * as Terminal from "./Terminal.ts"
import * as Values from "./Values.ts"

export const shape = {
  extractor: z.exactOptional(Values.text),
  mode: z.exactOptional(z.enum(["tf-compat", "pytorch-fid", "clean", "authors"])),
  weights: z.exactOptional(Values.text),
  count: z.exactOptional(Values.count),
  size: z.exactOptional(Values.count),
}

export const flags: readonly (readonly [string, string])[] = [
  [
    "--extractor <name>",
    "inception, inception-768, -192, -64, embedded or a path to an .onnx (default: the best here)",
  ],
  ["--mode <name>", "whose protocol: tf-compat, pytorch-fid (default), clean, authors"],
  ["--weights <file>", "the extractor's weights, safetensors or PyTorch"],
  ["--count <n>", "images of each side, a seeded subset"],
  ["--size <px>", "centre crop and resize to this first"],
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

/** The file that was written, for people. */
export const summary = ({ out, count, dims, extractor, warnings }: Features.Outcome): string =>
  [
    `${out}: ${count} × ${dims} by ${extractor.name}, ${extractor.mode}, weights ${extractor.sha256.slice(0, 12)}…`,
    ...warnings.map((warning) => `beware: ${warning}`),
  ].join("\n")
