/** A network that turns images into features, with the identity that every score carries. */
import { existsSync } from "node:fs"
import { basename, join } from "node:path"
import { Checkpoint } from "@adafm/checkpoint"
import { Failure, Files, type NdArray } from "@adafm/core"
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
  /** SHA-256 of the weights' file. */
  readonly sha256: string
  /** False for stand-ins: their scores compare with nothing but themselves. */
  readonly comparable: boolean
  /** Execution provider that the network runs on. */
  readonly provider?: string
}

export interface Extractor extends Identity {
  readonly protocol: Protocol.Protocol
  /** Height and width of the input. */
  readonly size: readonly [number, number]
  readonly hasLogits: boolean
  /** How images become the input of somebody's own network, and which output is the feature. */
  readonly declared?: Readonly<Record<string, unknown>>
  /** What a score must say of the way the network runs. */
  readonly warnings?: readonly string[]
  /** `[N, 3, H, W] → features [N, dims]`, and `logits [N, classes]` where there are any. */
  readonly run: (x: NdArray.NdArray<"float32">) => Promise<Readonly<Record<string, NdArray.NdArray<"float32">>>>
  /** Makes the inputs in threads; the calling thread does without it. */
  readonly preprocessing?: Preprocessing.Preprocessing
  readonly close: () => Promise<void>
}

export interface Options {
  /** `inception` (2048), `inception-64`, `-192`, `-768`, `embedded`, or the path of an `.onnx`. */
  readonly name: string
  readonly mode?: Protocol.Mode
  /** A weights file; else the folders are searched for the known names. */
  readonly weights?: string
  readonly folders?: readonly string[]
  /** Execution provider of ONNX Runtime (`cpu` by default); one that is not usable here is replaced by `cpu`, with a warning. */
  readonly provider?: string
  readonly threads?: number
  /** A folder for the graphs that are built from weights, by the hash of these; nothing is kept without it. */
  readonly cache?: string
}

/** File names under which the weights are known, in order of preference. */
const FILES: Readonly<Record<Inception.Network, readonly string[]>> = {
  fid: [
    "inception-2015-12-05.safetensors",
    "pt_inception-2015-12-05-6726825d.pth",
    "inception-2015-12-05-to-mixed6e.safetensors",
  ],
  torchvision: ["inception_v3_google-0cc3c7bd.pth", "inception_v3_google-1a9a5a14.pth"],
}
/** The files that end after Mixed_6e. */
const TRUNCATED = /to-mixed6e/

const dimsOf = (name: string): Inception.Dims | undefined =>
  name === "inception" ? 2048 : Inception.DIMS.find((d) => name === `inception-${d}`)

/** Whether this is an extractor by name, not somebody's own. */
export const isKnown = (name: string): boolean => name === Embedded.NAME || dimsOf(name) !== undefined

/** Whether a file of this name holds the weights for so many dimensions. */
const reaches = (file: string, dims: Inception.Dims): boolean => dims < 2048 || !TRUNCATED.test(basename(file))

/** Files that hold the weights for so many dimensions. */
const filesOf = (network: Inception.Network, dims: Inception.Dims): readonly string[] =>
  FILES[network].filter((file) => reaches(file, dims))

/** Where the weights for `inception…` lie, if anywhere. */
export const findWeights = ({ name, mode = "pytorch-fid", weights, folders = [] }: Options): string | undefined => {
  const dims = dimsOf(name)
  if (dims === undefined) return undefined
  if (weights !== undefined) return reaches(weights, dims) ? weights : undefined
  const names = filesOf(Protocol.of(mode).network, dims)
  return folders.flatMap((folder) => names.map((file) => join(folder, file))).find((file) => existsSync(file))
}

const inception = (options: Options, dims: Inception.Dims): TE.TaskEither<Failure.Failure, Extractor> => {
  const protocol = Protocol.of(options.mode ?? "pytorch-fid")
  const file = options.weights ?? findWeights(options)
  if (file === undefined)
    return TE.left(
      Failure.make(
        "MissingWeights",
        `the weights of ${options.name} for mode ${protocol.mode} are in none of ${(options.folders ?? []).join(", ") || "no folders"}; ` +
          `put ${filesOf(protocol.network, dims).join(" or ")} there, name a file, or use the extractor embedded (not comparable)`,
      ),
    )
  return pipe(
    Files.sha256(file),
    TE.flatMap((sha256) =>
      pipe(
        inceptionSession(options, dims, file, sha256),
        TE.map(
          (running): Extractor => ({
            name: options.name,
            dims,
            sha256,
            comparable: true,
            protocol,
            size: [Inception.SIZE, Inception.SIZE],
            hasLogits: running.session.outputs.includes("logits"),
            run: NetworkSession.runner(running),
            ...NetworkSession.withPreprocessing(running),
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
        ? E.left(Failure.make("WrongWeights", `mode ${mode} needs the ${network} network, these are ${found} weights`))
        : Inception.model(weights, dims, network)
    }),
  )
}

/** Counts up when `Inception.model` answers another graph for the same weights. */
const GRAPHS = 1

/** A session of the graph in the cache, else of one built now and kept there. A cache that cannot be written is no failure. */
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
  const kept = join(options.cache, "graphs", `${network}-${dims}-v${GRAPHS}-${sha256}.onnx`)
  const rebuild = pipe(
    build,
    TE.tapTask((model) => Files.write(kept, model)),
    fromBytes,
  )
  return existsSync(kept)
    ? pipe(
        NetworkSession.open(kept, options),
        TE.orElse(() => rebuild),
      )
    : rebuild
}

const embedded = (options: Options): TE.TaskEither<Failure.Failure, Extractor> =>
  pipe(
    TE.Do,
    TE.bind("network", () => Embedded.load()),
    TE.bind("running", ({ network: { model } }) => NetworkSession.open(model, options)),
    TE.map(
      ({ network: { sha256 }, running }): Extractor => ({
        name: Embedded.NAME,
        dims: Embedded.DIMS,
        sha256,
        comparable: false,
        protocol: Embedded.protocol(Protocol.of(options.mode ?? "pytorch-fid")),
        size: [Embedded.SIZE, Embedded.SIZE],
        hasLogits: true,
        run: NetworkSession.runner(running),
        ...NetworkSession.withPreprocessing(running),
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
      `no extractor ${options.name}; there are inception, inception-64, inception-192, inception-768, embedded and paths of .onnx files`,
    ),
  )
}

/** The best that is usable here: the largest Inception whose weights are found, else the network that ships. */
export const best = (options: Omit<Options, "name">): string =>
  ["inception", "inception-768"].find((name) => findWeights({ ...options, name }) !== undefined) ?? Embedded.NAME
