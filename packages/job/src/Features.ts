/** The features of images as a file: tensors, or statistics as pytorch-fid and clean-fid exchange them. */
import { Failure, Flat, NdArray, Safetensors } from "@adafm/core"
import { ImageSet } from "@adafm/data"
import { Extractor, Features, type Matrix, Npz, type Protocol, Stats } from "@adafm/metrics"
import { Checkpoint } from "@adafm/transfer"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Weights from "./Weights.ts"

export interface Look {
  /** `inception`, `inception-768`, …, a path to an `.onnx`; the best that is found by default. */
  readonly extractor?: string
  readonly mode?: Protocol.Mode
  /** A weights file, instead of the folders where they are looked for. */
  readonly weights?: string
  readonly provider?: string
  readonly threads?: number
}

/** Weights may be a PyTorch file. */
const readTensors = (file: string): TE.TaskEither<Failure.Failure, Flat.Flat<NdArray.NdArray>> =>
  Checkpoint.use(file, ({ tensors, read }) => Flat.map(tensors, (_, path) => read(path)))

/** Opens an extractor, hands it to `use`, closes it. */
export const look = async <A>(options: Look, use: (extractor: Extractor.Extractor) => Promise<A>): Promise<A> => {
  const { extractor, ...rest } = options
  const search = { ...rest, folders: Weights.folders(), readTensors }
  const network = await Failure.orRaise(Extractor.open({ name: extractor ?? Extractor.best(search), ...search }))
  try {
    return await use(network)
  } finally {
    await network.close()
  }
}

export interface Options extends Look {
  /** A folder, zip or tensor file. */
  readonly images: string
  /** Safetensors, or statistics where it ends in `.npz`. */
  readonly out: string
  readonly count?: number
  /** Centre crop and resize in pixels before the protocol's own; none by default. */
  readonly size?: number
  readonly seed: number
  readonly onProgress?: (done: number, total: number | undefined) => void
}

export interface Outcome {
  readonly out: string
  readonly count: number
  readonly dims: number
  readonly extractor: Extractor.Identity & { readonly mode: Protocol.Mode }
  readonly warnings: readonly string[]
}

const float32 = ({ rows, cols, data }: Matrix.Matrix): NdArray.NdArray<"float32"> =>
  NdArray.float32([rows, cols], Float32Array.from(data))

export const run = (options: Options): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const { images, out } = options
    const set = await Failure.orRaise(ImageSet.open(images))
    try {
      const { matrix, logits, ...provenance } = await look(options, (network) =>
        Failure.orRaise(Features.of({ kind: "images", set }, network, options)),
      )
      const { extractor, mode, origin } = provenance
      if (out.endsWith(".npz"))
        await Failure.orRaise(Npz.write(out, { ...Stats.moments(await Stats.of(matrix)), provenance }))
      else
        await Failure.orRaise(
          Safetensors.write(
            out,
            { features: float32(matrix), ...(logits && { logits: float32(logits) }) },
            { provenance: JSON.stringify(provenance) },
          ),
        )
      return {
        out,
        count: matrix.rows,
        dims: matrix.cols,
        extractor: { ...extractor, mode },
        warnings: origin.warnings,
      }
    } finally {
      await set.close()
    }
  })
