/**
 * Elastic weight consolidation of a generator (Li, Zhang, Lu, Shechtman, "Few-shot Image Generation with Elastic Weight
 * Consolidation", NeurIPS 2020, section 3.2): `λ Σᵢ Fᵢ (θᵢ - θᵢ⁰)²`. F is the Fisher information of the source's parameters: how much
 * the source's images depend on each. It is estimated on samples of the source generator, as the mean over samples of the squared
 * gradient of the source discriminator's cross-entropy for the label "real".
 */
import { Flat, Grad, Layout, NdArray } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { AdversarialLoss, type Gan, Latents, type Network, State, type StepExtras } from "@adafm/gan"
import * as tf from "@tensorflow/tfjs-core"
import { z } from "zod"
import type { Anchored, Given } from "./SourceNetworks.ts"

export const Config = z.strictObject({
  kind: z.literal("ewc"),
  /**
   * λ. Its scale depends on F, and F on the source's networks, so published values do not carry over: Sony's implementation
   * (`nnabla-examples`, `stylegan2-ewc/configs/few_shot.yaml`) has 1e2, with means over tensors and F from gradients that are not
   * squared. 500 is measured: from `builtin:cifar32-small` to 100 flowers the penalty is 0.012 after 50 steps, where the loss is
   * 0.75, and no larger after 300 steps, while the penalty of L2-SP grows by half.
   */
  weight: z.number().nonnegative().default(500),
  /** Number of the source's samples for F; the paper says "a certain number", Sony's `EWC_loss.py` takes 100 batches (`--ewc_iter`). */
  samples: z.number().int().positive().default(256),
})
export type Config = z.output<typeof Config>

const NAME = "ewc"

const sum = (terms: readonly tf.Tensor[]): tf.Scalar => terms.reduce((a, b) => tf.add(a, b)) as tf.Scalar

/** `λ Σᵢ Fᵢ (θᵢ - θᵢ⁰)²` over the paths of `source`. */
export const penalty = (
  weight: number,
  params: Network.Tensors,
  source: Network.Tensors,
  fisher: Network.Tensors,
): tf.Scalar => {
  const distances = Object.entries(source).map(([path, w]) =>
    tf.sum(tf.mul(tf.square(tf.sub(params[path]!, w)), fisher[path]!)),
  )
  return tf.mul(sum(distances), weight)
}

/** Adds one sample's squared gradient over `samples` to `fisher/…`. */
const accumulate =
  (gan: Gan.Gan, paths: readonly Flat.Path[], samples: number): Engine.Step =>
  (state, batch) => {
    const [g, d, soFar] = [
      Flat.under(state, "generator"),
      Flat.under(state, "discriminator"),
      Flat.under(state, "fisher"),
    ]
    const { z, y } = batch
    const inputs = { z: z!, ...(y && { y }), noise: gan.noise.map((_, k) => batch[`noise/${k}`]!) }
    const leaves = Flat.fromEntries(paths.map((path) => [path, g[path]!] as const))
    const { loss, grads } = Grad.valueAndGrads(
      (trained) => ({
        loss: AdversarialLoss.generator(gan.discriminate(d, gan.generate(Flat.merge(g, trained), inputs), y)),
      }),
      leaves,
      "zeros",
    )
    const next = Flat.map(grads, (g, path) => tf.add(soFar[path]!, tf.mul(tf.square(g), 1 / samples)))
    return { state: Flat.prefix(next, "fisher"), stats: { loss } }
  }

/** F of the generator's parameters at `paths`, in compute layout; one forward and one backward pass per sample. */
export const fisher = async (
  { gan, networks, engine, seed }: Given,
  paths: readonly Flat.Path[],
  samples: number,
): Promise<Engine.Arrays> => {
  const [generator, discriminator] = [networks.generator, networks.discriminator].map((p) =>
    Flat.map(p, Layout.toCompute),
  )
  const zeros = Flat.fromEntries(
    paths.map((path) => [path, NdArray.zeros("float32", generator![path]!.shape)] as const),
  )
  const state = Flat.merge<Engine.Arrays[string]>(
    Flat.prefix(generator!, "generator"),
    Flat.prefix(discriminator!, "discriminator"),
    Flat.prefix(zeros, "fisher"),
  )
  const sample = (i: number): Engine.Arrays =>
    Flat.merge<Engine.Arrays[string]>(
      Latents.draw(gan, seed, "fisher", i, 1),
      Latents.labels(gan, seed, "fisher", i, 1),
    )
  const program = await engine.compile(accumulate(gan, paths, samples), State.specs(state, sample(0)))
  try {
    program.write(state)
    for (let i = 0; i < samples; i++) await program.run(sample(i))
    return Flat.under(await program.read(paths.map((path) => `fisher/${path}`)), "fisher")
  } finally {
    await program.dispose()
  }
}

/** State `ewc/source/<path>` (θ⁰) and `ewc/fisher/<path>` (F), in compute layout. */
export const constants = async ({ samples }: Config, anchored: Anchored, given: Given): Promise<Engine.Arrays> => {
  const source = Flat.fromEntries(
    anchored.generator.map((path) => [path, Layout.toCompute(given.networks.generator[path]!)] as const),
  )
  return Flat.merge<Engine.Arrays[string]>(
    Flat.prefix(source, `${NAME}/source`),
    Flat.prefix(await fisher(given, anchored.generator, samples), `${NAME}/fisher`),
  )
}

export const extras = ({ weight }: Config): StepExtras.StepExtras => ({
  generatorLoss: ({ params, state }) =>
    penalty(weight, params, Flat.under(state, `${NAME}/source`), Flat.under(state, `${NAME}/fisher`)),
})
