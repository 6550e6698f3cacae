/**
 * The unconditional view of a class-conditional GP-GAN: the same network for the average class. The mean of the normalised
 * class embeddings takes the place of one class's, folded into the generator's first layer; the discriminator's class rows are
 * averaged. The authors' loader drops these layers instead, which scrambles everything above the kept filters.
 *
 * A target with classes starts from the same view: every class starts as the average class, and training moves its embedding and
 * its row of the discriminator apart from the others.
 */
import { Flat, NdArray, Rng } from "@adafm/core"
import type { GpGan, ResnetGan, State } from "@adafm/gan"

type Array_ = NdArray.NdArray<"float32">

export interface Options {
  /** Classes of the target. */
  readonly labels?: number
  /** Width of the target's embedding, where it has classes; the source's, unless that is too narrow to tell them apart. */
  readonly embed?: number
  /** Seeds embeddings that have no source. */
  readonly seed?: number
}

const columns = ({ shape, data }: Array_, from: number, to: number): readonly Float32Array[] =>
  Array.from({ length: shape[0]! }, (_, row) => data.subarray(row * shape[1]! + from, row * shape[1]! + to))

/** Mean over the rows of a `[rows, n]` (or `[rows]`) array. */
const meanOfRows = (a: Array_): Float64Array => {
  const [rows, n] = [a.shape[0]!, a.shape[1] ?? 1]
  const mean = new Float64Array(n)
  for (let i = 0; i < a.data.length; i++) mean[i % n]! += a.data[i]! / rows
  return mean
}

const unit = (row: ArrayLike<number>): Float32Array => {
  const length = Math.hypot(...Array.from(row))
  // a zero row has no direction: any unit vector will do, because the bias subtracts what it adds
  return length === 0 ? Float32Array.from(row, (_, i) => (i === 0 ? 1 : 0)) : Float32Array.from(row, (v) => v / length)
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a).reduce((sum, v, i) => sum + v * b[i]!, 0)

type Config = GpGan.Config | ResnetGan.Config

/** `fc [out, z + embed]` on (z, ē) as one on (z, e) for the embeddings e of the target's classes. */
const generator = (config: Config, params: State.Params, options: Required<Options>): State.Params => {
  const { labels, embed, seed } = options
  const isNormalised = config.architecture === "gpgan"
  const table = params["embedding.weight"]!
  const rows = columns(table, 0, config.embed).map((row) => (isNormalised ? unit(row) : row))
  const mean = meanOfRows(NdArray.float32(table.shape, Float32Array.from(rows.flatMap((row) => [...row]))))
  const [fc, bias] = [params["fc.weight"]!, params["fc.bias"]!]
  const [ofZ, ofLabel] = [columns(fc, 0, config.z_dim), columns(fc, config.z_dim, config.z_dim + config.embed)]
  /** @param label the target's columns for an embedding @param constant what no embedding adds any more */
  const layer = (
    rows: Array_,
    label: (row: number) => ArrayLike<number>,
    constant: (row: number) => number,
  ): State.Params => {
    const weight = NdArray.zeros("float32", [fc.shape[0]!, config.z_dim + rows.shape[1]!])
    ofZ.forEach((values, row) => {
      weight.data.set(values, row * weight.shape[1]!)
      weight.data.set(label(row), row * weight.shape[1]! + config.z_dim)
    })
    return Flat.merge(params, {
      "embedding.weight": rows,
      "fc.weight": weight,
      "fc.bias": NdArray.float32(
        bias.shape,
        bias.data.map((b, row) => b + constant(row)),
      ),
    })
  }
  if (labels === 1)
    return layer(
      NdArray.float32([1, 1], [1]),
      (row) => [dot(mean, ofLabel[row]!)],
      () => 0,
    )
  if (embed !== config.embed)
    return layer(
      Rng.normal(Rng.at(seed, "view/embedding"), [labels, embed]),
      () => new Float32Array(embed),
      (row) => dot(mean, ofLabel[row]!),
    )
  const begin = isNormalised ? unit(mean) : Float32Array.from(mean)
  const repeated = Float32Array.from({ length: labels * embed }, (_, i) => begin[i % embed]!)
  return layer(
    NdArray.float32([labels, embed], repeated),
    (row) => ofLabel[row]!,
    (row) => dot(mean, ofLabel[row]!) - dot(begin, ofLabel[row]!),
  )
}

/** `fc [1 or more, n]`, the mean of the source's rows in each. */
export const discriminator = (params: State.Params, labels = 1): State.Params => {
  if (Object.keys(params).length === 0) return params // a generator alone
  const mean = (name: string): Array_ => {
    const array = params[name]!
    const row = meanOfRows(array)
    return NdArray.float32(
      [labels, ...array.shape.slice(1)],
      Float32Array.from({ length: labels * row.length }, (_, i) => row[i % row.length]!),
    )
  }
  return Flat.merge(params, { "fc.weight": mean("fc.weight"), "fc.bias": mean("fc.bias") })
}

/** Parameters of the same architecture with the target's classes: one, whose embedding is one number, or more. */
export const of = (
  config: Config,
  networks: State.Networks,
  { labels = 1, embed = labels === 1 ? 1 : config.embed, seed = 0 }: Options = {},
): State.Networks => ({
  generator: generator(config, networks.generator, { labels, embed, seed }),
  discriminator: discriminator(networks.discriminator, labels),
})
