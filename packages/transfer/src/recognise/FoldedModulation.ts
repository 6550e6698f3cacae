/** A checkpoint whose filters are modulated: its γ and β become part of the filters, as at export. */
import { Modulate } from "@adafm/adafm"
import type { Flat } from "@adafm/core"
import type { Gan, Step } from "@adafm/gan"

/** The AdaFM of all filters whose γ and β are among the given paths; undefined where there is none. */
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
