/** A network that computes features of images, with the identity that every score carries. */
import { Checkpoint } from "@adafm/checkpoint"
import { Disk, Failure, Files, type NdArray, Path, Sha256 } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as Protocol from "../Protocol.ts"
import * as Embedded from "./Embedded.ts"
import * as Inception from "./Inception.ts"
import * as InceptionWeights from "./InceptionWeights.ts"
import * as NetworkSession from "./NetworkSession.ts"
import type * as Preprocessing from "./Preprocessing.ts"
import * as UserModel from "./UserModel.ts"

export interface Identity {
  readonly name: string
  readonly dims: number
  /** SHA-256 of the weights file. */
  readonly sha256: string
  /** False if the scores are comparable only with each other. */
  readonly comparable: boolean
  /** Execution provider that the network runs on. */
  readonly provider?: string
}

export interface Extractor extends Identity {
  readonly protocol: Protocol.Protocol
  /** Height and width of the input. */
  readonly size: readonly [number, number]
  readonly hasLogits: boolean
  /** For a user's network: how images become its input, and which output is the feature. */
  readonly declared?: Readonly<Record<string, unknown>>
  /** Warnings about the way the network runs, for every score. */
  readonly warnings?: readonly string[]
  /** `[N, 3, H, W] → features [N, dims]`, and `logits [N, classes]` where there are any. */
  readonly run: (x: NdArray.NdArray<"float32">) => Promise<Readonly<Record<string, NdArray.NdArray<"float32">>>>
  /** Makes the inputs in worker threads; without it, the calling thread does. */
  readonly preprocessing?: Preprocessing.Preprocessing
  readonly close: () => Promise<void>
}

export interface Options {
  /** `inception` (2048), `inception-64`, `-192`, `-768`, `embedded`, or the path of an `.onnx`. */
  readonly name: string
  readonly mode?: Protocol.Mode
  /** A weights file (PyTorch, safetensors, …); without it, the folders are searched for the known names. */
  readonly weights?: string
  readonly folders?: readonly string[]
  /** Execution provider of ONNX Runtime, `cpu` by default. `cpu` replaces a provider that is not usable here, with a warning. */
  readonly provider?: string
  readonly threads?: number
  /** A folder in which graphs built from weights are kept by the weights' hash; without it, none is kept. */
  readonly cache?: string
}

/** The usual names of weights files, in order of preference. */
const FILES: Readonly<Record<Inception.Network, readonly string[]>> = {
  fid: [
    "inception-2015-12-05.safetensors",
    "pt_inception-2015-12-05-6726825d.pth",
    "inception-2015-12-05-to-mixed6e.safetensors",
  ],
  torchvision: ["inception_v3_google-0cc3c7bd.pth", "inception_v3_google-1a9a5a14.pth"],
}
/** Their names for `adafm weights fetch`. */
const ASSETS: Readonly<Record<Inception.Network, string>> = { fid: "inception", torchvision: "inception-torchvision" }
/** The files whose weights end after Mixed_6e. */
const TRUNCATED = /to-mixed6e/

const dimsOf = (name: string): Inception.Dims | undefined =>
  name === "inception" ? 2048 : Inception.DIMS.find((d) => name === `inception-${d}`)

/** Whether this is the name of an extractor, not the path of a user's model. */
export const isKnown = (name: string): boolean => name === Embedded.NAME || dimsOf(name) !== undefined

/** Whether a file of this name has the weights for so many dimensions. */
const reaches = (file: string, dims: Inception.Dims): boolean => dims < 2048 || !TRUNCATED.test(Path.basename(file))

/** The names of files that have the weights for so many dimensions. */
const filesOf = (network: Inception.Network, dims: Inception.Dims): readonly string[] =>
  FILES[network].filter((file) => reaches(file, dims))

/** The weights file of an Inception extractor, if there is one. */
export const findWeights = ({ name, mode = "pytorch-fid", weights, folders = [] }: Options): string | undefined => {
  const dims = dimsOf(name)
  if (dims === undefined) return undefined
  if (weights !== undefined) return reaches(weights, dims) ? weights : undefined
  const names = filesOf(Protocol.of(mode).network, dims)
  return folders.flatMap((folder) => names.map((file) => Path.join(folder, file))).find((file) => Disk.existsSync(file))
}

const inception = (options: Options, dims: Inception.Dims): TE.TaskEither<Failure.Failure, Extractor> => {
  const protocol = Protocol.of(options.mode ?? "pytorch-fid")
  const file = options.weights ?? findWeights(options)
  if (file === undefined)
    return TE.left(
      Failure.make(
        "MissingWeights",
        `no weights of ${options.name} for mode ${protocol.mode} in ${(options.folders ?? []).join(", ") || "any folder"}: ` +
          `run \`adafm weights fetch ${ASSETS[protocol.network]}\`, put ${filesOf(protocol.network, dims).join(" or ")} there, ` +
          "give a file with --weights, or use --extractor embedded (whose scores are comparable only with each other)",
      ),
    )
  return pipe(
    Files.sha256(file),
    TE.flatMap((sha256) =>
      pipe(
        inceptionSession(options, dims, file, sha256),
        TE.map(
          (session): Extractor => ({
            name: options.name,
            dims,
            sha256,
            comparable: true,
            protocol,
            size: [Inception.SIZE, Inception.SIZE],
            hasLogits: session.session.outputs.includes("logits"),
            run: NetworkSession.runner(session),
            ...NetworkSession.withPreprocessing(session),
          }),
        ),
      ),
    ),
    TE.mapLeft(Failure.inFile(file)),
  )
}

/** The graph built from the weights of a file. */
const inceptionModel = (
  { mode = "pytorch-fid" }: Options,
  dims: Inception.Dims,
  file: string,
): TE.TaskEither<Failure.Failure, Uint8Array> => {
  const { network } = Protocol.of(mode)
  return pipe(
    Checkpoint.readAll(file),
    TE.flatMapEither(InceptionWeights.fold),
    TE.flatMapEither((weights) => {
      const found = InceptionWeights.networkOf(weights)
      return found !== undefined && found !== network
        ? E.left(
            Failure.make(
              "WrongWeights",
              `mode ${mode} needs weights of the ${network} network, but these are of the ${found} network`,
            ),
          )
        : Inception.model(weights, dims, network)
    }),
  )
}

/** Version of the kept graphs: raise it when `Inception.model` builds another graph from the same weights. */
const GRAPH_VERSION = 1

const hashFile = (kept: string): string => `${kept}.sha256`

/** Whether a kept graph has the hash that was recorded when it was written. */
const isWhole = (kept: string): TE.TaskEither<Failure.Failure, boolean> =>
  Failure.attempt(async () => {
    const recorded = await Failure.orThrow(Files.readText(hashFile(kept)))
    return recorded.trim() === (await Failure.orThrow(Files.sha256(kept)))
  })

const keep = (kept: string, model: Uint8Array): TE.TaskEither<Failure.Failure, void> =>
  pipe(
    Files.write(kept, model),
    TE.flatMap(() => Files.write(hashFile(kept), `${Sha256.make().update(model).hex()}\n`)),
  )

/** A session of the graph in the cache, or of one that is built and kept there. An unwritable cache or a damaged graph is no failure. */
const inceptionSession = (
  options: Options,
  dims: Inception.Dims,
  file: string,
  sha256: string,
): TE.TaskEither<Failure.Failure, NetworkSession.NetworkSession> => {
  const build = inceptionModel(options, dims, file)
  const fromBytes = TE.flatMap((model: Uint8Array) => NetworkSession.open(model, options))
  if (options.cache === undefined) return pipe(build, fromBytes)
  const { network } = Protocol.of(options.mode ?? "pytorch-fid")
  const kept = Path.join(options.cache, "graphs", `${network}-${dims}-v${GRAPH_VERSION}-${sha256}.onnx`)
  const rebuild = pipe(
    build,
    TE.tapTask((model) => keep(kept, model)),
    fromBytes,
  )
  return pipe(
    isWhole(kept),
    TE.orElse(() => TE.right<Failure.Failure, boolean>(false)),
    TE.flatMap((whole) =>
      whole
        ? pipe(
            NetworkSession.open(kept, options),
            TE.orElse(() => rebuild),
          )
        : rebuild,
    ),
  )
}

const embedded = (options: Options): TE.TaskEither<Failure.Failure, Extractor> =>
  pipe(
    TE.Do,
    TE.bind("network", () => Embedded.load()),
    TE.bind("session", ({ network: { model } }) => NetworkSession.open(model, options)),
    TE.map(
      ({ network: { sha256 }, session }): Extractor => ({
        name: Embedded.NAME,
        dims: Embedded.DIMS,
        sha256,
        comparable: false,
        protocol: Embedded.protocol(Protocol.of(options.mode ?? "pytorch-fid")),
        size: [Embedded.SIZE, Embedded.SIZE],
        hasLogits: true,
        run: NetworkSession.runner(session),
        ...NetworkSession.withPreprocessing(session),
      }),
    ),
  )

/** Loads an extractor; close it when done. */
export const open = (options: Options): TE.TaskEither<Failure.Failure, Extractor> => {
  const dims = dimsOf(options.name)
  if (dims !== undefined) return inception(options, dims)
  if (options.name === Embedded.NAME) return embedded(options)
  if (options.name.endsWith(".onnx")) return UserModel.open(options.name, options)
  return TE.left(
    Failure.make(
      "UnknownExtractor",
      `no extractor ${options.name}: expected inception, inception-64, inception-192, inception-768, embedded or the path of an .onnx file`,
    ),
  )
}

/** The best extractor that is usable here: the largest Inception whose weights are found, or else the embedded one. */
export const best = (options: Omit<Options, "name">): string =>
  ["inception", "inception-768"].find((name) => findWeights({ ...options, name }) !== undefined) ?? Embedded.NAME
