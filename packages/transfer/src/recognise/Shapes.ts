/** The input of recognition: the shapes of one or both networks, by parameter name. */
import type { Flat } from "@adafm/core"

/** Shapes of one network's tensors by path, in the file's order. */
export type Shapes = Flat.Flat<readonly number[]>

export type Role = "generator" | "discriminator"

export interface Networks {
  readonly generator?: Shapes
  readonly discriminator?: Shapes
}

/** Counters, which no architecture needs: those of batch norms and of `torch.optim.swa_utils.AveragedModel`. */
export const isIgnored = (path: Flat.Path): boolean => path.endsWith(".num_batches_tracked") || path === "n_averaged"
