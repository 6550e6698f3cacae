/** GP-GAN, its variant with the small head, and `resnet3` and `resnet4`, which share their parameter names. */
import { Flat, type Leaf } from "@adafm/core"
import { Gan, type GpGan as GpGan_, type ResnetGan as ResnetGan_, type SmallHead as SmallHead_ } from "@adafm/gan"
import * as DeclaredConfig from "../DeclaredConfig.ts"
import * as Fit from "../Fit.ts"
import * as FoldedModulation from "../FoldedModulation.ts"
import type { Networks, Role } from "../Shapes.ts"
import * as GpGan from "./GpGan.ts"
import * as ResnetGan from "./ResnetGan.ts"
import * as SmallHead from "./SmallHead.ts"

type Config = GpGan_.Config | SmallHead_.Config | ResnetGan_.Config

const guess = ({ generator, discriminator }: Networks, claim: DeclaredConfig.Claim | undefined): Config | undefined => {
  const small = generator !== undefined && SmallHead.looksLike(generator)
  const guessed = small
    ? SmallHead.guess(generator, discriminator)
    : (ResnetGan.looksLike((generator ?? discriminator)!) ? ResnetGan : GpGan).guess(generator, discriminator)
  return guessed && DeclaredConfig.believe<Config>(guessed, claim)
}

/** Undefined where the names are not this family's. */
export const recognise = (both: Networks, claim: DeclaredConfig.Claim | undefined): Fit.Fit | undefined => {
  const { generator, discriminator } = both
  if (![generator, discriminator].some((shapes) => shapes !== undefined && GpGan.looksLike(shapes))) return undefined
  const config = guess(both, claim)
  if (config === undefined) {
    const network = generator === undefined ? "discriminator" : "generator"
    const [nearest, reason] = ResnetGan.looksLike(both[network]!)
      ? [ResnetGan.architecture(both[network]!), ResnetGan.whyNot]
      : (["gpgan", GpGan.whyNot] as const)
    return Fit.unknown(nearest, { [network]: [{ path: "conv_img.weight", reason }] })
  }
  const gan = Gan.of(config)
  const modulation = generator && FoldedModulation.find(gan, "generator", generator)
  // a checkpoint may also hold the parameters of a modulation
  const spec: Record<Role, Flat.Flat<Leaf.Leaf>> = {
    generator: Flat.merge(gan.generator, modulation?.leaves ?? {}),
    discriminator: gan.discriminator,
  }
  const checked = Fit.check(config, spec, both)
  if (checked._tag === "Unknown") return checked
  const { architecture } = config
  if (generator === undefined) return { _tag: "Half", architecture, role: "discriminator" }
  const found = { config, ...(modulation !== undefined && { modulation }) }
  return discriminator === undefined
    ? { _tag: "Half", architecture, role: "generator", ...found }
    : { _tag: "Known", ...found }
}
