/** A model folder → files that PyTorch reads: safetensors, or a zip `.pt`; the original names, OIHW, to the bit. */
import { stat } from "node:fs/promises"
import { Failure, Files, Flat, Safetensors } from "@adafm/core"
import { ModelFolder } from "@adafm/gan"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Writer from "./torch/Writer.ts"

export interface Options {
  /** A model folder. */
  readonly folder: string
  /** The file to write; `.pt`, `.pth` and `.ckpt` are PyTorch archives unless `format` says otherwise. */
  readonly out: string
  readonly format?: "safetensors" | "pt"
  /** One network with bare names, or both as `generator/…`, `discriminator/…` (keys of a dictionary in a `.pt`). */
  readonly network?: "generator" | "discriminator"
}

export interface Exported {
  readonly out: string
  readonly format: "safetensors" | "pt"
  readonly tensors: number
  readonly bytes: number
  readonly sha256: string
}

const formatOf = ({ out, format }: Options): "safetensors" | "pt" =>
  format ?? (/\.(pt|pth|ckpt)$/i.test(out) ? "pt" : "safetensors")

/** What `import` believes: the numbers of the GP-GAN family; other architectures are recognised by their tensors. */
const metadata = ({ description: { config } }: ModelFolder.Model): Readonly<Record<string, string>> => {
  if (config.architecture === "dcgan") return { format: "pt" }
  const { architecture: _, ...sizes } = config
  return { format: "pt", config: JSON.stringify(sizes) }
}

export const exportModel = (options: Options): TE.TaskEither<Failure.Failure, Exported> => {
  const { folder, out, network } = options
  const format = formatOf(options)
  return pipe(
    ModelFolder.read(folder),
    TE.flatMap((model) => {
      const { generator, discriminator } = model
      const flat =
        network === undefined
          ? Flat.merge(Flat.prefix(generator, "generator"), Flat.prefix(discriminator, "discriminator"))
          : model[network]
      const content =
        format === "pt"
          ? Writer.encode(network === undefined ? { generator, discriminator } : model[network])
          : Safetensors.encode(flat, metadata(model))
      return pipe(
        Files.write(out, content),
        TE.map(() => Object.keys(flat).length),
      )
    }),
    TE.flatMap((tensors) =>
      pipe(
        TE.tryCatch(() => stat(out), Failure.fromThrown),
        TE.flatMap(({ size }) =>
          pipe(
            Files.sha256(out),
            TE.map((sha256) => ({ out, format, tensors, bytes: size, sha256 })),
          ),
        ),
      ),
    ),
  )
}
