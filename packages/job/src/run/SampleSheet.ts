/**
 * The pictures of a contact sheet as inputs of a generator, row by row: samples, walks between samples, mixed styles, and the
 * fade from the source's filters to the target's.
 */
import type { Modulate } from "@adafm/adafm"
import { Failure, Flat, NdArray } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { Gan, type State } from "@adafm/gan"
import type { Model } from "./Model.ts"
import * as Sampler from "./Sampler.ts"

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

const seed = (n: number): string => `seed${String(n).padStart(4, "0")}`

/** These rows of every input, in this order. */
const picked = (inputs: Engine.Arrays, rows: readonly number[]): Engine.Arrays =>
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

const samples = (gan: Gan.Gan, { seed, numbers, label }: Wanted): Engine.Arrays =>
  labelled(Sampler.inputs(gan, seed, numbers), label)

export const plain = (gan: Gan.Gan, wanted: Wanted): Sheet => ({
  inputs: samples(gan, wanted),
  names: wanted.numbers.map(seed),
})

/**
 * Spherical interpolation from a (t = 0) to b (t = 1): `sin((1-t)ω)/sin ω · a + sin(tω)/sin ω · b`, ω the angle between them
 * (Shoemake 1985; the authors' `interpolate_sphere`).
 */
export const spherical = (a: Float32Array, b: Float32Array, t: number): Float32Array => {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, v, i) => sum + v * y[i]!, 0)
  const angle = Math.acos(Math.min(1, Math.max(-1, dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)))))
  const [p, q] =
    angle < 1e-4 ? [1 - t, t] : [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)]
  return a.map((x, i) => p * x + q * b[i]!)
}

const straight = (a: Float32Array, b: Float32Array, t: number): Float32Array => a.map((x, i) => (1 - t) * x + t * b[i]!)

/** One row for each pair of consecutive samples: `frames` pictures from the first to the second, both included, with the first's noise and class. */
export const walk = (gan: Gan.Gan, wanted: Wanted, frames: number): Sheet => {
  const { numbers } = wanted
  if (numbers.length < 2)
    return Failure.raise(
      "TooFew",
      `--interpolate needs 2 or more samples, found ${numbers.length}: see --seeds, --count`,
    )
  if (frames < 2) return Failure.raise("TooFew", `--interpolate ${frames}: expected 2 or more pictures`)
  const between = gan.latent.distribution === "normal" ? spherical : straight
  const all = samples(gan, wanted)
  const [z, dim] = [all.z!.data as Float32Array, gan.latent.dim]
  const rows = numbers.slice(1).map((_, i) => i)
  const inputs = picked(
    all,
    rows.flatMap((row) => Array.from({ length: frames }, () => row)),
  )
  const at = (row: number): Float32Array => z.subarray(row * dim, (row + 1) * dim)
  const steps = rows.flatMap((row) =>
    Array.from({ length: frames }, (_, i) => between(at(row), at(row + 1), i / (frames - 1))),
  )
  const walked = NdArray.zeros("float32", [steps.length, dim])
  steps.forEach((values, i) => void walked.data.set(values, i * dim))
  return {
    inputs: Flat.merge<Engine.Arrays[string]>(inputs, { z: walked }),
    names: rows.flatMap((row) =>
      Array.from(
        { length: frames },
        (_, i) => `${seed(numbers[row]!)}-${seed(numbers[row + 1]!)}-${String(i).padStart(3, "0")}`,
      ),
    ),
    columns: frames,
  }
}

/**
 * Style mixing: the layouts of the samples (rows) with the styles of other samples (columns). The first column shows the samples
 * unmixed, the first row the others.
 */
export const mixed = (
  gan: Gan.Gan,
  wanted: Wanted & { readonly mixFrom?: number },
  styles: readonly number[],
): Sheet => {
  const config = Gan.plain(gan.config)
  if (config.architecture !== "gpgan-small-head")
    return Failure.raise(
      "NoStyles",
      `--mix mixes the styles of a small head, and this model (${config.architecture}) has none: see transfer --head small`,
    )
  const { numbers, mixFrom = 0 } = wanted
  if (mixFrom >= config.head_blocks)
    Failure.raise(
      "BadArguments",
      `--mix-from ${mixFrom}: the last style block of this model is ${config.head_blocks - 1}`,
    )
  const both = samples(gan, { ...wanted, numbers: [...numbers, ...styles] })
  const style = (k: number): number => numbers.length + k
  type Cell = readonly [layout: number, style: number]
  const cells: readonly Cell[] = [
    // the corner repeats the first sample
    [0, 0],
    ...styles.map((_, k): Cell => [style(k), style(k)]),
    ...numbers.flatMap((_, i): readonly Cell[] => [[i, i], ...styles.map((_, k): Cell => [i, style(k)])]),
  ]
  const name = (row: number): string => seed([...numbers, ...styles][row]!)
  return {
    inputs: Flat.merge<Engine.Arrays[string]>(
      picked(
        both,
        cells.map(([layout]) => layout),
      ),
      {
        "mix/z": Sampler.picked(
          both.z!,
          cells.map(([, style]) => style),
        ),
      },
    ),
    names: cells.map(([layout, style]) => (layout === style ? name(layout) : `${name(layout)}-style-${name(style)}`)),
    columns: styles.length + 1,
  }
}

/** The generator's parameters with its modulation interpolated: t = 0 gives the source's filters, t = 1 the trained ones. */
export const faded = (modulation: Modulate.Modulation, generator: State.Params, t: number): State.Params => {
  const began = modulation.start(generator)
  return Flat.map(generator, (array, path) => {
    const leaf = modulation.leaves[path]
    const start = began[path]?.data ?? (leaf?.init.kind === "constant" ? leaf.init.value : undefined)
    if (leaf === undefined || start === undefined) return array
    const data = array.data.map((end, i) => {
      const from = typeof start === "number" ? start : start[i]!
      return from + t * (end - from)
    })
    return NdArray.float32(array.shape, data)
  })
}

/** One row for each sample: `frames` pictures in which the modulation (γ and β of AdaFM) grows from none to the trained one. */
export const fade = ({ gan, generator, modulation, path }: Model, wanted: Wanted, frames: number): Sheet => {
  const own = modulation?.generator
  if (own === undefined)
    return Failure.raise(
      "NoModulation",
      "--fade shows what the modulation of the filters does, and this model has none: take a run of transfer",
      { file: path },
    )
  if (frames < 2) return Failure.raise("TooFew", `--fade ${frames}: expected 2 or more pictures`)
  const rows = wanted.numbers.flatMap((_, i) => Array.from({ length: frames }, () => i))
  return {
    inputs: picked(samples(gan, wanted), rows),
    names: rows.map((row, i) => `${seed(wanted.numbers[row]!)}-fade-${String(i % frames).padStart(3, "0")}`),
    columns: frames,
    parameters: Array.from({ length: frames }, (_, i) => faded(own, generator, i / (frames - 1))),
  }
}
