/**
 * The DCGAN of PyTorch-GAN. The generator doubles feature maps by repeating pixels, the discriminator halves them by strides; its
 * dropout is the identity outside training. The argument 0.8 of its batch norms is ε, so they divide by √(σ² + 0.8).
 * https://github.com/eriklindernoren/PyTorch-GAN (implementations/dcgan)
 */

import type { Stack as Stack_ } from "@adafm/gan"
import type { z } from "zod"
import type { Role, Shapes } from "../Shapes.ts"
import type * as Stack from "./Stack.ts"

type LayerInput = z.input<typeof Stack_.Layer>

export const NAME = "pytorch-gan-dcgan"

const generatorNames = /^(l1\.0|conv_(blocks|model)\.\d+)\./
const discriminatorNames = /^(model\.\d+|adv_layer\.0)\./

/** Whether all names are those of this implementation. */
export const looksLike = (shapes: Shapes, role: Role): boolean => {
  const paths = Object.keys(shapes)
  return role === "generator"
    ? "l1.0.weight" in shapes && paths.every((path) => generatorNames.test(path))
    : "adv_layer.0.weight" in shapes && paths.every((path) => discriminatorNames.test(path))
}

const leaky: LayerInput = { kind: "leakyRelu", slope: 0.2 }
const EPSILON = 0.8

const linear = (shapes: Shapes, path: string): LayerInput => {
  const [out, width] = shapes[`${path}.weight`] as readonly [number, number]
  return { kind: "linear", path, in: width, out }
}

const conv = (shapes: Shapes, path: string, stride: number): LayerInput => {
  const [out, width, kernel] = shapes[`${path}.weight`] as readonly [number, number, number]
  return { kind: "conv", path, in: width, out, kernel, stride, pad: (kernel - 1) / 2 }
}

const norm = (shapes: Shapes, path: string, epsilon?: number): LayerInput => ({
  kind: "batchNorm",
  path,
  channels: shapes[`${path}.weight`]![0]!,
  ...(epsilon !== undefined && { epsilon }),
})

const misfit = (path: string, reason: string): Stack.Result => ({ misfits: [{ path, reason }] })

const generator = (shapes: Shapes): Stack.Result => {
  const root = Object.keys(shapes)
    .find((path) => path.startsWith("conv_"))!
    .split(".")[0]!
  const at = (index: number): string => `${root}.${index}`
  const absent = [0, 2, 3, 6, 7, 9].find((index) => shapes[`${at(index)}.weight`] === undefined)
  if (absent !== undefined) return misfit(at(absent), "is missing")
  const [numbers, latent] = shapes["l1.0.weight"] as readonly [number, number]
  const [channels, side] = [shapes[`${at(0)}.weight`]![0]!, Math.sqrt(numbers / shapes[`${at(0)}.weight`]![0]!)]
  if (!Number.isInteger(side))
    return misfit("l1.0", `${numbers} outputs do not form a square feature map of ${channels} channels`)
  return {
    ok: {
      layers: [
        linear(shapes, "l1.0"),
        { kind: "view", shape: [channels, side, side] },
        norm(shapes, at(0)),
        { kind: "upsample2" },
        conv(shapes, at(2), 1),
        norm(shapes, at(3), EPSILON),
        leaky,
        { kind: "upsample2" },
        conv(shapes, at(6), 1),
        norm(shapes, at(7), EPSILON),
        leaky,
        conv(shapes, at(9), 1),
        { kind: "tanh" },
      ],
      image: [shapes[`${at(9)}.weight`]![0]!, 4 * side, 4 * side],
      latent,
      assumptions: [],
    },
  }
}

const discriminator = (shapes: Shapes, image: number): Stack.Result => {
  const paths = [...new Set(Object.keys(shapes).map((path) => path.slice(0, path.lastIndexOf("."))))].filter((path) =>
    path.startsWith("model."),
  )
  const convs = paths.filter((path) => shapes[`${path}.running_mean`] === undefined)
  const last = shapes[`${convs.at(-1)}.weight`]?.[0] ?? 0
  const [logits, numbers] = shapes["adv_layer.0.weight"] as readonly [number, number]
  const side = image / 2 ** convs.length
  if (logits !== 1) return misfit("adv_layer.0", `has ${logits} outputs, but a discriminator has one`)
  if (numbers !== last * side * side)
    return misfit(
      "adv_layer.0",
      `takes ${numbers} inputs, but the layer before has ${last} × ${side} × ${side} outputs`,
    )
  return {
    ok: {
      layers: [
        ...paths.flatMap((path) =>
          convs.includes(path) ? [conv(shapes, path, 2), leaky] : [norm(shapes, path, EPSILON)],
        ),
        { kind: "flatten" },
        linear(shapes, "adv_layer.0"),
      ],
      assumptions: [],
    },
  }
}

export const read = (shapes: Shapes, role: Role, image?: number): Stack.Result =>
  role === "generator"
    ? generator(shapes)
    : image === undefined
      ? misfit("model.0", "the size of the images is unknown without a generator")
      : discriminator(shapes, image)
