/**
 * FastGAN from names and shapes: the authors' `models.py` (https://github.com/odegeasslbc/FastGAN-pytorch) and this project's own.
 * The authors' generator has a second output of 128 px, which nothing here uses, and its first layer is stored as filters.
 */
import { NdArray } from "@adafm/core"
import { FastGan, Gan, type State } from "@adafm/gan"
import type { z } from "zod"
import * as Fit from "../Fit.ts"
import type * as Parameter from "../Parameter.ts"
import type { Networks, Shapes } from "../Shapes.ts"

export const NAME = "fastgan-pytorch"

const FIRST = "init.init.0.weight"
const SECOND_OUTPUT = /^to_128\./

export const looksLike = (shapes: Shapes): boolean => isGenerator(shapes) || isDiscriminator(shapes)

const isGenerator = (shapes: Shapes): boolean => FIRST in shapes && "feat_8.1.weight" in shapes

const isDiscriminator = (shapes: Shapes): boolean => "down_64.main.0.weight" in shapes && "rf_big.0.weight" in shapes

/** The generator's parameters without its second output, the filters `[z, c, 4, 4]` of the first layer as rows `[z, 16·c]`. */
export const adapted = <P extends Pick<Parameter.Parameter, "shape">>(
  parameters: Readonly<Record<string, P>>,
): Readonly<Record<string, P>> =>
  Object.fromEntries(
    Object.entries(parameters)
      .filter(([path]) => !SECOND_OUTPUT.test(path))
      .map(([path, parameter]) => {
        const [first, ...rest] = parameter.shape
        return path === FIRST && rest.length === 3
          ? [path, { ...parameter, shape: [first!, rest.reduce((n, d) => n * d, 1)] }]
          : [path, parameter]
      }),
  )

/** The first layer as filters `[z, c, 4, 4]` again, the form in which PyTorch has it; other architectures stay as they are. */
export const toFile = ({ architecture }: Gan.Config, generator: State.Params): State.Params => {
  const first = generator[FIRST]
  if (architecture !== "fastgan" || first === undefined) return generator
  const [z, columns] = first.shape as [number, number]
  return { ...generator, [FIRST]: NdArray.reshape(first, [z, columns / 16, 4, 4]) }
}

/** The size of the last up-block; that of the image a discriminator takes follows from its blocks. */
const largestBlock = (shapes: Shapes): number =>
  Math.max(0, ...Object.keys(shapes).map((path) => Number(/^feat_(\d+)\.1\.weight$/.exec(path)?.[1] ?? 0)))

/** 512 over the number of the first down-block is twice its size; with a stem that halves, the image is larger. */
const sizeOf = (discriminator: Shapes): number => {
  const numbers = Object.keys(discriminator).flatMap((path) => /^down_(\d+)\.main\.0\.weight$/.exec(path)?.[1] ?? [])
  const first = 1024 / Math.min(...numbers.map(Number))
  const kernel = discriminator["down_from_big.0.weight"]?.[2]
  return "down_from_big.2.weight" in discriminator ? 4 * first : kernel === 4 ? 2 * first : first
}

const configOf = ({ generator, discriminator }: Networks): FastGan.Config | undefined => {
  const resolution = generator === undefined ? sizeOf(discriminator!) : largestBlock(generator)
  const isAuthors = generator !== undefined && Object.keys(generator).some((path) => SECOND_OUTPUT.test(path))
  const decoder = discriminator?.["decoder_big.main.1.1.weight"]?.[0]
  const input: z.input<typeof FastGan.Config> = {
    architecture: "fastgan",
    resolution: resolution as FastGan.Config["resolution"],
    ...(generator !== undefined && {
      // 2·16·ngf filters
      ngf: (generator["feat_8.1.weight"]?.[1] ?? 0) / 16,
      z_dim: generator[FIRST]![0]!,
      noise: "feat_8.2.weight" in generator,
      output: isAuthors && resolution < 1024 ? "linear" : "tanh",
    }),
    ...(discriminator !== undefined && {
      ndf: (discriminator["rf_big.0.weight"]?.[0] ?? 0) / 16,
      ...(decoder !== undefined && { decoder: decoder / 8 }),
    }),
  }
  const parsed = FastGan.Config.safeParse(input)
  return parsed.success ? parsed.data : undefined
}

/** Undefined where the names are not these. */
export const recognise = (both: Networks): Fit.Fit | undefined => {
  if (![both.generator, both.discriminator].some((shapes) => shapes !== undefined && looksLike(shapes)))
    return undefined
  const config = configOf(both)
  const [role, shapes] =
    both.generator === undefined
      ? (["discriminator", both.discriminator!] as const)
      : (["generator", both.generator] as const)
  if (config === undefined)
    return Fit.unknown("fastgan", {
      [role]: [{ path: Object.keys(shapes)[0]!, reason: "the blocks are not those of an image of 32 to 1024 px" }],
    })
  const isAuthors = both.generator !== undefined && Object.keys(both.generator).some((path) => SECOND_OUTPUT.test(path))
  const ours: Networks = {
    ...(both.generator && { generator: shapesOf(both.generator) }),
    ...(both.discriminator && { discriminator: both.discriminator }),
  }
  const checked = Fit.check(config, Gan.of(config), ours)
  if (checked._tag === "Unknown") return checked
  const found = { config, ...(isAuthors && { layout: NAME }) }
  if (both.generator === undefined) return { _tag: "Half", architecture: "fastgan", role }
  return both.discriminator === undefined
    ? { _tag: "Half", architecture: "fastgan", role, ...found }
    : { _tag: "Known", ...found }
}

const shapesOf = (generator: Shapes): Shapes => {
  const all = adapted(Object.fromEntries(Object.entries(generator).map(([path, shape]) => [path, { shape }])))
  return Object.fromEntries(Object.entries(all).map(([path, { shape }]) => [path, shape]))
}
