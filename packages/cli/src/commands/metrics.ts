import { Failure } from "@adafm/core"
import { z } from "zod"
import * as ExtractorFlags from "../ExtractorFlags.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { usage } from "../Verb.ts"

/** `i/n` with i from 1 to n. 0/n is n/n, so that counting from 0 covers the set too. */
const shard = z.string().transform((text, context) => {
  const match = /^(\d+)\/(\d+)$/.exec(text)
  const [i, of] = [Number(match?.[1]), Number(match?.[2])]
  if (match !== null && of >= 1 && i <= of) return { index: (i + of - 1) % of, of }
  context.addIssue({ code: "custom", message: "expected i/n with i from 1 to n" })
  return z.NEVER
})

const statsShape = { ...ExtractorFlags.shape, out: Values.text, shard: z.exactOptional(shard) }

export const stats: Verb.Verb<typeof statsShape> = {
  name: "stats",
  about: "compute statistics of images in constant memory, of a whole set or a shard of it",
  files: "<images>",
  flags: [
    ...ExtractorFlags.flags,
    ["--shard <i/n>", "only the i-th of n parts of the images (i from 1 to n)"],
    ["--out <file>", "the .npz (mu, sigma) or safetensors (count, mean, scatter) to write (required)"],
  ],
  shape: statsShape,
  run: async ({ files, options, terminal }) => {
    const { Features } = await import("@adafm/job")
    const progress = ExtractorFlags.progress(terminal)
    const done = await Failure.orThrow(
      Features.statistics({ ...options, images: files[0]!, onProgress: progress.update }),
    ).finally(progress.stop)
    return { json: done, text: ExtractorFlags.summary(done) }
  },
}

const mergeShape = { out: Values.text }

export const merge: Verb.Verb<typeof mergeShape> = {
  name: "merge",
  about: "merge the statistics of shards into one file",
  files: "<files...>",
  flags: [["--out <file>", "the .npz or safetensors to write (required)"]],
  shape: mergeShape,
  run: async ({ files, options }) => {
    if (files.length < 2) usage(`metrics merge needs two files or more, found ${files.length}`)
    const { Features } = await import("@adafm/job")
    const done = await Failure.orThrow(Features.merge(files, options.out))
    return { json: done, text: ExtractorFlags.summary(done) }
  },
}
