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
  layers: z.exactOptional(Values.text),
  verify: z.exactOptional(Values.flag),
}

export const importModel: Verb.Verb<typeof shape> = {
  name: "import",
  about: "make a model folder of a checkpoint from another program",
  files: "[files...]",
  flags: [
    ["--out <folder>", "the model folder to write (required)"],
    ["--generator <file>", "the generator's file, if the networks are in two files or it comes alone"],
    ["--discriminator <file>", "the discriminator's file"],
    [
      "--generator-at <keys>",
      "which network of the file is the generator: the keys before its tensors, e.g. models/netG",
    ],
    ["--discriminator-at <keys>", "the same for the discriminator"],
    ["--arch <name>", "accept only this architecture: gpgan, gpgan-small-head, resnet3, resnet4, dcgan, fastgan"],
    ["--ema", "import the moving average of the generator"],
    [
      "--layers <file>",
      "a YAML file with the layers, for a file of weights that do not show them (inspect --suggest begins one)",
    ],
    [
      "--verify",
      "fail unless the outputs can be compared with what ONNX Runtime makes of the file (compared anyway where it can)",
    ],
    ["--no-verify", "do not compare"],
    ["--z <distribution>", "how z is drawn: normal or uniform (default: as usual for the recognised architecture)"],
  ],
  shape,
  run: async ({ files, options }) => {
    if (files.length === 0 && options.generator === undefined && options.discriminator === undefined)
      usage("name a checkpoint file, or give --generator FILE and --discriminator FILE")
    const { Import } = await import("@adafm/transfer")
    const imported = await Failure.orThrow(Import.importModel({ ...options, files }))
    const { ignored } = imported
    const of = ({ params, root }: NonNullable<typeof imported.discriminator>): string =>
      `${params} parameters${root === "" ? "" : ` (from ${root})`}`
    const text = [
      `${imported.out}: ${imported.architecture}, generator ${of(imported.generator)}${imported.generator.isAverage ? ", the moving average" : ""}, ${
        imported.discriminator === null
          ? "no discriminator (enough for sample, evaluate and export; transfer then needs --fresh-d)"
          : `discriminator ${of(imported.discriminator)}`
      }`,
      `images ${imported.image.join(" × ")} (channels × height × width)`,
      ...Object.entries(imported.verified ?? {}).map(
        ([role, { difference, largest }]) =>
          `the ${role} equals its file run by ONNX Runtime within ${difference.toPrecision(2)} (largest value ${largest.toPrecision(3)})`,
      ),
      ...(imported.notVerified === null
        ? []
        : [`the outputs were not compared with those of the file: ${imported.notVerified}`]),
      ...imported.assumptions.map((assumption) => `assumed: ${assumption}`),
      `source SHA-256 ${imported.source.sha256}`,
      ...(imported.average === null
        ? []
        : [`the file also holds a moving average of the generator (${imported.average}); --ema imports that`]),
      ...(ignored.length > 0
        ? [`ignored ${ignored.length} tensors: ${ignored.slice(0, 3).join(", ")}${ignored.length > 3 ? ", …" : ""}`]
        : []),
    ].join("\n")
    return { json: imported, text }
  },
}
