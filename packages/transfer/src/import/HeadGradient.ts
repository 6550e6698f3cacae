/**
 * The authors' small head adds their gradient factor, 0.01, to `small_H.weight`; ours adds the configured `head_gradient`. A file
 * for PyTorch holds the weight that belongs to 0.01, so that the authors' module makes the same images.
 */
import { Flat, NdArray } from "@adafm/core"
import { type Gan, SmallHead, type State } from "@adafm/gan"

type Float32 = NdArray.NdArray<"float32">

const WEIGHT = "small_H.weight"

/** The file's weight minus ours; 0 with the authors' factor, and for other architectures. */
const excess = (config: Gan.Config): number =>
  config.architecture === "gpgan-small-head" ? config.head_gradient - SmallHead.AUTHORS.head_gradient : 0

/** Adding 0 would turn -0 into 0, so it returns the array unchanged. */
const plus = (array: Float32, by: number): Float32 =>
  by === 0
    ? array
    : NdArray.float32(
        array.shape,
        array.data.map((v) => v + by),
      )

/** The parameters of a model as a file holds them. */
export const toFile = (config: Gan.Config, generator: State.Params): State.Params =>
  Flat.map(generator, (array, path) => (path === WEIGHT ? plus(array, excess(config)) : array))

/** A tensor of a file as the model holds it. */
export const fromFile = (config: Gan.Config, path: Flat.Path, array: Float32): Float32 =>
  path === WEIGHT ? plus(array, -excess(config)) : array
