/**
 * Where the authors' small head adds their factor of the gradient, 0.01, to `small_H.weight`, ours adds its own `head_gradient`. In a
 * file for PyTorch the weight is the one that goes with theirs, so that their module makes the same images.
 */
import { Flat, NdArray } from "@adafm/core"
import { type Gan, SmallHead, type State } from "@adafm/gan"

type Float32 = NdArray.NdArray<"float32">

const WEIGHT = "small_H.weight"

/** What the file's weight has more than ours; 0 with the authors' factor, and of other architectures. */
const excess = (config: Gan.Config): number =>
  config.architecture === "gpgan-small-head" ? config.head_gradient - SmallHead.AUTHORS.head_gradient : 0

/** Nothing added leaves every bit, that of -0 too. */
const plus = (array: Float32, by: number): Float32 =>
  by === 0
    ? array
    : NdArray.float32(
        array.shape,
        array.data.map((v) => v + by),
      )

/** The model's parameters as a file has them. */
export const toFile = (config: Gan.Config, generator: State.Params): State.Params =>
  Flat.map(generator, (array, path) => (path === WEIGHT ? plus(array, excess(config)) : array))

/** A file's tensor as the model has it. */
export const fromFile = (config: Gan.Config, path: Flat.Path, array: Float32): Float32 =>
  path === WEIGHT ? plus(array, -excess(config)) : array
