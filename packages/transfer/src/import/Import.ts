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
import * as EffectiveWeights from "../recognise/EffectiveWeights.ts"
import * as Recognise from "../recognise/Recognise.ts"
import * as LayersFile from "../stacks/LayersFile.ts"
import * as StackModel from "../stacks/StackModel.ts"
import * as NetworkFile from "./NetworkFile.ts"
import * as Verify from "./Verify.ts"

export interface Options extends ChooseNetworks.Options {
  readonly out: string
  /** A file in which a person has written the layers. */
  readonly layers?: string
  /** Compares the images with those that the file itself makes: always where that is possible (default), never, or fail without. */
  readonly verify?: boolean
  /** The architecture that the user expects; any other is an error. */
  readonly arch?: string
  /** Overrides the distribution of z that the layout implies. */
  readonly z?: "normal" | "uniform"
}

export interface Imported
  extends Pick<Recognise.Model, "layout" | "assumptions">,
    Pick<ChooseNetworks.Chosen, "average" | "ignored"> {
  readonly out: string
  readonly architecture: string
  /** Channels, height, width. */
  readonly image: readonly [channels: number, height: number, width: number]
  /** How far the network's outputs are from those of the file, run by ONNX Runtime; null where the file cannot be run. */
  readonly verified: Verify.Verified | null
  /** Why the outputs of a network were not compared with those of its file; null where all were. */
  readonly notVerified: string | null
  readonly config: Gan.Config
  readonly generator: {
    readonly params: number
    readonly root: string
    /** Whether it is a moving average, by its keys. */
    readonly isAverage: boolean
  }
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

interface Chosen extends Recognise.Model, Pick<ChooseNetworks.Chosen, "isAverage" | "average" | "ignored"> {
  readonly graphs?: StackModel.Read["graphs"]
}

/** Whether the names are those of an architecture with a name, which a transfer can take apart better than a list of layers. */
const hasName = (checkpoints: readonly Checkpoint.Checkpoint[]): boolean =>
  checkpoints.every((checkpoint) => {
    const { _tag, ...found } = Recognise.checkpoint(checkpoint)
    return _tag === "Known" || _tag === "Half" ? "architecture" in found && found.architecture !== "dcgan" : false
  })

const choose = (
  checkpoints: readonly Checkpoint.Checkpoint[],
  options: Options,
  layers: LayersFile.Description | undefined,
): Chosen => {
  const { arch } = options
  const said = { ...options, ...(layers !== undefined && { layers }) } as StackModel.Options
  if (StackModel.decides(checkpoints, said) && (layers !== undefined || !hasName(checkpoints))) {
    if (arch !== undefined && arch !== "dcgan")
      Failure.raise("UnknownArchitecture", `--arch ${arch}: the files hold the graph of plain layers, a dcgan`, {
        file: checkpoints[0]!.file,
      })
    const model = StackModel.read(checkpoints, said)
    return { ...model, average: null, ignored: StackModel.unused(checkpoints, model) }
  }
  const { isAverage, average, ignored, ...chosen } = ChooseNetworks.choose(checkpoints, options)
  const folded = [chosen.generator, chosen.discriminator].some((n) => n !== undefined && EffectiveWeights.isFolded(n))
  const model = Recognise.model(chosen, arch)
  return {
    ...model,
    isAverage,
    average,
    ignored,
    assumptions: [
      ...model.assumptions,
      ...(folded ? ["spectral or weight normalisation is computed into the weights; training goes on without it"] : []),
    ],
  }
}

const write = async (
  checkpoints: readonly Checkpoint.Checkpoint[],
  options: Options,
  source: Imported["source"],
): Promise<Imported> => {
  const layers = options.layers === undefined ? undefined : await Failure.orThrow(LayersFile.read(options.layers))
  const {
    gan,
    layout,
    generator,
    discriminator,
    isAverage,
    average,
    ignored,
    assumptions,
    graphs = {},
  } = choose(checkpoints, options, layers)
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
  const [height, width, channels] = gan.image
  const verified = options.verify === false ? null : await Verify.run(gan, { generator, discriminator }, graphs)
  if (options.verify === true && verified === null)
    Failure.raise("CannotVerify", "--verify needs a file that ONNX Runtime can run: an .onnx file", {
      file: checkpoints[0]!.file,
    })
  await Failure.orThrow(
    OutputFolder.write(options.out, {
      "model.json": `${JSON.stringify(model, null, 2)}\n`,
      "generator.safetensors": NetworkFile.encode(config, generator),
      ...(discriminator !== undefined && { "discriminator.safetensors": NetworkFile.encode(config, discriminator) }),
    }),
  )
  return {
    out: options.out,
    architecture: config.architecture,
    image: [channels, height, width],
    config,
    layout,
    assumptions,
    verified,
    notVerified: Verify.reason({ generator, discriminator }, verified, options.verify),
    generator: { ...side("generator", generator), isAverage },
    discriminator: discriminator === undefined ? null : side("discriminator", discriminator),
    average,
    ignored,
    source,
  }
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
    return write(checkpoints, options, source)
  })
}
