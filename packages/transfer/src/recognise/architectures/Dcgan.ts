/** DCGANs and multi-layer perceptrons: generator and discriminator are plain stacks of layers with any names. */
import { Dcgan } from "@adafm/gan"
import * as Fit from "../Fit.ts"
import { isIgnored, type Networks, type Role, type Shapes } from "../Shapes.ts"
import * as StackLayouts from "../StackLayouts.ts"
import * as Stack from "./Stack.ts"
import * as Upsampling from "./Upsampling.ts"

/** Channels of an image: grey or colour, each with or without transparency. */
const MOST_CHANNELS = 4

/** Heights of images, in pixels, that are tried for a discriminator without its generator. */
const SIZES = [16, 28, 32, 64, 128, 256]

type Image = readonly [channels: number, height: number, width: number]

const withoutCounters = (shapes: Shapes): Shapes =>
  Object.fromEntries(Object.entries(shapes).filter(([path]) => !isIgnored(path)))

const read = (shapes: Shapes, role: Role, layout: StackLayouts.Layout | undefined, size?: number): Stack.Result =>
  Upsampling.looksLike(shapes, role) ? Upsampling.read(shapes, role, size) : Stack.read(shapes, role, layout, size)

/** Why a discriminator cannot take a generator's images; undefined where it can. */
const mismatch = (layers: Stack.Read["layers"], image: Image): Fit.Misfit | undefined => {
  const first = layers.find((layer) => "in" in layer)
  const isLinear = first?.kind === "linear"
  const taken = first !== undefined && "in" in first ? first.in : 0
  if (taken === (isLinear ? image.reduce((n, d) => n * d, 1) : image[0])) return undefined
  return {
    path: first !== undefined && "path" in first ? first.path : "",
    reason: `takes ${taken} ${isLinear ? "numbers" : "channels"}, but the generator's images are [${image.join(", ")}]: further inputs (a label, another image) are not supported`,
  }
}

export const recognise = (both: Networks): Fit.Fit => {
  const [generator, discriminator] = [both.generator, both.discriminator].map((s) => s && withoutCounters(s))
  const layout = StackLayouts.find(generator, discriminator)
  const G = generator && read(generator, "generator", layout)
  if (G !== undefined && "misfits" in G) return Fit.unknown("dcgan", { generator: G.misfits })
  const image = G?.ok.image
  const tries =
    discriminator &&
    (image === undefined ? SIZES : [image[1]]).map((size) => read(discriminator, "discriminator", layout, size))
  const D = tries?.find((t) => "ok" in t) ?? tries?.[0]
  if (D !== undefined && "misfits" in D) return Fit.unknown("dcgan", { discriminator: D.misfits })
  if (generator === undefined || G === undefined || image === undefined)
    return { _tag: "Half", architecture: "dcgan", role: "discriminator" }

  if (D === undefined && image[0] > MOST_CHANNELS) {
    const reason = `has ${image[0]} output channels, but images have at most ${MOST_CHANNELS}: is this one of several shards?`
    return Fit.unknown("dcgan", { generator: [{ path: Object.keys(generator).at(-1)!, reason }] })
  }
  const misfit = D && mismatch(D.ok.layers, image)
  if (misfit !== undefined) return Fit.unknown("dcgan", { discriminator: [misfit] })
  const config = Dcgan.Config.parse({
    architecture: "dcgan",
    image: [...image],
    latent: { dim: G.ok.latent, distribution: layout?.latent ?? "normal" },
    generator: G.ok.layers,
    discriminator: D?.ok.layers ?? Dcgan.discriminatorFor([...image]),
  })
  const checked = Fit.check(config, Dcgan.of(config), both)
  if (checked._tag === "Unknown") return checked
  const name = Upsampling.looksLike(generator, "generator") ? Upsampling.NAME : layout?.name
  const assumptions = [...G.ok.assumptions, ...(D?.ok.assumptions ?? [])]
  const found = { config, assumptions, ...(name !== undefined && { layout: name }) }
  return D === undefined
    ? { _tag: "Half", architecture: "dcgan", role: "generator", ...found }
    : { _tag: "Known", ...found }
}
