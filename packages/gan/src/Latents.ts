/** Random inputs of a generator, drawn on the host from (seed, purpose, step), in compute layout. */
import { Flat, type NdArray, Rng } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import type { Inputs, Network, Tensors } from "./Network.ts"

/** `z [B, dim]` and `noise/k [B, H, W, 1]` for one batch. */
export const draw = (
  { latent, noise }: Pick<Network, "latent" | "noise">,
  seed: number,
  purpose: string,
  step: number,
  batchSize: number,
): Flat.Flat<NdArray.NdArray<"float32">> => {
  const key = Rng.at(seed, `${purpose}/z`, step)
  const shape = [batchSize, latent.dim]
  return Flat.fromEntries([
    ["z", latent.distribution === "normal" ? Rng.normal(key, shape) : Rng.uniform(key, shape, -1, 1)],
    ...noise.map(([height, width], k): [string, NdArray.NdArray<"float32">] => [
      `noise/${k}`,
      Rng.normal(Rng.at(seed, `${purpose}/noise/${k}`, step), [batchSize, height, width, 1]),
    ]),
  ])
}

/** Uniformly drawn labels `y [B]`; empty for an unconditional model. */
export const labels = (
  { labels }: Pick<Network, "labels">,
  seed: number,
  purpose: string,
  step: number,
  batchSize: number,
): Engine.Arrays => (labels > 1 ? { y: Rng.int(Rng.at(seed, `${purpose}/y`, step), [batchSize], 0, labels) } : {})

/** The generator's inputs in a step's batch, as `draw` and `labels` name them. */
export const inputs = ({ noise }: Pick<Network, "noise">, batch: Tensors): Inputs => ({
  z: batch.z!,
  ...(batch.y && { y: batch.y }),
  noise: noise.map((_, k) => batch[`noise/${k}`]!),
})
