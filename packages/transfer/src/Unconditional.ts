/**
 * The unconditional view of a class-conditional GP-GAN: the same network for the average class. The mean of the normalised
 * class embeddings takes the place of one class's, folded into the generator's first layer; the discriminator's class rows are
 * averaged. The authors' loader drops these layers instead, which scrambles everything above the kept filters.
 */
import { Flat, NdArray } from "@adafm/core"
import type { GpGan, State } from "@adafm/gan"

type Array_ = NdArray.NdArray<"float32">

const columns = ({ shape, data }: Array_, from: number, to: number): readonly Float32Array[] =>
  Array.from({ length: shape[0]! }, (_, row) => data.subarray(row * shape[1]! + from, row * shape[1]! + to))

/** Mean over the rows of a `[rows, n]` (or `[rows]`) array. */
const meanOfRows = (a: Array_): Float64Array => {
  const [rows, n] = [a.shape[0]!, a.shape[1] ?? 1]
  const mean = new Float64Array(n)
  for (let i = 0; i < a.data.length; i++) mean[i % n]! += a.data[i]! / rows
  return mean
}

const unit = (row: Float32Array): Float32Array => {
  const length = Math.hypot(...row)
  return row.map((v) => v / length)
}

/** `fc [out, z + embed]` on (z, ē) is `[out, z + 1]` on (z, 1). */
const generator = (config: GpGan.Config, params: State.Params): State.Params => {
  const table = params["embedding.weight"]!
  const rows = columns(table, 0, config.embed).map(unit)
  const mean = meanOfRows(NdArray.float32(table.shape, Float32Array.from(rows.flatMap((row) => [...row]))))
  const fc = params["fc.weight"]!
  const [out, z] = [fc.shape[0]!, config.z_dim]
  const weight = NdArray.zeros("float32", [out, z + 1])
  for (const [row, values] of columns(fc, 0, z + config.embed).entries()) {
    weight.data.set(values.subarray(0, z), row * (z + 1))
    weight.data[row * (z + 1) + z] = mean.reduce((sum, m, k) => sum + m * values[z + k]!, 0)
  }
  return Flat.merge(params, { "embedding.weight": NdArray.float32([1, 1], [1]), "fc.weight": weight })
}

const discriminator = (params: State.Params): State.Params => {
  if (Object.keys(params).length === 0) return params // a generator alone
  const [weight, bias] = [params["fc.weight"]!, params["fc.bias"]!]
  return Flat.merge(params, {
    "fc.weight": NdArray.float32([1, weight.shape[1]!], Float32Array.from(meanOfRows(weight))),
    "fc.bias": NdArray.float32([1], Float32Array.from(meanOfRows(bias))),
  })
}

/** Parameters of the same architecture with one class and an embedding of one number. */
export const of = (config: GpGan.Config, networks: State.Networks): State.Networks => ({
  generator: generator(config, networks.generator),
  discriminator: discriminator(networks.discriminator),
})
