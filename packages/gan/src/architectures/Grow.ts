/**
 * A GP-GAN of twice the resolution (or four times, …) that begins with the filters of a trained one. The new stages stand next to the
 * latent vector, where the layers have their greatest width: every filter keeps its distance from the image in pixels, as in the
 * paper's transfer of the layers near the image. (Growth at the image, as in Karras et al., "Progressive Growing of GANs", ICLR 2018,
 * would change the width of every stage.)
 *
 * A new stage begins as the identity: the branches of its residual blocks end in zeros. The grown generator therefore applies the
 * trained one's blocks to its first features, enlarged; the grown discriminator gives the trained one's features to the last layer,
 * averaged over 2 × 2.
 */
import { Flat, Leaf, NdArray } from "@adafm/core"
import type { Params } from "../training/State.ts"
import * as GpGan from "./GpGan.ts"

/** `resnet_3_0.conv_0.weight` as its group and the rest; undefined outside the blocks. */
const groupOf = (path: Flat.Path): { readonly group: number; readonly rest: string } | undefined => {
  const [, group, rest] = /^resnet_(\d+)_(.+)$/.exec(path) ?? []
  return group === undefined || rest === undefined ? undefined : { group: Number(group), rest }
}

/** How many stages the larger network has more. */
export const stages = (small: Pick<GpGan.Config, "resolution">, large: Pick<GpGan.Config, "resolution">): number =>
  GpGan.stages(large) - GpGan.stages(small)

type Net = "generator" | "discriminator"
interface Sizes {
  readonly from: GpGan.Config
  readonly to: GpGan.Config
}

/** The name in the smaller network of a parameter of the large one; undefined for the new stages' parameters. */
const nameBefore = (path: Flat.Path, net: Net, { from, to }: Sizes): Flat.Path | undefined => {
  const block = groupOf(path)
  if (block === undefined) return path
  const group = net === "generator" ? block.group - stages(from, to) : block.group
  return group < 0 || group > GpGan.stages(from) ? undefined : `resnet_${group}_${block.rest}`
}

/** The parameters of the new stages. */
export const added = (leaves: Flat.Flat<Leaf.Leaf>, net: Net, sizes: Sizes): Flat.Flat<Leaf.Leaf> =>
  Flat.filter(leaves, (path) => nameBefore(path, net, sizes) === undefined)

/**
 * @param small  the trained network's parameters
 * @param leaves the large network's specs, of the same widths near the image
 * @param seed   seed of the new stages' first convolutions
 * @returns the trained parameters under the names that they have in the large network, and the new stages; shapes are the trained ones'
 */
export const params = (small: Params, leaves: Flat.Flat<Leaf.Leaf>, net: Net, sizes: Sizes, seed: number): Params => {
  const { from, to } = sizes
  const [widest, wanted] = [from, to].map((config) => GpGan.width(config, GpGan.stages(config)))
  // a factor of the whole network is Widen's work
  if (wanted! / widest! !== to.nf / from.nf)
    throw new Error(
      `nf ${to.nf}, nf_max ${to.nf_max ?? 16 * to.nf}: growing from ${from.resolution} to ${to.resolution} px keeps the widths of the layers, ${from.nf} to ${widest}, or multiplies all of them`,
    )
  const fresh = Leaf.initAll(leaves, seed, `grow/${net}`)
  return Flat.map(leaves, ({ shape }, path) => {
    const before = nameBefore(path, net, sizes)
    if (before === undefined)
      return /\.conv_1\.(weight|bias)$/.test(path) ? NdArray.zeros("float32", shape) : fresh[path]!
    const trained = small[before]
    if (trained === undefined) throw new Error(`${path}: the smaller network has no ${before}`)
    return trained
  })
}
