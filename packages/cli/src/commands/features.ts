import { Failure } from "@adafm/core"
import * as ExtractorFlags from "../ExtractorFlags.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"

const shape = { ...ExtractorFlags.shape, out: Values.text }

export const features: Verb.Verb<typeof shape> = {
  name: "features",
  about: "compute features of images, as tensors or as .npz statistics",
  files: "<images>",
  flags: [
    ...ExtractorFlags.flags,
    ["--out <file>", "the safetensors (`features`, `logits`) or .npz (mu, sigma) to write (required)"],
  ],
  shape,
  run: async ({ files, options, terminal }) => {
    const { Features } = await import("@adafm/job")
    const progress = ExtractorFlags.progress(terminal)
    const done = await Failure.orThrow(
      Features.run({ ...options, images: files[0]!, onProgress: progress.update }),
    ).finally(progress.stop)
    return { json: done, text: ExtractorFlags.summary(done) }
  },
}
