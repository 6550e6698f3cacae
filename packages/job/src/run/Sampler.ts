/** Images of a generator. An image depends on (seed, number) alone, not on the others of its batch. */
import { Failure, Flat, Layout, NdArray } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { type Gan, Latents, type Network, type State } from "@adafm/gan"
import type * as tf from "@tensorflow/tfjs-core"
import type * as TE from "fp-ts/lib/TaskEither.js"
import type { Model } from "./Model.ts"

type Float32 = NdArray.NdArray<"float32">

export interface Styles {
  /** The first style block that takes the style of `mix/z`; 0 by default. */
  readonly mixFrom?: number
  /** The share of a style's distance from `truncation/mean` that remains; 1 by default. */
  readonly psi?: number
}

/**
 * The generator as a step: the state are its parameters, the batch is `z`, `y`, `noise/k`, the result `image`. With `mix/z`,
 * style blocks from `mixFrom` on take their style from that; with `truncation/mean`, styles are moved towards it.
 */
export const step =
  (gan: Gan.Gan, norm: "stored" | "batch" = "stored", { mixFrom = 0, psi = 1 }: Styles = {}): Engine.Step =>
  (state, batch) => {
    const noise = Object.keys(Flat.under(batch, "noise")).map((k) => batch[`noise/${k}`]!)
    const mix = batch["mix/z"] && { z: batch["mix/z"], from: mixFrom }
    const truncation = batch["truncation/mean"] && { mean: batch["truncation/mean"], psi }
    const inputs: Network.Inputs = {
      z: batch.z as tf.Tensor,
      ...(batch.y && { y: batch.y }),
      noise,
      ...(mix && { mix }),
      ...(truncation && { truncation }),
    }
    return { stats: { image: gan.generate(state, inputs, norm) } }
  }

export interface Generator {
  /** Inputs `[N, …]` of any N → images `[N, C, H, W]`. */
  readonly images: (inputs: Engine.Arrays) => Promise<Float32>
  /** Replaces the parameters by others of the same shapes, in file layout. */
  readonly use: (generator: State.Params) => void
  readonly dispose: () => Promise<void>
}

/** The entries at these places of the first axis. */
export const picked = (a: Engine.Arrays[string], places: readonly number[]): Engine.Arrays[string] => {
  const size = NdArray.sizeOf(a.shape.slice(1))
  const out = NdArray.zeros(a.dtype, [places.length, ...a.shape.slice(1)])
  places.forEach((place, i) => {
    out.data.set(a.data.subarray(place * size, (place + 1) * size), i * size)
  })
  return out
}

/** Entries `from` to `to` of the first axis, the last one repeated if there are too few. */
const rows = (a: Engine.Arrays[string], from: number, to: number): Engine.Arrays[string] =>
  picked(
    a,
    Array.from({ length: to - from }, (_, i) => Math.min(from + i, a.shape[0]! - 1)),
  )

/** @param batch images per run of the program; a smaller last batch is padded */
export const open = async (
  { gan, generator, description }: Pick<Model, "gan" | "generator" | "description">,
  engine: Engine.Engine,
  batch = 16,
  styles: Styles = {},
): Promise<Generator> => {
  const norm = description.batchNorm
  let program: Engine.Program | undefined
  let state = Flat.map(generator, Layout.toCompute)
  return {
    use: (params) => {
      state = Flat.map(params, Layout.toCompute)
      program?.write(state)
    },
    images: async (inputs) => {
      const count = inputs.z!.shape[0]!
      const size = norm === "batch" ? count : batch
      const parts: Float32[] = []
      for (let from = 0; from < count; from += size) {
        const part = Flat.map(inputs, (a) => rows(a, from, from + size))
        if (program === undefined) {
          const spec = ({ shape, dtype }: Engine.Arrays[string]): Engine.Spec => ({ shape, dtype })
          program = await engine.compile(step(gan, norm, styles), {
            state: Flat.map(state, spec),
            batch: Flat.map(part, spec),
          })
          program.write(state)
        }
        const { image } = await program.run(part)
        parts.push(Layout.imagesToFile(rows(image!, 0, Math.min(size, count - from)) as Float32))
      }
      const [, ...shape] = parts[0]!.shape
      const all = NdArray.zeros("float32", [count, ...shape])
      let at = 0
      for (const { data } of parts) {
        all.data.set(data, at)
        at += data.length
      }
      return all
    },
    dispose: async () => program?.dispose(),
  }
}

/** Inputs of the samples with these numbers, stacked. @param purpose gives samples to look at and samples to score different draws */
export const inputs = (gan: Gan.Gan, seed: number, numbers: readonly number[], purpose = "sample"): Engine.Arrays => {
  const each = numbers.map((n) =>
    Flat.merge<Engine.Arrays[string]>(Latents.draw(gan, seed, purpose, n, 1), Latents.labels(gan, seed, purpose, n, 1)),
  )
  return Flat.map(each[0]!, (first, name) => {
    const stacked = NdArray.zeros(first.dtype, [numbers.length, ...first.shape.slice(1)])
    each.forEach((one, i) => {
      stacked.data.set(one[name]!.data, i * first.data.length)
    })
    return stacked
  })
}

/** Batches of freshly drawn images, for a score. `[n, C, H, W]` */
export async function* stream(
  generator: Generator,
  gan: Gan.Gan,
  { count, seed, batch = 64 }: { readonly count: number; readonly seed: number; readonly batch?: number },
): AsyncGenerator<Float32> {
  for (let from = 0; from < count; from += batch) {
    const numbers = Array.from({ length: Math.min(batch, count - from) }, (_, i) => from + i)
    yield await generator.images(inputs(gan, seed, numbers, "score"))
  }
}

/** The samples of a model with these numbers. `[N, C, H, W]` */
export const images = (
  model: Model,
  engine: Engine.Engine,
  seed: number,
  numbers: readonly number[],
): TE.TaskEither<Failure.Failure, Float32> =>
  Failure.attempt(async () => {
    const generator = await open(model, engine)
    try {
      return await generator.images(inputs(model.gan, seed, numbers))
    } finally {
      await generator.dispose()
    }
  })
