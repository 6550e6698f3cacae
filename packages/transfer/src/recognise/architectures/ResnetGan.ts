/** The 256-px sources `resnet3` and `resnet4` from names and shapes: one block a resolution, 7 × 7 filters next to the image. */
import { ResnetGan } from "@adafm/gan"
import type * as Shapes from "../Shapes.ts"
import * as GpGan from "./GpGan.ts"

/** GP-GAN's names without a second block per resolution, and 7 × 7 filters next to the image. */
export const looksLike = (shapes: Shapes.Shapes): boolean =>
  GpGan.looksLike(shapes) &&
  shapes["conv_img.weight"]?.[2] === 7 &&
  !Object.keys(shapes).some((path) => /^resnet_\d+_1\./.test(path))

/** Only `resnet4` has a seventh block. */
export const architecture = (shapes: Shapes.Shapes): ResnetGan.Config["architecture"] =>
  Object.keys(shapes).some((path) => path.startsWith("resnet_6_0.")) ? "resnet4" : "resnet3"

/** The configuration that fits one or both networks best. */
export const guess = (
  generator: Shapes.Shapes | undefined,
  discriminator: Shapes.Shapes | undefined,
): ResnetGan.Config | undefined => {
  const nf = generator?.["conv_img.weight"]?.[1] ?? discriminator?.["conv_img.weight"]?.[0]
  const numbers = generator?.["fc.weight"]?.[0] ?? discriminator?.["fc.weight"]?.[1]
  if (nf === undefined || numbers === undefined) return undefined
  const name = architecture(generator ?? discriminator!)
  const widest = ResnetGan.blocks[name].generator[0]![0] * nf
  const [nlabels = discriminator?.["fc.weight"]?.[0] ?? 1, embed = 1] = generator?.["embedding.weight"] ?? []
  const parsed = (name === "resnet3" ? ResnetGan.Resnet3 : ResnetGan.Resnet4).safeParse({
    architecture: name,
    resolution: 64 * Math.sqrt(numbers / widest),
    nf,
    z_dim: (generator?.["fc.weight"]?.[1] ?? 256 + embed) - embed,
    embed,
    nlabels,
  })
  return parsed.success ? parsed.data : undefined
}

/** Why a network with these names has no configuration. */
export const whyNot = "the first and the last layer match no width and no resolution from 64 to 512 px"
