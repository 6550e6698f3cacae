/** A generator and a discriminator that are plain stacks, whatever the names of their layers. */
import { Dcgan, type Stack as Layers } from "@adafm/gan"
import type { z } from "zod"
import * as Fit from "../Fit.ts"
import { isIgnored, type Networks, type Role, type Shapes } from "../Shapes.ts"
import * as StackLayouts from "../StackLayouts.ts"
import * as Stack from "./Stack.ts"
import * as Upsampling from "./Upsampling.ts"

/** Channels of an image: grey, colour, one of them with transparency. */
const MOST_CHANNELS = 4

/** Heights of images at which a discriminator without its generator is tried, in pixels. */
const SIZES = [16, 28, 32, 64, 128, 256]

type Image = readonly [channels: number, height: number, width: number]

const withoutCounters = (shapes: Shapes): Shapes =>
  Object.fromEntries(Object.entries(shapes).filter(([path]) => !isIgnored(path)))

const read = (shapes: Shapes, role: Role, layout: StackLayouts.Layout | undefined, size?: number): Stack.Answer =>
  Upsampling.looksLike(shapes, role) ? Upsampling.read(shapes, role, size) : Stack.read(shapes, role, layout, size)

/** Why a discriminator cannot judge a generator's images, if it cannot. */
const mismatch = (layers: Stack.Read["layers"], image: Image): Fit.Misfit | undefined => {
  const first = layers.find((layer) => "in" in layer)
  const isLinear = first?.kind === "linear"
  const taken = first !== undefined && "in" in first ? first.in : 0
  if (taken === (isLinear ? image.reduce((n, d) => n * d, 1) : image[0])) return undefined
  return {
    path: first !== undefined && "path" in first ? first.path : "",
    reason: `takes ${taken} ${isLinear ? "numbers" : "channels"}, but the generator's images are [${image.join(", ")}]: a label or another image among the inputs has no place in a plain stack`,
  }
}

export const recognise = ({ generator, discriminator }: Networks): Fit.Fit => {
  const layout = StackLayouts.find(generator, discriminator)
  const G = generator && read(withoutCounters(generator), "generator", layout)
  if (G !== undefined && "misfits" in G) return Fit.unknown("dcgan", { generator: G.misfits })
  const image = G?.ok.image
  const tries =
    discriminator &&
    (image === undefined ? SIZES : [image[1]]).map((size) =>
      read(withoutCounters(discriminator), "discriminator", layout, size),
    )
  const D = tries?.find((t) => "ok" in t) ?? tries?.[0]
  if (D !== undefined && "misfits" in D) return Fit.unknown("dcgan", { discriminator: D.misfits })
  if (G === undefined || image === undefined || generator === undefined)
    return { _tag: "Half", architecture: "dcgan", role: "discriminator" }

  const name = Upsampling.looksLike(withoutCounters(generator), "generator") ? Upsampling.NAME : layout?.name
  const named = name === undefined ? {} : { layout: name }
  const configure = (layers: readonly z.input<typeof Layers.Layer>[]): Dcgan.Config =>
    Dcgan.Config.parse({
      architecture: "dcgan",
      image: [...image],
      latent: { dim: G.ok.latent, distribution: layout?.latent ?? "normal" },
      generator: G.ok.layers,
      discriminator: layers,
    })
  if (discriminator === undefined || D === undefined) {
    if (image[0] <= MOST_CHANNELS)
      return {
        _tag: "Half",
        architecture: "dcgan",
        role: "generator",
        config: configure(Dcgan.judge([...image])),
        ...named,
      }
    const reason = `ends in ${image[0]} channels, images have at most ${MOST_CHANNELS}: is this one of several shards?`
    return Fit.unknown("dcgan", { generator: [{ path: Object.keys(generator).at(-1)!, reason }] })
  }
  const misfit = mismatch(D.ok.layers, image)
  if (misfit !== undefined) return Fit.unknown("dcgan", { discriminator: [misfit] })
  const config = configure(D.ok.layers)
  const checked = Fit.check(config, Dcgan.of(config), { generator, discriminator })
  return checked._tag === "Unknown" ? checked : { ...checked, ...named }
}
