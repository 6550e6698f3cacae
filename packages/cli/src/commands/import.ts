import { Failure } from "@adafm/core"
import { z } from "zod"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { usage } from "../Verb.ts"

const shape = {
  out: Values.text,
  generator: z.exactOptional(Values.text),
  discriminator: z.exactOptional(Values.text),
  generatorAt: z.exactOptional(Values.text),
  discriminatorAt: z.exactOptional(Values.text),
  arch: z.exactOptional(Values.text),
  ema: Values.flag.default(false),
  z: z.exactOptional(z.enum(["normal", "uniform"])),
}

export const importModel: Verb.Verb<typeof shape> = {
  name: "import",
  about: "a foreign checkpoint becomes a model folder",
  files: "[files...]",
  flags: [
    ["--out <folder>", "the model folder to write"],
    ["--generator <file>", "the generator's file, where the networks come in two, or where it comes alone"],
    ["--discriminator <file>", "the discriminator's file"],
    ["--generator-at <keys>", "the keys in front of the generator's tensors, e.g. models/netG, where several would do"],
    ["--discriminator-at <keys>", "the same for the discriminator"],
    ["--arch <name>", "insist on an architecture: gpgan, gpgan-small-head, resnet3, resnet4, dcgan"],
    ["--ema", "take the moving average of the generator"],
    ["--z <distribution>", "how z was drawn: normal or uniform (default: as the recognised layout says)"],
  ],
  shape,
  run: async ({ files, options }) => {
    if (files.length === 0 && options.generator === undefined && options.discriminator === undefined)
      usage("give a checkpoint, or --generator and --discriminator")
    const { Import } = await import("@adafm/transfer")
    const imported = await Failure.orThrow(Import.importModel({ ...options, files }))
    const { ignored } = imported
    const of = ({ params, root }: typeof imported.generator): string =>
      `${params} parameters${root === "" ? "" : ` (from ${root})`}`
    const text = [
      `${imported.out}: ${imported.architecture}, generator ${of(imported.generator)}, ${
        imported.discriminator === null
          ? "no discriminator: it samples, is scored and exported; a transfer needs its discriminator or --fresh-d"
          : `discriminator ${of(imported.discriminator)}`
      }`,
      `source SHA-256 ${imported.source.sha256}`,
      ...(imported.average === null ? [] : [`there is a moving average too (${imported.average}): --ema takes it`]),
      ...(ignored.length > 0
        ? [`left out ${ignored.length} tensors: ${ignored.slice(0, 3).join(", ")}${ignored.length > 3 ? ", …" : ""}`]
        : []),
    ].join("\n")
    return { json: imported, text }
  },
}
