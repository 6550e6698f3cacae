/** The pictures of a contact sheet as inputs of a generator, row by row: here plain samples. */
import { Flat, NdArray } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import type { Gan, State } from "@adafm/gan"
import * as Sampler from "../Sampler.ts"

export interface Sheet {
  /** `z`, `y`, `noise/k`, `mix/z` of all pictures, row by row. */
  readonly inputs: Engine.Arrays
  /** File names of the pictures, without extension. */
  readonly names: readonly string[]
  /** Pictures in a row, where the rows have a meaning. */
  readonly columns?: number
  /** The generator's parameters of each column, where the columns differ: `columns` of them. */
  readonly parameters?: readonly State.Params[]
}

/** The file name of a sample. */
export const nameOf = (n: number): string => `seed${String(n).padStart(4, "0")}`

/** These rows of every input, in this order. */
export const picked = (inputs: Engine.Arrays, rows: readonly number[]): Engine.Arrays =>
  Flat.map(inputs, (array) => Sampler.picked(array, rows))

/** The same inputs with one class for all of them; unchanged without a label or without classes. */
export const labelled = (inputs: Engine.Arrays, label: number | undefined): Engine.Arrays =>
  label === undefined || inputs.y === undefined
    ? inputs
    : Flat.merge<Engine.Arrays[string]>(inputs, {
        y: NdArray.int32(
          inputs.y.shape,
          Int32Array.from(inputs.y.data, () => label),
        ),
      })

export interface Wanted {
  readonly seed: number
  /** Which samples of this seed. */
  readonly numbers: readonly number[]
  /** The class of all of them; drawn by default. */
  readonly label?: number
}

/** The inputs of the wanted samples. */
export const samples = (gan: Gan.Gan, { seed, numbers, label }: Wanted): Engine.Arrays =>
  labelled(Sampler.inputs(gan, seed, numbers), label)

export const plain = (gan: Gan.Gan, wanted: Wanted): Sheet => ({
  inputs: samples(gan, wanted),
  names: wanted.numbers.map(nameOf),
})
