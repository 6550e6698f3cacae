/** GP-GAN (`resnet2`) from names and shapes, which determine every number of its configuration. */
import { GpGan } from "@adafm/gan"
import type * as Shapes from "../Shapes.ts"

type Input = Parameters<typeof GpGan.Config.parse>[0]

const groups = (shapes: Shapes.Shapes): number =>
  Object.keys(shapes).reduce((n, path) => Math.max(n, Number(/^resnet_(\d+)_1\./.exec(path)?.[1] ?? -1)), -1)

/** Channels of the widest convolution; 0 where there is none. */
const widest = (shapes: Shapes.Shapes): number =>
  Math.max(
    0,
    ...Object.entries(shapes).flatMap(([path, shape]) =>
      /^resnet_.*\.conv_[01]\.weight$/.test(path) ? shape.slice(0, 2) : [],
    ),
  )

/** Whether the names are those of the GP-GAN family. */
export const looksLike = (shapes: Shapes.Shapes): boolean =>
  "conv_img.weight" in shapes && Object.keys(shapes).some((path) => /^resnet_\d+_0\.conv_0\.weight$/.test(path))

const at = (shapes: Shapes.Shapes | undefined, path: string, axis: number): number | undefined => shapes?.[path]?.[axis]

/** The configuration that fits one or both networks best. */
export const guess = (
  generator: Shapes.Shapes | undefined,
  discriminator: Shapes.Shapes | undefined,
): GpGan.Config | undefined => {
  const S = Math.max(groups(generator ?? {}), groups(discriminator ?? {}))
  const nf = at(generator, "conv_img.weight", 1) ?? at(discriminator, "conv_img.weight", 0)
  if (S < 2 || nf === undefined) return undefined
  const embed = at(generator, "embedding.weight", 1) ?? 1
  const widestOf = Math.max(widest(generator ?? {}), widest(discriminator ?? {}))
  const unlimited = Math.min(16, 2 ** (discriminator === undefined ? S : S + 1)) * nf
  const input: Input = {
    architecture: "gpgan",
    resolution: 4 * 2 ** S,
    nf,
    ...(widestOf !== unlimited && { nf_max: widestOf }),
    z_dim: Math.max(1, (at(generator, "fc.weight", 1) ?? 256 + embed) - embed),
    embed,
    nlabels: at(generator, "embedding.weight", 0) ?? at(discriminator, "fc.weight", 0) ?? 1,
  }
  const parsed = GpGan.Config.safeParse(input)
  return parsed.success ? parsed.data : undefined
}

/** Why a network with these names has no configuration. */
export const whyNot = "the groups resnet_0_0, resnet_0_1, … are not those of a resolution from 16 to 256 px"
