/**
 * KID between generated images and photographs in the features of the source's discriminator: after each of its groups, counted
 * from the image, averaged over space. A transfer freezes the first groups.
 */
import { Flat, Layout, NdArray } from "@adafm/core"
import type { Engine } from "@adafm/engine"
import { Gan, GpGan } from "@adafm/gan"
import { Model } from "@adafm/job"
import { type Extractor, Kid, Matrix, Protocol } from "@adafm/metrics"
import * as tf from "@tensorflow/tfjs-core"

/** Images in one run of the network. */
const BATCH = 8

export interface Levels extends Extractor.Extractor {
  /** Channels after each group; `dims` is their sum. */
  readonly widths: readonly number[]
}

/** A GP-GAN's discriminator as an extractor of all its levels, concatenated; `undefined` for other architectures. */
export const open = async (model: Model.Model, engine: Engine): Promise<Levels | undefined> => {
  const config = Gan.plain(model.description.config)
  if (config.architecture !== "gpgan") return undefined
  const size = config.resolution
  const groups = GpGan.stages(config) + 1
  const widths = [config.nf, ...Array.from({ length: groups }, (_, j) => GpGan.width(config, j + 1))]
  const state = Flat.map(model.discriminator, Layout.toCompute)
  const program = await engine.compile(
    (params, { x }) => ({
      stats: {
        features: tf.concat(
          GpGan.levels(config, params, x!).map((h) => tf.mean(h, [1, 2])),
          1,
        ),
      },
    }),
    {
      state: Flat.map(state, ({ shape, dtype }) => ({ shape, dtype })),
      batch: { x: { shape: [BATCH, size, size, 3], dtype: "float32" } },
    },
  )
  program.write(state)
  const dims = widths.reduce((a, b) => a + b, 0)
  const run = async (x: NdArray.NdArray<"float32">) => {
    const count = x.shape[0]!
    const full = NdArray.zeros("float32", [BATCH, 3, size, size])
    full.data.set(x.data)
    const { features } = await program.run({ x: Layout.imagesToCompute(full) })
    const rows = (features as NdArray.NdArray<"float32">).data.subarray(0, count * dims)
    return { features: NdArray.float32([count, dims], rows) }
  }
  return {
    name: "source-discriminator",
    dims,
    sha256: Model.fingerprint(model),
    comparable: false,
    protocol: Protocol.of("pytorch-fid"),
    size: [size, size],
    hasLogits: false,
    widths,
    run,
    close: program.dispose,
  }
}

const columns = ({ rows, cols, data }: Matrix.Matrix, from: number, width: number): Matrix.Matrix => {
  const out = Matrix.make(rows, width)
  for (let i = 0; i < rows; i++) out.data.set(data.subarray(i * cols + from, i * cols + from + width), i * width)
  return out
}

/** KID of each level. Features are divided by their root mean square over photographs, so that the levels have one scale. */
export const perGroup = async (
  a: Matrix.Matrix,
  b: Matrix.Matrix,
  widths: readonly number[],
): Promise<readonly number[]> => {
  const found: number[] = []
  let from = 0
  for (const width of widths) {
    const [x, y] = [columns(a, from, width), columns(b, from, width)]
    const unit = Math.sqrt(y.data.reduce((sum, v) => sum + v * v, 0) / (y.rows * width))
    const scaled = ({ rows, cols, data }: Matrix.Matrix) =>
      Matrix.make(
        rows,
        cols,
        data.map((v) => v / unit),
      )
    found.push(await Kid.unbiased(scaled(x), scaled(y)))
    from += width
  }
  return found
}
