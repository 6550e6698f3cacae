/**
 * AdaFM with channel scales that depend on the layer's input: `u(s) ⊙ conv(γ ⊙ W + β, v(s) ⊙ x) + bias`, where s holds the
 * statistics of x's channels in each sample (`core/layers/Response`). It starts as AdaFM and does not fold: the layer keeps its
 * scales, also in an exported file.
 */
import { Flat, Leaf, Response } from "@adafm/core"
import * as AdaFM from "./AdaFM.ts"
import type * as FilterModulations from "./FilterModulations.ts"

/**
 * What s is: the statistics of the same sample, those of the next sample of the batch, or one learned vector. The last two are
 * controls: they test whether it matters which sample s comes from, and whether it matters that s varies.
 */
export type Following = "own" | "another" | "constant"

export const of = (following: Following): FilterModulations.Kind => {
  const layer = following === "another" ? "response.next" : "response"
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
