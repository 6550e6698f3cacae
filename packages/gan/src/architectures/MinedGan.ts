/**
 * A generator with a miner in front of it, `G(M(z))`: the small network M learns which latents of a pretrained generator give
 * images like the target (Wang, Gonzalez-Garcia, Berga, Herranz, Khan, van de Weijer, "MineGAN: effective knowledge transfer from
 * GANs to target domains with few images", CVPR 2020). The miner is that of the authors' `styleGAN/model.py`: linear, ReLU, linear,
 * as wide as z.
 */
import { Flat, type Leaf, Linear, Ops } from "@adafm/core"
import type * as tf from "@tensorflow/tfjs-core"
import type { Inputs, Network, Tensors } from "../Network.ts"

interface Miner<A> {
  readonly miner: { readonly 0: Linear.Linear<A>; readonly 2: Linear.Linear<A> }
}

/** The miner's parameters, `miner.…`; no source network has them. */
export const spec = (dim: number): Flat.Flat<Leaf.Leaf> => {
  const linear = Linear.spec({ in: dim, out: dim })
  return Flat.fromEntries(
    ["miner.0", "miner.2"].flatMap((path) =>
      Object.entries(linear).map(([name, leaf]) => [`${path}.${name}`, leaf as Leaf.Leaf] as const),
    ),
  )
}

/** M(z). `[B, dim] → [B, dim]` */
export const mine = (params: Tensors, z: tf.Tensor): tf.Tensor => {
  const { miner } = Flat.unflatten(
    Flat.filter(params, (path) => path.startsWith("miner.")),
  ) as unknown as Miner<tf.Tensor>
  return Linear.apply(miner[2], Ops.relu(Linear.apply(miner[0], z)))
}

/** The same network with a miner in front of its generator. */
export const of = (source: Network): Network => {
  const through = (params: Tensors, inputs: Inputs): Inputs => ({ ...inputs, z: mine(params, inputs.z) })
  return {
    ...source,
    generator: Flat.merge(source.generator, spec(source.latent.dim)),
    generate: (params, inputs, norm) => source.generate(params, through(params, inputs), norm),
    generateTraining: (params, inputs) => source.generateTraining(params, through(params, inputs)),
  }
}
