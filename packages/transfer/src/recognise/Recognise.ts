/**
 * Which architecture a checkpoint holds, with its configuration, from names and shapes alone; or what is nearest and which
 * tensors do not fit.
 */
import { Flat, type Leaf } from "@adafm/core"
import {
  Dcgan,
  Gan,
  type GpGan as GpGan_,
  type ResnetGan as ResnetGan_,
  type SmallHead as SmallHead_,
  type Stack as Stack_,
} from "@adafm/gan"
import type { z } from "zod"
import * as GpGan from "./architectures/GpGan.ts"
import * as ResnetGan from "./architectures/ResnetGan.ts"
import * as SmallHead from "./architectures/SmallHead.ts"
import * as Stack from "./architectures/Stack.ts"
import * as Upsampling from "./architectures/Upsampling.ts"
import * as DeclaredConfig from "./DeclaredConfig.ts"
import * as FoldedModulation from "./FoldedModulation.ts"
import * as Shapes from "./Shapes.ts"
import * as StackLayouts from "./StackLayouts.ts"

export type Misfit = Shapes.Misfit
export type Role = Shapes.Role

export interface Networks {
  readonly generator?: Shapes.Shapes
  readonly discriminator?: Shapes.Shapes
}

export type Recognised =
  | { readonly _tag: "Known"; readonly config: Gan.Config; readonly layout?: string }
  /** One network alone fits an architecture whose other half is not here; a generator says the whole configuration. */
  | {
      readonly _tag: "Half"
      readonly architecture: Gan.Config["architecture"]
      readonly role: Role
      readonly config?: Gan.Config
      readonly layout?: string
    }
  | {
      readonly _tag: "Unknown"
      readonly nearest?: Gan.Config["architecture"]
      readonly misfits: readonly (Misfit & { readonly network: Role })[]
    }

type Unknown = Extract<Recognised, { _tag: "Unknown" }>

const unknown = (nearest: Gan.Config["architecture"], misfits: Partial<Record<Role, readonly Misfit[]>>): Unknown => ({
  _tag: "Unknown",
  nearest,
  misfits: (["generator", "discriminator"] as const).flatMap((network) =>
    (misfits[network] ?? []).map((misfit) => ({ network, ...misfit })),
  ),
})

type Family = GpGan_.Config | SmallHead_.Config | ResnetGan_.Config

const guessed = (
  { generator, discriminator }: Networks,
  claim: DeclaredConfig.Claim | undefined,
): Family | undefined => {
  const small = generator !== undefined && SmallHead.looksLike(generator)
  const guess = small
    ? SmallHead.guess(generator, discriminator)
    : (ResnetGan.looksLike((generator ?? discriminator)!) ? ResnetGan : GpGan).guess(generator, discriminator)
  return guess && DeclaredConfig.believe<Family>(guess, claim)
}

/** The parameters that a checkpoint of an architecture may hold: its own, and those of a modulation that is there. */
const specOf = (config: Gan.Config, generator: Shapes.Shapes | undefined): Record<Role, Flat.Flat<Leaf.Leaf>> => {
  const gan = Gan.of(config)
  const modulation = generator && FoldedModulation.find(gan, "generator", generator)
  return { generator: Flat.merge(gan.generator, modulation?.leaves ?? {}), discriminator: gan.discriminator }
}

/** GP-GAN, its variant with the small head and its larger relatives, whose names are their own. */
const family = (both: Networks, claim: DeclaredConfig.Claim | undefined): Recognised | undefined => {
  const { generator, discriminator } = both
  if (![generator, discriminator].some((shapes) => shapes !== undefined && GpGan.looksLike(shapes))) return undefined
  const config = guessed(both, claim)
  if (config === undefined) {
    const network = generator === undefined ? "discriminator" : "generator"
    const [nearest, reason] = ResnetGan.looksLike(both[network]!)
      ? [ResnetGan.architecture(both[network]!), ResnetGan.whyNot]
      : (["gpgan", GpGan.whyNot] as const)
    return unknown(nearest, { [network]: [{ path: "conv_img.weight", reason }] })
  }
  const checked = check(config, specOf(config, generator), both)
  if (checked._tag === "Unknown") return checked
  const { architecture } = config
  if (generator === undefined) return { _tag: "Half", architecture, role: "discriminator" }
  return discriminator === undefined ? { _tag: "Half", architecture, role: "generator", config } : checked
}

/** Channels of an image: grey, colour, one of them with transparency. */
const MOST_CHANNELS = 4

type Image = [channels: number, height: number, width: number]

const withoutCounters = (shapes: Shapes.Shapes): Shapes.Shapes =>
  Object.fromEntries(Object.entries(shapes).filter(([path]) => !Shapes.isIgnored(path)))

const stacks = (networks: Networks): Recognised => {
  const layout = StackLayouts.find(networks.generator, networks.discriminator)
  const read = (shapes: Shapes.Shapes, role: Role, size?: number): Stack.Answer =>
    Upsampling.looksLike(shapes, role) ? Upsampling.read(shapes, role, size) : Stack.read(shapes, role, layout, size)
  const generator = networks.generator && read(withoutCounters(networks.generator), "generator")
  if (generator !== undefined && "misfits" in generator) return unknown("dcgan", { generator: generator.misfits })
  const image = generator?.ok.image?.[1]
  const sizes = image === undefined ? [16, 28, 32, 64, 128, 256] : [image]
  const tries = sizes.map(
    (size) => networks.discriminator && read(withoutCounters(networks.discriminator), "discriminator", size),
  )
  const discriminator = tries.find((t) => t !== undefined && "ok" in t) ?? tries[0]
  if (discriminator !== undefined && "misfits" in discriminator)
    return unknown("dcgan", { discriminator: discriminator.misfits })
  if (generator === undefined) return { _tag: "Half", architecture: "dcgan", role: "discriminator" }
  const name = Upsampling.looksLike(withoutCounters(networks.generator!), "generator") ? Upsampling.NAME : layout?.name
  const named = name === undefined ? {} : { layout: name }
  const configure = (image: Image, discriminator: readonly z.input<typeof Stack_.Layer>[]): Dcgan.Config =>
    Dcgan.Config.parse({
      architecture: "dcgan",
      image,
      latent: { dim: generator.ok.latent!, distribution: layout?.latent ?? "normal" },
      generator: generator.ok.layers,
      discriminator,
    })
  if (discriminator === undefined) {
    const [...image] = generator.ok.image!
    if (image[0] > MOST_CHANNELS)
      return unknown("dcgan", {
        generator: [
          {
            path: Object.keys(networks.generator!).at(-1)!,
            reason: `ends in ${image[0]} channels, images have at most ${MOST_CHANNELS}: is this one of several shards?`,
          },
        ],
      })
    const config = configure(image, Dcgan.judge(image))
    return { _tag: "Half", architecture: "dcgan", role: "generator", config, ...named }
  }

  const [G, D] = [generator.ok, discriminator.ok]
  const [channels] = G.image!
  const pixels = G.image!.reduce((n, d) => n * d, 1)
  const first = D.layers.find((l) => "in" in l)
  const taken = first !== undefined && "in" in first ? first.in : 0
  if (taken !== (first?.kind === "linear" ? pixels : channels))
    return unknown("dcgan", {
      discriminator: [
        {
          path: first !== undefined && "path" in first ? first.path : "",
          reason: `takes ${taken} ${first?.kind === "linear" ? "numbers" : "channels"}, but the generator's images are [${G.image!.join(", ")}]: a label or another image among the inputs has no place in a plain stack`,
        },
      ],
    })
  const config = configure([...G.image!], D.layers)
  const checked = check(config, Dcgan.of(config), {
    generator: networks.generator!,
    discriminator: networks.discriminator!,
  })
  return checked._tag === "Unknown" ? checked : { ...checked, ...named }
}

/** Recognises one or both networks. */
export const networks = (both: Networks, claim?: DeclaredConfig.Claim): Recognised =>
  family(both, claim) ?? stacks(both)

/** Recognises a network whose role nobody has said: both are tried. */
export const single = (shapes: Shapes.Shapes): Recognised => {
  const answers = [networks({ generator: shapes }), networks({ discriminator: shapes })]
  return answers.find(({ _tag }) => _tag !== "Unknown") ?? answers[0]!
}

/** A few lines for a person. */
export const explain = ({ nearest, misfits }: Unknown): string =>
  `no known architecture${nearest === undefined ? "" : `; the nearest is ${nearest}`}${misfits.length === 0 ? "" : `, in which ${misfits.length === 1 ? "this does" : "these do"} not fit: `}${misfits
    .slice(0, 8)
    .map((m) => `${m.network}/${Shapes.describe(m)}`)
    .join("; ")}${misfits.length > 8 ? `; and ${misfits.length - 8} more` : ""}`

/** Holds a configuration against the tensors that are there. */
const check = (
  config: Gan.Config,
  spec: Record<Role, Flat.Flat<Leaf.Leaf>>,
  { generator, discriminator }: Networks,
): Exclude<Recognised, { _tag: "Half" }> => {
  const misfits = {
    generator: generator === undefined ? [] : Shapes.compare(spec.generator, generator),
    discriminator: discriminator === undefined ? [] : Shapes.compare(spec.discriminator, discriminator),
  }
  return misfits.generator.length + misfits.discriminator.length > 0
    ? unknown(config.architecture, misfits)
    : { _tag: "Known", config }
}
