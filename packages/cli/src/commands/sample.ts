import { Failure } from "@adafm/core"
import { z } from "zod"
import * as CheckpointFlag from "../CheckpointFlag.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf, usage } from "../Verb.ts"

const shape = {
  count: z.exactOptional(Values.pictures),
  seeds: z.exactOptional(Values.ranges),
  class: z.exactOptional(Values.natural),
  mix: z.exactOptional(Values.ranges),
  mixFrom: z.exactOptional(Values.natural),
  interpolate: z.exactOptional(Values.pictures),
  fade: z.exactOptional(Values.pictures),
  trunc: z.exactOptional(Values.nonnegative),
  fps: z.exactOptional(Values.positive),
  grid: z.exactOptional(Values.text),
  out: z.exactOptional(Values.text),
  tensor: z.exactOptional(Values.text),
  raw: Values.flag.default(false),
  checkpoint: CheckpointFlag.value,
  matchColours: z.exactOptional(Values.text),
  limit: z.exactOptional(Values.count),
}

export const sample: Verb.Verb<typeof shape> = {
  name: "sample",
  about: "make images with a model or a run",
  files: "<model>",
  flags: [
    ["--count <n>", "the images 0 to n - 1 of this --seed (default 16)"],
    ["--seeds <ranges>", "the images with these numbers, such as 0-15,31"],
    ["--class <n>", "the class, for a conditional model (default: drawn for each image)"],
    [
      "--mix <ranges>",
      "style mixing: the layouts of --seeds (rows) with the styles of these images (columns); needs a small head",
    ],
    ["--mix-from <k>", "take the other image's style from style block k on (default 0: all of them)"],
    ["--interpolate <n>", "n images from each of --seeds to the next"],
    ["--fade <n>", "n images for each of --seeds, in which the trained modulation grows from none to full"],
    [
      "--trunc <psi>",
      "truncation: the share of the latents' distance from their mean that remains; below 1 pictures are more typical and vary less",
    ],
    ["--grid <file>", "write all images on one picture: .png, .jpg, .webp, .tiff or .avif"],
    [
      "--out <path>",
      "a folder: write a PNG for each image; FILE.gif, .webp, .mp4 or .webm: write --interpolate or --fade as an animation (video needs ffmpeg)",
    ],
    ["--fps <n>", "frames in a second of an animation (default 12)"],
    ["--tensor <file>", "write safetensors: `images` [N, C, H, W] in [-1, 1]"],
    ["--match-colours <images>", "give the images the colours of these ones, and change nothing else: a baseline"],
    ["--limit <n>", "use only n images of --match-colours, chosen by --seed"],
    ["--raw", "use a run's trained generator, not its moving average"],
    CheckpointFlag.flag,
  ],
  shape,
  run: async ({ files, options, terminal }) => {
    const { count = 16, seeds, out, grid, tensor } = options
    if (grid === undefined && out === undefined && tensor === undefined)
      usage("nothing says where the images go: give --grid FILE, --out FOLDER or --tensor FILE")
    if (options.count !== undefined && seeds !== undefined) usage("give either --count or --seeds, not both")
    if ([options.mix, options.interpolate, options.fade].filter((asked) => asked !== undefined).length > 1)
      usage("give only one of --mix, --interpolate and --fade")
    if (options.mixFrom !== undefined && options.mix === undefined) usage("--mix-from belongs to --mix")
    if (options.limit !== undefined && options.matchColours === undefined) usage("--limit belongs to --match-colours")
    const { Sample } = await import("@adafm/job")
    const isAnimation = out !== undefined && Sample.isAnimation(out)
    if (options.fps !== undefined && !isAnimation) usage("--fps belongs to --out FILE.gif, .webp, .mp4 or .webm")
    const engine = await engineOf(options)
    const progress = terminal.progress("images")
    const numbers = seeds ?? [...Array(count).keys()]
    const done = await Failure.orThrow(
      Sample.run(
        {
          ...options,
          model: files[0]!,
          onNote: terminal.note,
          numbers,
          ...(out !== undefined && (isAnimation ? { animation: out } : { folder: out })),
          ...(options.trunc !== undefined && { psi: options.trunc }),
          ...(options.class !== undefined && { label: options.class }),
          onProgress: progress.update,
        },
        engine,
      ),
    ).finally(progress.stop)
    const names = done.files.slice(0, 3).join(", ")
    const made = `${done.count} ${done.count === 1 ? "image" : "images"}: ${names}${done.files.length > 3 ? ", …" : ""}`
    const text = [...CheckpointFlag.lines(done.checkpoint), made].join("\n")
    return { json: done, text }
  },
}
