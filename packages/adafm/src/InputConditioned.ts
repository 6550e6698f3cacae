/**
 * AdaFM whose response follows what comes in: `u(s) ⊙ conv(γ ⊙ W + β, v(s) ⊙ x) + bias`, s the statistics of x's channels in each
 * sample (`core/Response`). It begins as AdaFM and cannot fold: the layer keeps its scales, at export too.
 */
import { Flat, Leaf, Response } from "@adafm/core"
import * as AdaFM from "./AdaFM.ts"
import type * as FilterModulations from "./FilterModulations.ts"

/**
 * What s is: the sample's own statistics; another sample's of the batch (does it matter *whose*?); or one learned vector (does it
 * matter that it changes at all?). The last two are controls.
 */
export type Following = "own" | "another" | "constant"

export const of = (following: Following): FilterModulations.Kind => {
  const layer = following === "another" ? "response_to_another" : "response"
  return {
    ...(following === "another" && { batchwise: true }),
    spec: (filter) => {
      const [a, b] = filter.shape as [number, number]
      const [cin, out] = filter.transposed ? [a, b] : [b, a]
      const response = Response.spec({ in: cin, out, constant: following === "constant" })
      return { ...AdaFM.spec(filter), ...Leaf.flatten({ ...response }) }
    },
    resolve: (weight, { gamma, beta }) => AdaFM.resolve(weight, { gamma: gamma!, beta: beta! }),
    resolveLayer: (extra) =>
      Flat.fromEntries(
        Object.entries(extra).flatMap(([name, tensor]) =>
          name === "gamma" || name === "beta" ? [] : [[`${layer}.${name}`, tensor] as const],
        ),
      ),
  }
}
