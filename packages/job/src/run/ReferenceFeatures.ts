/** Features of reference images, cached on disk: many runs are scored against the same photographs. */

import { Failure, Files, NdArray, Path, Safetensors, Sha256 } from "@adafm/core"
import { ImageSet } from "@adafm/data"
import { Comparison, type Extractor, FeatureFile, type FeatureSet } from "@adafm/metrics"
import * as E from "fp-ts/lib/Either.js"
import * as WeightFolders from "#run/WeightFolders"

export interface Options {
  readonly size: number
  readonly seed: number
}

/** A hash of everything that the features depend on. */
const keyOf = (hash: string, extractor: Extractor.Extractor, options: Options): string => {
  const { name, sha256, dims, declared, protocol } = extractor
  return Sha256.make()
    .update(JSON.stringify({ format: 2, hash, name, sha256, dims, mode: protocol.mode, ...options, declared }))
    .hex()
}

export interface Hooks {
  readonly onNote?: ((line: string) => void) | undefined
  readonly onProgress?: ((done: number, total: number) => void) | undefined
}

const cacheNote = (folder: string, { message }: Failure.Failure): string =>
  `the features of the reference images cannot be kept in ${folder} (${message}) and are computed in every run; ADAFM_CACHE names another folder`

/** The features of a set, as `Comparison.reference` computes them. A damaged file in the cache is made anew; a cache that cannot be used is no failure. */
export const features = async (
  set: ImageSet.ImageSet,
  extractor: Extractor.Extractor,
  options: Options,
  { onNote, onProgress }: Hooks = {},
): Promise<FeatureSet.Features> => {
  const key = keyOf(await Failure.orThrow(ImageSet.hash(set)), extractor, options)
  const folder = Path.join(WeightFolders.cache(), "references")
  const file = Path.join(folder, `${key}.safetensors`)
  const kept = await FeatureFile.readFeatures(file)()
  if (E.isRight(kept)) return kept.right
  if (await Files.exists(file)) onNote?.(`${file} in the cache cannot be used and is made anew (${kept.left.message})`)
  const {
    matrix,
    logits: _,
    ...provenance
  } = await Failure.orThrow(
    Comparison.reference({ kind: "images", set }, extractor, {
      ...options,
      onProgress: (done, total = done) => onProgress?.(done, total),
    }),
  )
  const array = NdArray.make("float64", [matrix.rows, matrix.cols], matrix.data)
  const written = await Safetensors.write(file, { features: array }, { provenance: JSON.stringify(provenance) })()
  if (E.isLeft(written)) onNote?.(cacheNote(folder, written.left))
  return { ...provenance, matrix }
}
