/**
 * L2-SP: trained parameters are pulled towards the source's, `α/2 Σ ‖w - w⁰‖²` (Li, Grandvalet, Davoine, "Explicit Inductive Bias
 * for Transfer Learning with Convolutional Networks", ICML 2018, equation 2, first term). For GANs it is a baseline of Mo, Cho,
 * Shin, "Freeze the Discriminator" (2020); both networks are penalised, as there.
 */
import { Flat, Layout } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import type { Network, State, StepExtras } from "@adafm/gan"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import type { Anchored } from "./SourceNetworks.ts"

export const Config = z.strictObject({
  kind: z.literal("l2-sp"),
  /**
   * α. 0.01 is in the paper's search range and the default of thuml's Transfer-Learning-Library (`--trade-off-backbone`), which has
   * the factor ½ too.
   */
  weight: z.number().nonnegative().default(0.01),
})
export type Config = z.output<typeof Config>

const NAME = "l2-sp"

const sum = (terms: readonly tf.Tensor[]): tf.Scalar => terms.reduce((a, b) => tf.add(a, b)) as tf.Scalar

/** `α/2 Σ ‖w - w⁰‖²` over the paths of `source`. */
export const penalty = (weight: number, params: Network.Tensors, source: Network.Tensors): tf.Scalar => {
  const distances = Object.entries(source).map(([path, w]) => tf.sum(tf.square(tf.sub(params[path]!, w))))
  return tf.mul(sum(distances), weight / 2)
}

/** State `l2-sp/<net>/<path>`: w⁰, in compute layout. */
export const constants = (networks: State.Networks, anchored: Anchored): Engine.Arrays =>
  Flat.merge(
    ...(["generator", "discriminator"] as const).map((net) => {
      const source = Flat.fromEntries(
        anchored[net].map((path) => [path, Layout.toCompute(networks[net][path]!)] as const),
      )
      return Flat.prefix(source, `${NAME}/${net}`)
    }),
  )

export const extras = ({ weight }: Config, anchored: Anchored): StepExtras.StepExtras => ({
  ...(anchored.generator.length > 0 && {
    generatorLoss: ({ params, state }) => penalty(weight, params, Flat.under(state, `${NAME}/generator`)),
  }),
  ...(anchored.discriminator.length > 0 && {
    discriminatorLoss: ({ params, state }) => penalty(weight, params, Flat.under(state, `${NAME}/discriminator`)),
  }),
})
