import { Failure } from "@adafm/core"
import { z } from "zod"
import * as ExtractorFlags from "../ExtractorFlags.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { usage } from "../Verb.ts"

/** `i/n`: i from 1 to n; 0/n is n/n, so that counting from 0 covers the set as well. */
const shard = z.string().transform((text, context) => {
  const match = /^(\d+)\/(\d+)$/.exec(text)
  const [i, of] = [Number(match?.[1]), Number(match?.[2])]
  if (match !== null && of >= 1 && i <= of) return { index: (i + of - 1) % of, of }
  context.addIssue({ code: "custom", message: `expected i/n with i from 1 to n, found ${text}` })
  return z.NEVER
})

const statsShape = { ...ExtractorFlags.shape, out: Values.text, shard: z.exactOptional(shard) }

export const stats: Verb.Verb<typeof statsShape> = {
  name: "stats",
  about: "statistics of images in constant memory; shards of a set merge into the whole",
  files: "<images>",
  flags: [
    ...ExtractorFlags.flags,
    ["--shard <i/n>", "every n-th image only, this being the i-th part (1 … n)"],
    ["--out <file>", ".npz with mu and sigma, or safetensors with count, mean and scatter"],
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
  about: "one file of statistics from those of shards",
  files: "<files...>",
  flags: [["--out <file>", ".npz or safetensors"]],
  shape: mergeShape,
  run: async ({ files, options }) => {
    if (files.length < 2) usage("merging takes two files or more")
    const { Features } = await import("@adafm/job")
    const done = await Failure.orThrow(Features.merge(files, options.out))
    return { json: done, text: ExtractorFlags.summary(done) }
  },
}
