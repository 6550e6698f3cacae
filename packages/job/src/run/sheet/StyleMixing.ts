/** Style mixing: the layout of one sample with the styles of another. */
import { Failure, Flat } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { Gan } from "@adafm/gan"
import * as Sampler from "../Sampler.ts"
import * as SampleSheet from "./SampleSheet.ts"

/**
 * Style mixing: the layouts of the samples (rows) with the styles of other samples (columns). The first column shows the samples
 * unmixed, the first row the others.
 */
export const sheet = (
  gan: Gan.Gan,
  wanted: SampleSheet.Wanted & { readonly mixFrom?: number },
  styles: readonly number[],
): SampleSheet.Sheet => {
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
  const both = SampleSheet.samples(gan, { ...wanted, numbers: [...numbers, ...styles] })
  const style = (k: number): number => numbers.length + k
  type Cell = readonly [layout: number, style: number]
  const cells: readonly Cell[] = [
    // the corner repeats the first sample
    [0, 0],
    ...styles.map((_, k): Cell => [style(k), style(k)]),
    ...numbers.flatMap((_, i): readonly Cell[] => [[i, i], ...styles.map((_, k): Cell => [i, style(k)])]),
  ]
  const name = (row: number): string => SampleSheet.nameOf([...numbers, ...styles][row]!)
  return {
    inputs: Flat.merge<Engine.Arrays[string]>(
      SampleSheet.picked(
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
