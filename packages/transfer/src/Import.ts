/**
 * Foreign checkpoints → a model folder: `model.json`, `generator.safetensors`, `discriminator.safetensors`, float32, torch's
 * names and layouts. Tensors are copied one at a time; the folder appears whole or not at all.
 */
import { createHash } from "node:crypto"
import { basename } from "node:path"
import { Modulate } from "@adafm/adafm"
import { Failure, Files, Flat, NdArray, Safetensors } from "@adafm/core"
import { Gan, ModelFolder, type Step } from "@adafm/gan"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Checkpoint from "./Checkpoint.ts"
import * as Claim from "./Claim.ts"
import * as Flattened from "./Flattened.ts"
import * as Folder from "./Folder.ts"
import * as Folding from "./Folding.ts"
import * as Keras from "./Keras.ts"
import * as Names from "./Names.ts"
import * as Recognise from "./Recognise.ts"
import { isIgnored } from "./recognise/Shapes.ts"

export interface Options {
  /** One file with both networks, or one for each. */
  readonly files?: readonly string[]
  readonly generator?: string
  readonly discriminator?: string
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
  readonly discriminator: { readonly params: number; readonly root: string }
  /** Paths of the checkpoints that were left out, with the file's name in front where there are several files. */
  readonly ignored: readonly string[]
  readonly source: {
    readonly sha256: string
    readonly files: readonly { readonly file: string; readonly sha256: string }[]
  }
}

interface Found extends Names.Network {
  readonly checkpoint: Checkpoint.Checkpoint
}

const found = (checkpoint: Checkpoint.Checkpoint): readonly Found[] =>
  Names.networks(checkpoint).map((network) => ({ ...network, checkpoint }))

const fail: (tag: string, message: string, file?: string) => never = (tag, message, file) =>
  Failure.raise(tag, message, file === undefined ? {} : { file })

/** The networks of a file that somebody calls a generator or a discriminator. */
const named = (checkpoint: Checkpoint.Checkpoint, role: Recognise.Role, ema: boolean): Found => {
  const all = found(checkpoint)
  const wanted = role === "discriminator" ? ["discriminator"] : ema ? ["generator_ema"] : ["generator", "generator_ema"]
  const byName = wanted.flatMap((kind) => all.filter((n) => n.kind === kind))[0]
  if (byName !== undefined) return byName
  if (ema && role === "generator" && all.some(({ kind }) => kind === "generator"))
    return fail("NoNetwork", "the file holds no moving average of its generator", checkpoint.file)
  const fitting = all.filter((n) => {
    const answer = Recognise.networks({ [role]: Names.shapes(n) })
    return answer._tag === "Half"
  })
  const [only] = all.length === 1 ? all : fitting
  return only !== undefined && (all.length === 1 || fitting.length === 1)
    ? only
    : fail(
        "NoNetwork",
        `cannot tell the ${role} among ${all.map(({ root }) => root || "the top level").join(", ")}`,
        checkpoint.file,
      )
}

/** Both networks of files whose roles nobody said. */
const both = (checkpoints: readonly Checkpoint.Checkpoint[], ema: boolean): Record<Recognise.Role, Found> => {
  const all = checkpoints.flatMap(found)
  const roleOf = (n: Found): Names.Kind => {
    if (n.kind !== "other") return n.kind
    const answer = Recognise.single(Names.shapes(n))
    return answer._tag === "Half" ? answer.role : "other"
  }
  const pick = (...kinds: readonly Names.Kind[]): Found | undefined =>
    kinds.flatMap((kind) => all.filter((n) => roleOf(n) === kind))[0]
  const generator = ema ? pick("generator_ema") : pick("generator", "generator_ema")
  const discriminator = pick("discriminator")
  const file = checkpoints[0]!.file
  const roots = all.map(({ root }) => root || "the top level").join(", ")
  if (generator === undefined)
    return fail("NoNetwork", `no ${ema ? "moving average of a generator" : "generator"} among ${roots}`, file)
  if (discriminator === undefined)
    return fail(
      "NoNetwork",
      `no discriminator among ${roots}; a model folder holds both networks, since both are trained: give the other file too`,
      file,
    )
  return { generator, discriminator }
}

const configOf = (
  networks: Record<Recognise.Role, Found>,
  { arch }: Options,
): { config: Gan.Config; layout: string | null } => {
  const shapes = { generator: Names.shapes(networks.generator), discriminator: Names.shapes(networks.discriminator) }
  const { file, metadata } = networks.generator.checkpoint
  const recognised = Recognise.networks(shapes, Claim.read(metadata))
  if (recognised._tag !== "Known")
    return fail(
      "UnknownArchitecture",
      recognised._tag === "Unknown" ? Recognise.explain(recognised) : "one network is missing",
      file,
    )
  const { config, layout = null } = recognised
  if (arch !== undefined && arch !== config.architecture)
    return fail("UnknownArchitecture", `these are the tensors of ${config.architecture}, not of ${arch}`, file)
  const isKeras = Object.values(networks).some(({ checkpoint }) => checkpoint.format === "tfjs")
  return { config: isKeras && config.architecture === "dcgan" ? Keras.defaults(config, file) : config, layout }
}

/** What a file of TensorFlow's holds in another order; the other formats have PyTorch's. */
const ordersOf = (config: Gan.Config, role: Recognise.Role, { checkpoint }: Found): Flat.Flat<Flattened.Order> => {
  if (checkpoint.format !== "tfjs") return Flat.empty()
  if (config.architecture === "dcgan")
    return Flattened.orders(config[role], role === "discriminator" ? config.image : undefined)
  return fail(
    "UnsupportedLayout",
    `a ${config.architecture} saved by TensorFlow: which of its numbers are in the order (H, W, C) is not known`,
    checkpoint.file,
  )
}

/** The file of one network, read and converted tensor by tensor while it is written. */
function* encoded(
  network: Found,
  paths: readonly Flat.Path[],
  orders: Flat.Flat<Flattened.Order>,
): Generator<Uint8Array> {
  const specs = Flat.fromEntries(
    paths.map((path) => [path, { dtype: "float32", shape: network.parameters[path]!.shape } as const]),
  )
  yield* Safetensors.encodeHeader(specs)
  for (const path of [...paths].sort()) {
    const { from, permute } = network.parameters[path]!
    const order = orders[path]
    if (permute !== undefined || order !== undefined) {
      const array = NdArray.toFloat32(network.checkpoint.read(from))
      const ours = permute === undefined ? array : NdArray.permute(array, permute)
      yield NdArray.toBytes(order === undefined ? ours : Flattened.reorder(order, ours))
    } else for (const piece of network.checkpoint.pieces(from)) yield NdArray.toBytes(NdArray.toFloat32(piece))
  }
}

/** The same for a modulated generator, which is small enough to be folded in memory. */
const foldedFile = (network: Found, modulation: Step.Modulation): readonly Uint8Array[] => {
  const params = Flat.map(network.parameters, ({ from }) => NdArray.toFloat32(network.checkpoint.read(from)))
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

const write = (
  networks: Record<Recognise.Role, Found>,
  checkpoints: readonly Checkpoint.Checkpoint[],
  options: Options,
  source: Imported["source"],
): TE.TaskEither<Failure.Failure, Imported> => {
  const { config, layout } = configOf(networks, options)
  const orders = {
    generator: ordersOf(config, "generator", networks.generator),
    discriminator: ordersOf(config, "discriminator", networks.discriminator),
  }
  const gan = Gan.of(config)
  const modulation = Folding.find(gan, "generator", networks.generator.parameters)
  const used = new Set(
    Object.values(networks).flatMap(({ checkpoint, parameters }) =>
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
  const side = (role: Recognise.Role) => ({
    params: Object.values(gan[role])
      .filter((leaf) => leaf.role === "parameter")
      .reduce((n, { shape }) => n + NdArray.sizeOf(shape), 0),
    root: networks[role].root,
  })
  const described = ModelFolder.describe(gan, {
    source: { file: source.files.map(({ file }) => basename(file)).join(" + "), sha256: source.sha256 },
  })
  const distribution = options.z ?? described.latent.distribution
  const model: ModelFolder.Description = { ...described, latent: { ...described.latent, distribution } }
  return pipe(
    Folder.write(options.out, {
      "model.json": `${JSON.stringify(model, null, 2)}\n`,
      "generator.safetensors":
        modulation === undefined
          ? encoded(networks.generator, Object.keys(gan.generator), orders.generator)
          : foldedFile(networks.generator, modulation),
      "discriminator.safetensors": encoded(
        networks.discriminator,
        Object.keys(gan.discriminator),
        orders.discriminator,
      ),
    }),
    TE.map(() => ({
      out: options.out,
      architecture: config.architecture,
      config,
      layout,
      generator: side("generator"),
      discriminator: side("discriminator"),
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
  const { files = [], generator, discriminator, ema = false } = options
  const all = [...files, ...[generator, discriminator].filter((f) => f !== undefined)]
  if (all.length === 0) return TE.left(Failure.make("NoInput", "give a checkpoint, or --generator and --discriminator"))
  return pipe(
    hashes(all),
    TE.flatMap((source) =>
      useAll(all, (checkpoints) => {
        for (const checkpoint of checkpoints) checkpoint.verify()
        const at = (file: string): Checkpoint.Checkpoint => checkpoints[all.lastIndexOf(file)]!
        const named_ = {
          ...(generator !== undefined && { generator: named(at(generator), "generator", ema) }),
          ...(discriminator !== undefined && { discriminator: named(at(discriminator), "discriminator", ema) }),
        }
        const networks =
          named_.generator !== undefined && named_.discriminator !== undefined
            ? { generator: named_.generator, discriminator: named_.discriminator }
            : { ...both(checkpoints, ema), ...named_ }
        return Failure.orRaise(write(networks, checkpoints, options, source))
      }),
    ),
  )
}
