/** Models → files that PyTorch reads: safetensors, or a zip `.pt`; the original names, filters OIHW, exact to the bit. */
import { TorchWriter } from "@adafm/checkpoint"
import { Disk, Failure, Files, Flat, Safetensors } from "@adafm/core"
import { Gan, ModelFolder, type State } from "@adafm/gan"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as FastGan from "../recognise/architectures/FastGan.ts"
import * as HeadGradient from "./HeadGradient.ts"

export interface Target {
  /** The file to write; `.pt`, `.pth` and `.ckpt` are PyTorch archives unless `format` says otherwise. */
  readonly out: string
  readonly format?: "safetensors" | "pt"
  /** One network with bare names, or both as `generator/…`, `discriminator/…` (keys of a dictionary in a `.pt`). */
  readonly network?: "generator" | "discriminator"
}

export interface Options extends Target {
  /** A model folder. */
  readonly folder: string
}

export interface Exported {
  readonly out: string
  readonly format: "safetensors" | "pt"
  readonly tensors: number
  readonly bytes: number
  readonly sha256: string
}

const formatOf = ({ out, format }: Target): "safetensors" | "pt" =>
  format ?? (/\.(pt|pth|ckpt)$/i.test(out) ? "pt" : "safetensors")

/** The configuration that `import` reads, for the GP-GAN family; other architectures are recognised by their tensors. */
const metadata = (config: Gan.Config): Readonly<Record<string, string>> => {
  if (config.architecture === "mined" || Gan.isUnlabelled(config)) return { format: "pt" }
  const { architecture: _, ...sizes } = config
  return { format: "pt", config: JSON.stringify(sizes) }
}

/** Both networks for a `.pt`; without an empty discriminator, where the model is a generator alone. */
const whole = ({ generator, discriminator }: State.Networks): Readonly<Record<string, State.Params>> =>
  Object.keys(discriminator).length === 0 ? { generator } : { generator, discriminator }

/** Writes the parameters of networks without modulation; the caller folds it in first. */
export const write = (
  config: Gan.Config,
  networks: State.Networks,
  target: Target,
): TE.TaskEither<Failure.Failure, Exported> => {
  const { out, network } = target
  const own = { ...networks, generator: FastGan.toFile(config, HeadGradient.toFile(config, networks.generator)) }
  const { generator, discriminator } = own
  const format = formatOf(target)
  const flat =
    network === undefined
      ? Flat.merge(Flat.prefix(generator, "generator"), Flat.prefix(discriminator, "discriminator"))
      : own[network]
  const content =
    format === "pt"
      ? TorchWriter.encode(network === undefined ? whole(own) : own[network])
      : Safetensors.encode(flat, metadata(config))
  return pipe(
    Files.write(out, content),
    TE.flatMap(() => Failure.attempt(() => Disk.stat(out))),
    TE.flatMap(({ size }) =>
      pipe(
        Files.sha256(out),
        TE.map((sha256) => ({ out, format, tensors: Object.keys(flat).length, bytes: size, sha256 })),
      ),
    ),
  )
}

export const exportModel = ({ folder, ...target }: Options): TE.TaskEither<Failure.Failure, Exported> =>
  pipe(
    ModelFolder.read(folder),
    TE.flatMap((model) => {
      const { config, missing } = model.description
      return target.network === "discriminator" && missing !== undefined
        ? TE.left(
            Failure.make("NoDiscriminator", "the model has only a generator, so there is no discriminator to export", {
              file: folder,
            }),
          )
        : write(config, model, target)
    }),
  )
