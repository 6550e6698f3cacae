/**
 * Foreign checkpoints → a model folder: `model.json`, `generator.safetensors`, `discriminator.safetensors` (unless the generator
 * comes alone), float32, torch's names and layouts. Tensors are copied one at a time; the folder appears whole or not at all.
 */
import { createHash } from "node:crypto"
import { basename } from "node:path"
import { Modulate } from "@adafm/adafm"
import { Checkpoint, Shards } from "@adafm/checkpoint"
import { Failure, Files, Flat, NdArray, OutputFolder, Safetensors } from "@adafm/core"
import { Gan, ModelFolder, type Step } from "@adafm/gan"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as ChooseNetworks from "../recognise/ChooseNetworks.ts"
import * as DeclaredConfig from "../recognise/DeclaredConfig.ts"
import * as FoldedModulation from "../recognise/FoldedModulation.ts"
import * as LayerOrder from "../recognise/LayerOrder.ts"
import * as ParameterNames from "../recognise/ParameterNames.ts"
import * as Recognise from "../recognise/Recognise.ts"
import { isIgnored } from "../recognise/Shapes.ts"
import * as FlattenOrder from "./FlattenOrder.ts"
import * as HeadGradient from "./HeadGradient.ts"
import * as KerasDefaults from "./KerasDefaults.ts"

export interface Options {
  /** One file with both networks, or one for each. */
  readonly files?: readonly string[]
  readonly generator?: string
  readonly discriminator?: string
  /** The keys in front of a network's tensors, joined with `/`, where a file holds several that would do. */
  readonly generatorAt?: string
  readonly discriminatorAt?: string
  readonly out: string
  /** An architecture that the user insists on. */
  readonly arch?: string
  /** Take the moving average of the generator; the paper takes the generator itself. */
  readonly ema?: boolean
  /** Overrides the distribution of z that the layout implies. */
  readonly z?: "normal" | "uniform"
}

export interface Imported {
  readonly out: string
  readonly architecture: string
  readonly config: Gan.Config
  /** The published implementation whose names these are, where strides and slopes come from. */
  readonly layout: string | null
  readonly generator: { readonly params: number; readonly root: string }
  /** Null where the generator came alone. */
  readonly discriminator: { readonly params: number; readonly root: string } | null
  /** Keys of a moving average of the generator that was not taken. */
  readonly average: string | null
  /** Paths of the checkpoints that were left out, with the file's name in front where there are several files. */
  readonly ignored: readonly string[]
  readonly source: {
    readonly sha256: string
    readonly files: readonly { readonly file: string; readonly sha256: string }[]
  }
}

type Found = ChooseNetworks.Found

/** The networks of a model; a generator may come alone. */
interface Networks {
  readonly generator: Found
  readonly discriminator?: Found
}

const fail: (tag: string, message: string, file?: string) => never = (tag, message, file) =>
  Failure.raise(tag, message, file === undefined ? {} : { file })

const none = (failure: Failure.Failure): never => {
  throw new Failure.Raised(failure)
}

/** One network of a file that somebody calls a generator or a discriminator. */
const named = (checkpoint: Checkpoint.Checkpoint, role: Recognise.Role, { ema, at }: ChooseNetworks.Options): Found => {
  const all = ChooseNetworks.found(checkpoint)
  const place = at === undefined ? {} : { at }
  const chosen =
    role === "discriminator"
      ? ChooseNetworks.discriminator(all, place)
      : ChooseNetworks.generator(all, { ...place, ema: ema === true && all.length > 1 })
  return chosen ?? ChooseNetworks.alone(all) ?? none(ChooseNetworks.none(role, all))
}

/** What the options and the files say. */
const choose = (checkpoints: readonly Checkpoint.Checkpoint[], options: Options): Networks => {
  const { files = [], ema = false, generatorAt, discriminatorAt } = options
  const at = (file: string): Checkpoint.Checkpoint =>
    checkpoints[[...files, options.generator, options.discriminator].filter((f) => f !== undefined).lastIndexOf(file)]!
  const all = checkpoints.flatMap(ChooseNetworks.found)
  const [forG, forD] = [generatorAt, discriminatorAt].map((place) => (place === undefined ? {} : { at: place })) as [
    ChooseNetworks.Options,
    ChooseNetworks.Options,
  ]
  const generator =
    options.generator !== undefined
      ? named(at(options.generator), "generator", { ...forG, ema })
      : (ChooseNetworks.generator(all, { ...forG, ema }) ??
        (ema ? undefined : ChooseNetworks.unknown(all)) ??
        none(ChooseNetworks.none(ema ? "moving average of a generator" : "generator", all)))
  const rest = all.filter(({ checkpoint, root }) => checkpoint !== generator.checkpoint || root !== generator.root)
  const discriminator =
    options.discriminator !== undefined
      ? named(at(options.discriminator), "discriminator", forD)
      : ChooseNetworks.discriminator(rest, forD)
  if (discriminator !== undefined) return { generator, discriminator }
  // nobody decides silently that a network does not matter: alone is a file that holds nothing else, or a file named as the generator's
  const others = ChooseNetworks.others(rest)
  return others.length === 0 || (options.generator !== undefined && files.length === 0)
    ? { generator }
    : none(
        ChooseNetworks.none(
          "discriminator",
          rest,
          ", which fit none: say where it is with --discriminator-at, or import the generator alone with --generator FILE",
        ),
      )
}

const configOf = (
  { generator, discriminator }: Networks,
  { arch }: Options,
): { config: Gan.Config; layout: string | null } => {
  const shapes = {
    generator: ParameterNames.shapes(generator),
    ...(discriminator !== undefined && { discriminator: ParameterNames.shapes(discriminator) }),
  }
  const { file, metadata } = generator.checkpoint
  const recognised = Recognise.networks(shapes, DeclaredConfig.read(metadata))
  if (recognised._tag === "Unknown") return fail("UnknownArchitecture", Recognise.explain(recognised), file)
  const { config, layout = null } = recognised
  if (config === undefined) return fail("UnknownArchitecture", "the generator is missing", file)
  if (arch !== undefined && arch !== config.architecture)
    return fail("UnknownArchitecture", `these are the tensors of ${config.architecture}, not of ${arch}`, file)
  if (config.architecture === "dcgan")
    for (const { checkpoint, parameters } of discriminator === undefined ? [generator] : [generator, discriminator])
      if (ParameterNames.isUnordered(checkpoint)) LayerOrder.check(ParameterNames.shapes({ parameters }), checkpoint)
  const isKeras = [generator, discriminator].some((network) => network?.checkpoint.format === "tfjs")
  return { config: isKeras && config.architecture === "dcgan" ? KerasDefaults.defaults(config, file) : config, layout }
}

/** What a file of TensorFlow's holds in another order; the other formats have PyTorch's. */
const ordersOf = (config: Gan.Config, role: Recognise.Role, { checkpoint }: Found): Flat.Flat<FlattenOrder.Order> => {
  if (checkpoint.format !== "tfjs") return Flat.empty()
  if (config.architecture === "dcgan")
    return FlattenOrder.orders(config[role], role === "discriminator" ? config.image : undefined)
  return fail(
    "UnsupportedLayout",
    `a ${config.architecture} saved by TensorFlow: which of its numbers are in the order (H, W, C) is not known`,
    checkpoint.file,
  )
}

/** A weight that is no number spoils every image; the file says so before anybody trains on it. */
const finite = (array: NdArray.NdArray<"float32">, network: Found, from: Flat.Path): NdArray.NdArray<"float32"> =>
  NdArray.allFinite(array)
    ? array
    : Failure.raise(
        "NotFinite",
        "holds NaN or infinity: the training that wrote it had diverged, or its type overflowed",
        {
          file: network.checkpoint.file,
          path: from,
        },
      )

/** The file of one network, read and converted tensor by tensor while it is written. */
function* encoded(
  { config }: Gan.Gan,
  network: Found,
  paths: readonly Flat.Path[],
  orders: Flat.Flat<FlattenOrder.Order>,
): Generator<Uint8Array> {
  const specs = Flat.fromEntries(
    paths.map((path) => [path, { dtype: "float32", shape: network.parameters[path]!.shape } as const]),
  )
  yield* Safetensors.encodeHeader(specs)
  for (const path of [...paths].sort()) {
    const { from, permute } = network.parameters[path]!
    const order = orders[path]
    if (permute !== undefined || order !== undefined) {
      const array = finite(NdArray.toFloat32(network.checkpoint.read(from)), network, from)
      const ours = permute === undefined ? array : NdArray.permute(array, permute)
      yield NdArray.toBytes(order === undefined ? ours : FlattenOrder.reorder(order, ours))
    } else
      for (const piece of network.checkpoint.pieces(from))
        yield NdArray.toBytes(HeadGradient.fromFile(config, path, finite(NdArray.toFloat32(piece), network, from)))
  }
}

/** The same for a modulated generator, which is small enough to be folded in memory. */
const foldedFile = ({ config }: Gan.Gan, network: Found, modulation: Step.Modulation): readonly Uint8Array[] => {
  const params = Flat.map(network.parameters, ({ from }, path) =>
    HeadGradient.fromFile(config, path, finite(NdArray.toFloat32(network.checkpoint.read(from)), network, from)),
  )
  const folded = Modulate.fold(modulation, params)
  return Safetensors.encode(Flat.filter(folded, (path) => !isIgnored(path)))
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
          : createHash("sha256")
              .update(all.map(({ sha256 }) => `${sha256}\n`).join(""))
              .digest("hex"),
    })),
  )

/** The file of a network, folded where it is modulated. */
const contentOf = (gan: Gan.Gan, role: Recognise.Role, network: Found): Iterable<Uint8Array> => {
  const modulation = FoldedModulation.find(gan, role, network.parameters)
  return modulation === undefined
    ? encoded(gan, network, Object.keys(gan[role]), ordersOf(gan.config, role, network))
    : foldedFile(gan, network, modulation)
}

const write = (
  networks: Networks,
  checkpoints: readonly Checkpoint.Checkpoint[],
  options: Options,
  source: Imported["source"],
): TE.TaskEither<Failure.Failure, Imported> => {
  const { config, layout } = configOf(networks, options)
  const { generator, discriminator } = networks
  const gan = Gan.of(config)
  const chosen = discriminator === undefined ? [generator] : [generator, discriminator]
  const used = new Set(
    chosen.flatMap(({ checkpoint, parameters }) =>
      Object.entries(parameters)
        .filter(([path]) => !isIgnored(path))
        .map(([, { from }]) => `${checkpoint.file}\n${from}`),
    ),
  )
  const ignored = checkpoints.flatMap(({ file, tensors }) =>
    Object.keys(tensors)
      .filter((path) => !used.has(`${file}\n${path}`))
      .map((path) => (checkpoints.length > 1 ? `${file}:${path}` : path)),
  )
  const side = (role: Recognise.Role, { root }: Found) => ({
    params: Object.values(gan[role])
      .filter((leaf) => leaf.role === "parameter")
      .reduce((n, { shape }) => n + NdArray.sizeOf(shape), 0),
    root,
  })
  const described = ModelFolder.describe(gan, {
    source: { file: source.files.map(({ file }) => basename(file)).join(" + "), sha256: source.sha256 },
    ...(discriminator === undefined && { missing: "discriminator" as const }),
  })
  const distribution = options.z ?? described.latent.distribution
  const model: ModelFolder.Description = { ...described, latent: { ...described.latent, distribution } }
  return pipe(
    OutputFolder.write(options.out, {
      "model.json": `${JSON.stringify(model, null, 2)}\n`,
      "generator.safetensors": contentOf(gan, "generator", generator),
      ...(discriminator !== undefined && {
        "discriminator.safetensors": contentOf(gan, "discriminator", discriminator),
      }),
    }),
    TE.map(() => ({
      out: options.out,
      architecture: config.architecture,
      config,
      layout,
      generator: side("generator", generator),
      discriminator: discriminator === undefined ? null : side("discriminator", discriminator),
      average: ChooseNetworks.average(checkpoints.flatMap(ChooseNetworks.found), generator),
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
    ? TE.tryCatch(() => f(opened), Failure.fromThrown)
    : Checkpoint.use(file, (checkpoint) => Failure.orRaise(useAll(rest, f, [...opened, checkpoint])))
}

export const importModel = (options: Options): TE.TaskEither<Failure.Failure, Imported> => {
  const { files = [], generator, discriminator } = options
  const all = [...files, ...[generator, discriminator].filter((f) => f !== undefined)]
  if (all.length === 0) return TE.left(Failure.make("NoInput", "give a checkpoint, or --generator and --discriminator"))
  const shard = all.find((file) => Shards.isOne(basename(file)))
  if (shard !== undefined)
    return TE.left(
      Failure.make("OneShard", "one of several shards: give the index beside them (….index.json)", { file: shard }),
    )
  return useAll(all, async (checkpoints) => {
    for (const checkpoint of checkpoints) checkpoint.verify()
    const source = await Failure.orRaise(hashes(all))
    return Failure.orRaise(write(choose(checkpoints, options), checkpoints, options, source))
  })
}
