/** The modulation of a checkpoint whose filters are modulated. Import folds γ and β into the filters, as export does. */
import { Modulate } from "@adafm/adafm"
import type { Flat } from "@adafm/core"
import type { Gan, Step } from "@adafm/gan"

/** AdaFM of all filters whose γ and β are among the paths; undefined where there are none. */
export const find = (gan: Gan.Gan, net: Step.Net, paths: Flat.Flat<unknown>): Step.Modulation | undefined => {
  const transposed = Modulate.transposed(gan, net)
  const of = (weights: readonly Flat.Path[]): Step.Modulation =>
    Modulate.make({ kind: "adafm" }, gan[net], weights, transposed)
  const modulated = Object.entries(gan[net])
    .filter(([path, { shape }]) => path.endsWith(".weight") && shape.length === 4)
    .map(([path]) => path)
    .filter((path) => Object.keys(of([path]).leaves).every((extra) => extra in paths))
  return modulated.length === 0 ? undefined : of(modulated)
}
