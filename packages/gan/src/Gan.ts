/** Every architecture, chosen by the `architecture` tag of its configuration. */
import { z } from "zod"
import * as Dcgan from "./architectures/Dcgan.ts"
import * as FastGan from "./architectures/FastGan.ts"
import * as GpGan from "./architectures/GpGan.ts"
import * as MinedGan from "./architectures/MinedGan.ts"
import * as ResnetGan from "./architectures/ResnetGan.ts"
import * as SmallHead from "./architectures/SmallHead.ts"
import type { Network } from "./Network.ts"

const Plain = z.discriminatedUnion("architecture", [
  GpGan.Config,
  SmallHead.Config,
  ResnetGan.Resnet3,
  ResnetGan.Resnet4,
  Dcgan.Config,
  FastGan.Config,
])
export type Plain = z.output<typeof Plain>

/** MineGAN: another architecture with a miner in front of its generator. */
const WithMiner = z.strictObject({ architecture: z.literal("mined"), source: Plain })

export const Config = z.discriminatedUnion("architecture", [Plain, WithMiner])
export type Config = z.output<typeof Config>

/** The configuration without the miner. */
export const plain = (config: Config): Plain => (config.architecture === "mined" ? config.source : config)

/** Whether the generator takes no label: its input is z, and noise where it has any. */
export const isUnlabelled = (config: Plain): config is Extract<Plain, { readonly architecture: "dcgan" | "fastgan" }> =>
  config.architecture === "dcgan" || config.architecture === "fastgan"

export interface Gan extends Network {
  readonly config: Config
}

export const of = (config: Config): Gan => {
  switch (config.architecture) {
    case "gpgan":
      return GpGan.of(config)
    case "gpgan-small-head":
      return SmallHead.of(config)
    case "resnet3":
    case "resnet4":
      return ResnetGan.of(config)
    case "dcgan":
      return Dcgan.of(config)
    case "fastgan":
      return FastGan.of(config)
    case "mined":
      return { ...MinedGan.of(of(config.source)), config }
  }
}
