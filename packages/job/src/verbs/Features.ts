/** The features of images as a file: tensors, or statistics in the `.npz` format of pytorch-fid and clean-fid. */
import { Failure } from "@adafm/core"
import { Embedded, Extractor, FeatureFile, FeatureSet, type Protocol } from "@adafm/metrics"
import * as TE from "fp-ts/lib/TaskEither.js"
import * as ImageSelection from "../run/ImageSelection.ts"
import * as WeightFolders from "../run/WeightFolders.ts"

export interface Look {
  /** `inception`, `inception-768`, …, or a path to an `.onnx`; by default the best one whose weights are found. */
  readonly extractor?: string
  readonly mode?: Protocol.Mode
  /** A file of weights, instead of one from the folders that are searched. */
  readonly weights?: string
  readonly provider?: string
  readonly threads?: number
}

/** Opens an extractor, passes it to `use`, closes it. */
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
    Failure.raise("BadArguments", `--weights is for the inception extractors; ${name} has its own weights`)
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
  /** A safetensors file; for statistics also `.npz`. */
  readonly out: string
  readonly count?: number
  /** Photographs are cropped and resized to this many pixels before the mode's own resize; not by default. */
  readonly size?: number
  readonly seed: number
  /** For statistics: only one part of the set. */
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

/** Writes count, mean and covariance of the features, in constant memory. */
export const statistics = (options: Options): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const summary = await through(options, (...given) => Failure.orThrow(FeatureSet.summary(...given)))
    await Failure.orThrow(FeatureFile.writeSummary(options.out, summary))
    return outcome(options.out, summary)
  })

/** Merges the statistics of shards into those of the whole set. */
export const merge = (files: readonly string[], out: string): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const shards: FeatureSet.Summary[] = []
    for (const file of files) shards.push(await Failure.orThrow(FeatureFile.readSummary(file)))
    const whole = await Failure.orThrow(TE.fromEither(FeatureFile.merge(shards)))
    await Failure.orThrow(FeatureFile.writeSummary(out, whole))
    return outcome(out, whole)
  })

/** Writes the features of every image, or statistics if `out` ends in `.npz`. */
export const run = (options: Options): TE.TaskEither<Failure.Failure, Outcome> =>
  options.out.endsWith(".npz")
    ? statistics(options)
    : Failure.attempt(async () => {
        const features = await through(options, (...given) => Failure.orThrow(FeatureSet.of(...given)))
        await Failure.orThrow(FeatureFile.writeFeatures(options.out, features))
        return outcome(options.out, features)
      })
