/** Features of reference images, cached on disk: many runs are scored against the same photographs. */

import { Failure, Files, NdArray, Path, Safetensors, Sha256 } from "@adafm/core"
import { ImageSet } from "@adafm/data"
import { Comparison, type Extractor, type FeatureSet, Matrix } from "@adafm/metrics"
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

const read = async (file: string): Promise<FeatureSet.Features> => {
  const { tensors, metadata } = await Failure.orThrow(Safetensors.read(file))
  const matrix = Matrix.of(tensors.features as NdArray.NdArray<"float64">)
  return { ...(JSON.parse(metadata.provenance!) as FeatureSet.Provenance), matrix }
}

/** The features of a set, as `Comparison.reference` computes them. */
export const features = async (
  set: ImageSet.ImageSet,
  extractor: Extractor.Extractor,
  options: Options,
): Promise<FeatureSet.Features> => {
  const key = keyOf(await Failure.orThrow(ImageSet.hash(set)), extractor, options)
  const file = Path.join(WeightFolders.cache(), "references", `${key}.safetensors`)
  if (await Files.exists(file)) return read(file)
  const {
    matrix,
    logits: _,
    ...provenance
  } = await Failure.orThrow(Comparison.reference({ kind: "images", set }, extractor, options))
  const array = NdArray.make("float64", [matrix.rows, matrix.cols], matrix.data)
  await Failure.orThrow(Safetensors.write(file, { features: array }, { provenance: JSON.stringify(provenance) }))
  return { ...provenance, matrix }
}
