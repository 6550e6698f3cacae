/** The way from the source's filters to the adapted ones: pictures in which the modulation grows. */
import type { Modulate } from "@adafm/adafm"
import { Failure, Flat, NdArray } from "@adafm/core"
import type { State } from "@adafm/gan"
import type { Model } from "../Model.ts"
import * as SampleSheet from "./SampleSheet.ts"

/** The generator's parameters with its modulation interpolated: t = 0 gives the source's filters, t = 1 the trained ones. */
export const parameters = (modulation: Modulate.Modulation, generator: State.Params, t: number): State.Params => {
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
export const sheet = (
  { gan, generator, modulation, path }: Model,
  wanted: SampleSheet.Wanted,
  frames: number,
): SampleSheet.Sheet => {
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
    inputs: SampleSheet.picked(SampleSheet.samples(gan, wanted), rows),
    names: rows.map(
      (row, i) => `${SampleSheet.nameOf(wanted.numbers[row]!)}-fade-${String(i % frames).padStart(3, "0")}`,
    ),
    columns: frames,
    parameters: Array.from({ length: frames }, (_, i) => parameters(own, generator, i / (frames - 1))),
  }
}
