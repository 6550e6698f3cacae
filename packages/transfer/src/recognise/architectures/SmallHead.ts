/** GP-GAN with the small head, modulated or not, from names and shapes. */
import { Gan, GpGan, SmallHead } from "@adafm/gan"
import type { z } from "zod"
import type * as Shapes from "../Shapes.ts"
import * as Resnet from "./GpGan.ts"

export const looksLike = (generator: Shapes.Shapes): boolean => "small_fc.weight" in generator

/** The configuration that fits the shapes best. Numbers that shapes do not show (the head's scales) keep their defaults. */
export const guess = (
  generator: Shapes.Shapes,
  discriminator: Shapes.Shapes | undefined,
): SmallHead.Config | undefined => {
  const bodies = Resnet.guess(generator, discriminator)
  const first = generator["small_style.1.linear.weight"]
  if (bodies === undefined || first === undefined) return undefined
  const { resolution, nf, nf_max } = bodies
  const [nlabels = 1, embed = 1] = generator["small_embedding.weight"] ?? []
  const input: z.input<typeof SmallHead.Config> = {
    architecture: "gpgan-small-head",
    resolution,
    nf,
    ...(nf_max !== undefined && { nf_max }),
    z_dim: first[1]! - (nlabels > 1 ? embed : 0),
    style_dim: first[0]!,
    head_blocks: new Set(Object.keys(generator).flatMap((path) => /^small_net_\d+\./.exec(path)?.[0] ?? [])).size,
    nlabels,
    embed,
    ...("small_H.norm.mean" in generator && { head_norm: "measured" }),
  }
  const parsed = SmallHead.Config.safeParse(input)
  return parsed.success && parsed.data.head_blocks <= GpGan.stages(parsed.data) && Gan.of(parsed.data)
    ? parsed.data
    : undefined
}
