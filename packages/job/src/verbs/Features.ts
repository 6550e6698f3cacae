/** The features of images as a file: tensors, or statistics as pytorch-fid and clean-fid exchange them. */
import { Failure } from "@adafm/core"
import { Embedded, Extractor, FeatureFile, FeatureSet, type Protocol } from "@adafm/metrics"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as ImageSelection from "../run/ImageSelection.ts"
import * as WeightFolders from "../run/WeightFolders.ts"

export interface Look {
  /** `inception`, `inception-768`, …, a path to an `.onnx`; the best that is found by default. */
  readonly extractor?: string
  readonly mode?: Protocol.Mode
  /** A weights file, instead of the folders where they are looked for. */
  readonly weights?: string
  readonly provider?: string
  readonly threads?: number
}

/** Opens an extractor, hands it to `use`, closes it. */
export const look = async <A>(options: Look, use: (extractor: Extractor.Extractor) => Promise<A>): Promise<A> => {
  const { extractor, mode, weights, provider, threads } = options
  const search = {
    ...WeightFolders.search(),
    ...(mode !== undefined && { mode }),
    ...(weights !== undefined && { weights }),
    ...(provider !== undefined && { provider }),
    ...(threads !== undefined && { threads }),
  }
  const name = extractor ?? Extractor.best(search)
  if (weights !== undefined && (name === Embedded.NAME || name.endsWith(".onnx")))
    Failure.raise("BadArguments", `--weights are an Inception's, ${name} has its own`)
  const network = await Failure.orThrow(Extractor.open({ name, ...search }))
  try {
    return await use(network)
  } finally {
    await network.close()
  }
}

export interface Options extends Look {
  /** A folder, zip or tensor file. */
  readonly images: string
  /** Safetensors; for statistics also `.npz`. */
  readonly out: string
  readonly count?: number
  /** Centre crop and resize in pixels before the protocol's own; none by default. */
  readonly size?: number
  readonly seed: number
  /** For statistics: one part of the set. */
  readonly shard?: FeatureSet.Shard
  readonly onProgress?: NonNullable<FeatureSet.Options["onProgress"]>
}

export interface Outcome {
  readonly out: string
  readonly count: number
  readonly dims: number
  readonly extractor: Extractor.Identity & { readonly mode: Protocol.Mode }
  readonly warnings: readonly string[]
}

const outcome = (out: string, { origin, extractor, mode }: FeatureSet.Provenance): Outcome => ({
  out,
  count: origin.count,
  dims: extractor.dims,
  extractor: { ...extractor, mode },
  warnings: origin.warnings,
})

const through = async <A>(
  options: Options,
  compute: (source: FeatureSet.Source, network: Extractor.Extractor, options: FeatureSet.Options) => Promise<A>,
): Promise<A> => {
  const set = await Failure.orThrow(ImageSelection.open(options.images))
  try {
    return await look(options, (network) => compute({ kind: "images", set }, network, options))
  } finally {
    await set.close()
  }
}

/** Count, mean and covariance only, in constant memory. */
export const statistics = (options: Options): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const summary = await through(options, (...given) => Failure.orThrow(FeatureSet.summary(...given)))
    await Failure.orThrow(FeatureFile.writeSummary(options.out, summary))
    return outcome(options.out, summary)
  })

/** The statistics of several files as those of one set. */
export const merge = (files: readonly string[], out: string): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const shards: FeatureSet.Summary[] = []
    for (const file of files) shards.push(await Failure.orThrow(FeatureFile.readSummary(file)))
    const whole = await Failure.orThrow(TE.fromEither(FeatureFile.merge(shards)))
    await Failure.orThrow(FeatureFile.writeSummary(out, whole))
    return outcome(out, whole)
  })

/** Every image's features; statistics where `out` ends in `.npz`. */
export const run = (options: Options): TE.TaskEither<Failure.Failure, Outcome> =>
  options.out.endsWith(".npz")
    ? statistics(options)
    : Failure.attempt(async () => {
        const features = await through(options, (...given) => Failure.orThrow(FeatureSet.of(...given)))
        await Failure.orThrow(FeatureFile.writeFeatures(options.out, features))
        return outcome(options.out, features)
      })
