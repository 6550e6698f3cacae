/**
 * Plain stacks (DCGAN, multi-layer perceptrons) from names and shapes. Shapes give the kinds and channels of the layers. Strides
 * and activations have no parameters, so they come from the size of the kernel, from gaps in the numbering of `nn.Sequential`,
 * and from a table of known layouts.
 */
import { Flat } from "@adafm/core"
import type { Stack } from "@adafm/gan"
import type { z } from "zod"
import type { Misfit } from "../Fit.ts"
import type { Role, Shapes } from "../Shapes.ts"
import type * as StackLayouts from "../StackLayouts.ts"

type LayerInput = z.input<typeof Stack.Layer>

/** A module and its tensors, by the last part of their names. */
interface Module {
  readonly path: Flat.Path
  readonly tensors: Flat.Flat<readonly number[]>
}

interface Weighted {
  readonly kind: "conv" | "convTranspose" | "linear"
  readonly path: Flat.Path
  readonly in: number
  readonly out: number
  readonly kernel: number
  readonly bias: boolean
}
type Parsed = Weighted | { readonly kind: "batchNorm"; readonly path: Flat.Path; readonly channels: number }

export interface Read {
  readonly layers: readonly LayerInput[]
  /** Channels, height and width of a generator's images. */
  readonly image?: readonly [number, number, number]
  readonly latent?: number
}

export type Result = { readonly ok: Read } | { readonly misfits: readonly Misfit[] }

const misfit = (path: string, reason: string): Result => ({ misfits: [{ path, reason }] })

const modules = (shapes: Shapes): readonly Module[] => {
  const found = new Map<string, Record<string, readonly number[]>>()
  for (const [path, shape] of Object.entries(shapes)) {
    const dot = path.lastIndexOf(".")
    const module = path.slice(0, Math.max(0, dot))
    const tensors = found.get(module) ?? Flat.empty<readonly number[]>()
    tensors[path.slice(dot + 1)] = shape
    found.set(module, tensors)
  }
  return [...found].map(([path, tensors]) => ({ path, tensors }))
}

const isNorm = ({ tensors }: Module): boolean => "running_mean" in tensors

/** Why the module has no `weight`, where PyTorch computes it from other tensors in every forward pass. */
const reparametrised = ({ tensors }: Module): string | undefined => {
  if ("weight_orig" in tensors || "original" in tensors)
    return "spectral normalisation is not supported: call torch.nn.utils.remove_spectral_norm (or parametrize.remove_parametrizations) before saving"
  if ("weight_g" in tensors || "original0" in tensors)
    return "weight normalisation is not supported: call torch.nn.utils.remove_weight_norm (or parametrize.remove_parametrizations) before saving"
  return undefined
}

/** Kinds and channels of all modules, or the first module that no stack can contain. */
const parse = (all: readonly Module[], role: Role): readonly Parsed[] | Misfit => {
  const parsed: Parsed[] = []
  let channels: number | undefined
  for (const [i, module] of all.entries()) {
    const { path, tensors } = module
    const weight = tensors.weight
    if (isNorm(module)) {
      if (weight === undefined) return { path, reason: "a normalisation without scale and shift is not supported" }
      parsed.push({ kind: "batchNorm", path, channels: weight[0]! })
      continue
    }
    if (weight === undefined || (weight.length !== 2 && weight.length !== 4))
      return {
        path: path || Object.keys(tensors)[0]!,
        reason: reparametrised(module) ?? "is not a linear layer, a convolution or a batch norm",
      }
    const [a, b] = weight as [number, number]
    const bias = tensors.bias !== undefined
    if (weight.length === 2) parsed.push({ kind: "linear", path, in: b, out: a, kernel: 1, bias })
    else {
      const kernel = weight[2]!
      if (kernel !== weight[3]) return { path, reason: `a kernel of ${kernel} × ${weight[3]} is not square` }
      const next = all[i + 1]
      const out = tensors.bias?.[0] ?? (next !== undefined && isNorm(next) ? next.tensors.running_mean![0] : undefined)
      const conv = (out === undefined || a === out) && (channels === undefined || b === channels || out !== undefined)
      const transposed =
        (out === undefined || b === out) && (channels === undefined || a === channels || out !== undefined)
      if (!conv && !transposed)
        return {
          path,
          reason: `filters [${weight.join(", ")}] do not fit the ${channels} channels of the layer before`,
        }
      const asTransposed = transposed && (!conv || (role === "generator" && kernel % 2 === 0))
      parsed.push({
        kind: asTransposed ? "convTranspose" : "conv",
        path,
        in: asTransposed ? a : b,
        out: asTransposed ? b : a,
        kernel,
        bias,
      })
    }
    channels = (parsed.at(-1) as Weighted).out
  }
  return parsed
}

/** Whether the numbers of `nn.Sequential` leave room for an activation between two modules; undefined for different parents. */
const gap = (before: Flat.Path, after: Flat.Path): boolean | undefined => {
  const [a, b] = [before, after].map((path) => /^(.*?)(\d+)$/.exec(path))
  return a && b && a[1] === b[1] ? Number(b[2]) - Number(a[2]) > 1 : undefined
}

const square = (n: number): number | undefined => (Number.isInteger(Math.sqrt(n)) ? Math.sqrt(n) : undefined)

/** Height and width of the smallest image, in pixels. A perceptron with one output is a discriminator. */
const SMALLEST = 4

/** Height and width after a layer, with the stride and padding that its kernel size implies. */
const geometry = (
  layer: Weighted,
  size: number,
  isLast: boolean,
  role: Role,
): { stride: number; pad: number; size: number } | undefined => {
  const { kind, kernel } = layer
  const half = (kernel - 1) / 2
  if (kind === "convTranspose") {
    if (size === 1) return { stride: 1, pad: 0, size: kernel }
    if (kernel % 2 === 1) return undefined // doubling with an odd kernel needs output padding
    return { stride: 2, pad: kernel / 2 - 1, size: 2 * size }
  }
  if (role === "generator") return kernel % 2 === 1 ? { stride: 1, pad: half, size } : undefined
  if (isLast && kernel === size) return { stride: 1, pad: 0, size: 1 }
  const pad = kernel % 2 === 1 ? half : kernel / 2 - 1
  return { stride: 2, pad, size: size / 2 }
}

const activation = (role: Role, layout: StackLayouts.Layout | undefined): LayerInput =>
  layout?.activation ?? (role === "generator" ? { kind: "relu" } : { kind: "leakyRelu", slope: 0.2 })

/** Reads a stack; a discriminator needs the size of its images from the generator. */
export const read = (shapes: Shapes, role: Role, layout: StackLayouts.Layout | undefined, image?: number): Result => {
  const parsed = parse(modules(shapes), role)
  if (!("length" in parsed)) return { misfits: [parsed] }
  const weighted = parsed.filter((p): p is Weighted => p.kind !== "batchNorm")
  const [first] = weighted
  const last = weighted.at(-1)
  if (first === undefined || last === undefined) return misfit("", "no layer with weights")

  const layers: LayerInput[] = []
  let channels = first.in
  let size = role === "discriminator" && first.kind !== "linear" ? image : undefined
  if (role === "discriminator" && first.kind !== "linear" && size === undefined)
    return misfit(first.path, "the size of the images is unknown without a generator")
  if (role === "generator" && first.kind !== "linear") {
    layers.push({ kind: "view", shape: [first.in, 1, 1] })
    size = 1
  }
  if (role === "discriminator" && first.kind === "linear") layers.push({ kind: "flatten" })

  for (const [i, layer] of parsed.entries()) {
    const next = parsed[i + 1]
    const before = parsed[i - 1]
    if (layer.kind === "batchNorm") {
      if (layer.channels !== channels) {
        const side = size === undefined ? square(channels / layer.channels) : undefined
        if (side === undefined)
          return misfit(
            layer.path,
            `a batch norm of ${layer.channels} channels does not fit the ${channels} outputs of the layer before`,
          )
        layers.push({ kind: "view", shape: [layer.channels, side, side] })
        channels = layer.channels
        size = side
      }
      layers.push({ kind: "batchNorm", path: layer.path, channels })
    } else if (layer.kind === "linear") {
      if (size !== undefined) {
        if (layer.in !== channels * size * size)
          return misfit(
            layer.path,
            `takes ${layer.in} inputs, but the layer before has ${channels} × ${size} × ${size} outputs`,
          )
        layers.push({ kind: "flatten" })
        size = undefined
      } else if (before !== undefined && layer.in !== channels)
        return misfit(layer.path, `takes ${layer.in} inputs, but the layer before has ${channels} outputs`)
      layers.push({ kind: "linear", path: layer.path, in: layer.in, out: layer.out, bias: layer.bias })
      channels = layer.out
    } else {
      if (size === undefined) {
        const side = square(channels / layer.in)
        if (side === undefined)
          return misfit(
            layer.path,
            `takes ${layer.in} channels, but the layer before has ${channels} outputs, which form no square feature map`,
          )
        layers.push({ kind: "view", shape: [layer.in, side, side] })
        size = side
      } else if (layer.in !== channels)
        return misfit(layer.path, `takes ${layer.in} channels, but the layer before has ${channels}`)
      const shape = geometry(layer, size, layer === last, role)
      if (shape === undefined || !Number.isInteger(shape.size) || shape.size < 1)
        return misfit(
          layer.path,
          `stride and padding of a ${layer.kernel} × ${layer.kernel} ${layer.kind} at ${size} px are unknown`,
        )
      const { kind, path, kernel, bias } = layer
      layers.push({ kind, path, in: layer.in, out: layer.out, kernel, stride: shape.stride, pad: shape.pad, bias })
      channels = layer.out
      size = shape.size
    }
    const beforeNorm = next !== undefined && next.kind === "batchNorm"
    const isFirst = layer === first || (before === first && layer.kind === "batchNorm")
    if (next === undefined) {
      if (role === "generator") layers.push({ kind: "tanh" })
    } else if (
      !beforeNorm &&
      gap(layer.path, next.path) !== false &&
      !(isFirst && role === "generator" && layout?.linearFirst === true)
    )
      layers.push(activation(role, layout))
  }

  if (role === "discriminator") {
    const outputs = channels * (size ?? 1) ** 2
    return outputs === 1
      ? { ok: { layers, latent: first.in } }
      : misfit(last.path, `has ${outputs} outputs, but a discriminator has one`)
  }
  if (size !== undefined)
    return size < SMALLEST
      ? misfit(last.path, `makes images of ${size} px, but the smallest supported size is ${SMALLEST} px`)
      : { ok: { layers, image: [channels, size, size], latent: first.in } }
  const grey = square(channels)
  const side = grey ?? square(channels / 3)
  if (side === undefined || side < SMALLEST)
    return misfit(
      last.path,
      `${channels} outputs do not form a square image of at least ${SMALLEST} px in grey or colour`,
    )
  const made = [grey === undefined ? 3 : 1, side, side] as const
  return { ok: { layers: [...layers, { kind: "view", shape: [...made] }], image: made, latent: first.in } }
}
