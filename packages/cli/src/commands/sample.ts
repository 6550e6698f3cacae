import { Failure } from "@adafm/core"
import { z } from "zod"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf, usage } from "../Verb.ts"

const shape = {
  count: z.exactOptional(Values.count),
  seeds: z.exactOptional(Values.ranges),
  class: z.exactOptional(Values.natural),
  mix: z.exactOptional(Values.ranges),
  mixFrom: z.exactOptional(Values.natural),
  interpolate: z.exactOptional(Values.count),
  fade: z.exactOptional(Values.count),
  grid: z.exactOptional(Values.text),
  out: z.exactOptional(Values.text),
  tensor: z.exactOptional(Values.text),
  raw: Values.flag.default(false),
  matchColours: z.exactOptional(Values.text),
  limit: z.exactOptional(Values.count),
}

export const sample: Verb.Verb<typeof shape> = {
  name: "sample",
  about: "images of a model folder or a run",
  files: "<model>",
  flags: [
    ["--count <n>", "the images 0 … n - 1 of this --seed (default 16)"],
    ["--seeds <ranges>", "these images, such as 0-15,31"],
    ["--class <n>", "one class of a conditional model (default: drawn for each image)"],
    [
      "--mix <ranges>",
      "style mixing: the styles of these images (columns) on the layouts of --seeds (rows); small heads only",
    ],
    ["--mix-from <k>", "style blocks from the k-th on take the other's style (default 0: all)"],
    ["--interpolate <n>", "n images from each of --seeds to the next, on the sphere of their latents"],
    [
      "--fade <n>",
      "n images from the source's filters to the target's, γ and β growing: a film strip for each of --seeds",
    ],
    ["--grid <file>", "all on one PNG"],
    ["--out <folder>", "one PNG each"],
    ["--tensor <file>", "safetensors, `images` [N, C, H, W] in [-1, 1]"],
    ["--match-colours <images>", "give them the colours of these images, and nothing else: a baseline"],
    ["--limit <n>", "a seeded subset of the images of --match-colours, as in transfer"],
    ["--raw", "a run's generator as it is trained, not its moving average"],
  ],
  shape,
  run: async ({ files, options, terminal }) => {
    const { count = 16, seeds, out, grid, tensor } = options
    if (grid === undefined && out === undefined && tensor === undefined)
      usage("say where to: --grid, --out or --tensor")
    if (options.count !== undefined && seeds !== undefined) usage("give --count or --seeds, not both")
    if ([options.mix, options.interpolate, options.fade].filter((asked) => asked !== undefined).length > 1)
      usage("give one of --mix, --interpolate and --fade")
    if (options.mixFrom !== undefined && options.mix === undefined) usage("--mix-from belongs to --mix")
    if (options.limit !== undefined && options.matchColours === undefined) usage("--limit belongs to --match-colours")
    const { Sample } = await import("@adafm/job")
    const engine = await engineOf(options)
    const progress = terminal.progress("images")
    const numbers = seeds ?? [...Array(count).keys()]
    const done = await Failure.orThrow(
      Sample.run(
        {
          ...options,
          model: files[0]!,
          numbers,
          ...(out !== undefined && { folder: out }),
          ...(options.class !== undefined && { label: options.class }),
          onProgress: progress.update,
        },
        engine,
      ),
    ).finally(progress.stop)
    const names = done.files.slice(0, 3).join(", ")
    const text = `${done.count} images: ${names}${done.files.length > 3 ? ", …" : ""}`
    return { json: done, text }
  },
}
