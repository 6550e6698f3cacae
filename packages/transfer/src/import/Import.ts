/**
 * Checkpoints of other trainers → a model folder: `model.json`, `generator.safetensors` and, unless the generator comes alone,
 * `discriminator.safetensors`, in float32 with PyTorch's names and layouts. Tensors are copied one at a time; the folder appears
 * whole or not at all.
 */
import { Checkpoint, Shards } from "@adafm/checkpoint"
import { Failure, Files, NdArray, OutputFolder, Path, Sha256 } from "@adafm/core"
import { type Gan, ModelFolder } from "@adafm/gan"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as ChooseNetworks from "../recognise/ChooseNetworks.ts"
import * as Recognise from "../recognise/Recognise.ts"
import * as NetworkFile from "./NetworkFile.ts"

export interface Options extends ChooseNetworks.Options {
  readonly out: string
  /** The architecture that the user expects; any other is an error. */
  readonly arch?: string
  /** Overrides the distribution of z that the layout implies. */
  readonly z?: "normal" | "uniform"
}

export interface Imported extends Pick<Recognise.Model, "layout">, Pick<ChooseNetworks.Chosen, "average" | "ignored"> {
  readonly out: string
  readonly architecture: string
  readonly config: Gan.Config
  readonly generator: { readonly params: number; readonly root: string }
  /** Null where the generator came alone. */
  readonly discriminator: { readonly params: number; readonly root: string } | null
  readonly source: {
    readonly sha256: string
    readonly files: readonly { readonly file: string; readonly sha256: string }[]
  }
}

const hashes = (files: readonly string[]): TE.TaskEither<Failure.Failure, Imported["source"]> =>
  pipe(
    files,
    TE.traverseSeqArray((file) =>
      pipe(
        Files.sha256(file),
        TE.map((sha256) => ({ file, sha256 })),
      ),
    ),
    TE.map((all) => ({
      files: all,
      sha256:
        all.length === 1
          ? all[0]!.sha256
          : Sha256.make()
              .update(all.map(({ sha256 }) => `${sha256}\n`).join(""))
              .hex(),
    })),
  )

const write = (
  checkpoints: readonly Checkpoint.Checkpoint[],
  options: Options,
  source: Imported["source"],
): TE.TaskEither<Failure.Failure, Imported> => {
  const { average, ignored, ...chosen } = ChooseNetworks.choose(checkpoints, options)
  const { gan, layout, generator, discriminator } = Recognise.model(chosen, options.arch)
  const { config } = gan
  const side = (role: Recognise.Role, { root }: Recognise.Source) => ({
    params: Object.values(gan[role])
      .filter((leaf) => leaf.role === "parameter")
      .reduce((n, { shape }) => n + NdArray.sizeOf(shape), 0),
    root,
  })
  const described = ModelFolder.describe(gan, {
    source: { file: source.files.map(({ file }) => Path.basename(file)).join(" + "), sha256: source.sha256 },
    ...(discriminator === undefined && { missing: "discriminator" as const }),
  })
  const distribution = options.z ?? described.latent.distribution
  const model: ModelFolder.Description = { ...described, latent: { ...described.latent, distribution } }
  return pipe(
    OutputFolder.write(options.out, {
      "model.json": `${JSON.stringify(model, null, 2)}\n`,
      "generator.safetensors": NetworkFile.encode(config, generator),
      ...(discriminator !== undefined && { "discriminator.safetensors": NetworkFile.encode(config, discriminator) }),
    }),
    TE.map(() => ({
      out: options.out,
      architecture: config.architecture,
      config,
      layout,
      generator: side("generator", generator),
      discriminator: discriminator === undefined ? null : side("discriminator", discriminator),
      average,
      ignored,
      source,
    })),
  )
}

/** Opens all files at once. */
const useAll = <A>(
  files: readonly string[],
  f: (checkpoints: readonly Checkpoint.Checkpoint[]) => Promise<A>,
  opened: readonly Checkpoint.Checkpoint[] = [],
): TE.TaskEither<Failure.Failure, A> => {
  const [file, ...rest] = files
  return file === undefined
    ? Failure.attempt(() => f(opened))
    : Checkpoint.use(file, (checkpoint) => Failure.orThrow(useAll(rest, f, [...opened, checkpoint])))
}

export const importModel = (options: Options): TE.TaskEither<Failure.Failure, Imported> => {
  const { files = [], generator, discriminator } = options
  const all = [...files, ...[generator, discriminator].filter((f) => f !== undefined)]
  if (all.length === 0) return TE.left(Failure.make("NoInput", "give a checkpoint, or --generator and --discriminator"))
  const shard = all.find((file) => Shards.isOne(Path.basename(file)))
  if (shard !== undefined)
    return TE.left(
      Failure.make("OneShard", "this is one of several shards: import their index (….index.json) instead", {
        file: shard,
      }),
    )
  return useAll(all, async (checkpoints) => {
    for (const checkpoint of checkpoints) checkpoint.verify()
    const source = await Failure.orThrow(hashes(all))
    return Failure.orThrow(write(checkpoints, options, source))
  })
}
