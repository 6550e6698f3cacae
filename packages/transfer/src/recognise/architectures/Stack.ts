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
export type Parsed = Weighted | { readonly kind: "batchNorm"; readonly path: Flat.Path; readonly channels: number }

export interface Read {
  readonly layers: readonly LayerInput[]
  /** Channels, height and width of a generator's images. */
  readonly image?: readonly [number, number, number]
  readonly latent?: number
  /** What names and shapes do not show. */
  readonly assumptions: readonly string[]
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

const numberIn = (path: Flat.Path): string => (path.match(/\d+/g) ?? []).join(".")

/**
 * Norms that a module declares after all of its layers, each after the layer that it belongs to: the one with the same number, or
 * else the next one with as many outputs.
 */
const interleaved = (all: readonly Module[]): readonly Module[] => {
  const first = all.findIndex(isNorm)
  const norms = all.filter(isNorm)
  const others = all.filter((module) => !isNorm(module))
  if (norms.length < 2 || first < others.length) return all
  const outputs = ({ tensors: { weight = [], bias } }: Module): readonly number[] => bias ?? weight.slice(0, 2)
  const made: Module[] = []
  const left = [...norms]
  for (const module of others) {
    made.push(module)
    const fits = (norm: Module): boolean => outputs(module).includes(norm.tensors.running_mean![0]!)
    const own = left.find((norm) => numberIn(norm.path) === numberIn(module.path)) ?? left[0]
    if (own === undefined || !fits(own)) continue
    made.push(own)
    left.splice(left.indexOf(own), 1)
  }
  return left.length === 0 ? made : all
}

/** What is said of a parametrised weight that `EffectiveWeights` could not compute. */
const incomplete = ({ tensors }: Module): string | undefined =>
  ["weight_orig", "original", "weight_g", "original0"].some((name) => name in tensors)
    ? "is a spectral or weight normalisation whose other tensors (u and v, or g and v) are not in the file: call remove_spectral_norm or remove_weight_norm before saving"
    : undefined

/** Kinds and channels of all modules, or the first module that no stack can contain. */
const parse = (all: readonly Module[], role: Role): readonly Parsed[] | Misfit => {
  const parsed: Parsed[] = []
  let channels: number | undefined
  for (const [i, module] of all.entries()) {
    const { path, tensors } = module
    const weight = tensors.weight
    if (path === "") return { path: Object.keys(tensors)[0]!, reason: "is a tensor without the name of a layer" }
    if (isNorm(module)) {
      if (weight === undefined) return { path, reason: "a normalisation without scale and shift is not supported" }
      parsed.push({ kind: "batchNorm", path, channels: weight[0]! })
      continue
    }
    if (weight === undefined || (weight.length !== 2 && weight.length !== 4))
      return {
        path,
        reason: incomplete(module) ?? "is not a linear layer, a convolution or a batch norm",
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

/** The layers with weights and norms of a network, in order; or the first module that no stack can contain. */
export const weighted = (shapes: Shapes, role: Role): readonly Parsed[] | Misfit =>
  parse(interleaved(modules(shapes)), role)

/** Modules without parameters that the numbers of `nn.Sequential` leave room for; undefined for different parents. */
export const room = (before: Flat.Path, after: Flat.Path): number | undefined => {
  const [a, b] = [before, after].map((path) => /^(.*\.)?(\d+)$/.exec(path))
  return a && b && a[1] === b[1] ? Number(b[2]) - Number(a[2]) - 1 : undefined
}

/** What ends the reading where the numbers leave room for more than the names say. */
const SAY = "say it with import --layers; inspect --suggest writes a file to begin with"

const isOdd = (layer: Parsed): boolean => "kernel" in layer && layer.kernel % 2 === 1

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

const unpadded = ({ kind, kernel }: Weighted, size: number, stride: number) => ({
  stride,
  pad: 0,
  size: kind === "conv" ? Math.floor((size - kernel) / stride) + 1 : (size - 1) * stride + kernel,
})

const activation = (role: Role, layout: StackLayouts.Layout | undefined): LayerInput =>
  layout?.activation ?? (role === "generator" ? { kind: "relu" } : { kind: "leakyRelu", slope: 0.2 })

/** Reads a stack; a discriminator needs the size of its images from the generator. */
export const read = (shapes: Shapes, role: Role, layout: StackLayouts.Layout | undefined, image?: number): Result => {
  const parsed = weighted(shapes, role)
  if (!("length" in parsed)) return { misfits: [parsed] }
  const convolutionsAndLinear = parsed.filter((p): p is Weighted => p.kind !== "batchNorm")
  const [first] = convolutionsAndLinear
  const last = convolutionsAndLinear.at(-1)
  if (first === undefined || last === undefined) return misfit("", "no layer with weights")

  const layers: LayerInput[] = []
  const dropouts: string[] = []
  let convolutions = 0
  /** Whether an activation stands before the norm that is read now. */
  let activeBefore = false
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
      const stride = layout?.strides?.[role][convolutions++]
      const shape = stride === undefined ? geometry(layer, size, layer === last, role) : unpadded(layer, size, stride)
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
      continue
    }
    const free = room(layer.path, next.path)
    if (beforeNorm) {
      activeBefore = free !== undefined && free > 0
      if (activeBefore) layers.push(activation(role, layout))
      continue
    }
    const isLinearFirst = isFirst && role === "generator" && layout?.linearFirst === true
    if (free === 0 && !activeBefore && !isLinearFirst)
      return misfit(
        next.path,
        `follows ${layer.path} directly by its number, with nothing between them: if their activation is in \`forward\` (a ModuleList), ${SAY}`,
      )
    // a view or a flattening takes a place too
    const turns = (next.kind === "linear") === (size !== undefined) ? 1 : 0
    const spare = (free ?? 1) - (activeBefore ? 0 : 1) - turns
    if (spare > 0 && (next.kind === "conv" ? next : layer).kind === "conv" && isOdd(next))
      return misfit(
        next.path,
        `leaves room for ${spare + 1} modules after ${layer.path}: ${role === "generator" ? "an activation and an upsampling, or a dropout" : "an activation and a pooling (then its stride is 1), or a dropout (then 2)"}; ${SAY}`,
      )
    if (spare > 0) dropouts.push(layer.path)
    if (free !== 0 && !isLinearFirst) layers.push(activation(role, layout))
    activeBefore = false
  }

  const between = activation(role, layout)
  const assumptions = [
    ...(layout === undefined
      ? [
          `${role}: ${between.kind === "leakyRelu" ? `leaky ReLU ${between.slope}` : between.kind} between the layers${role === "generator" ? ", tanh at the end" : ""}, strides from the sizes of the kernels: the names and shapes do not tell`,
        ]
      : []),
    ...(dropouts.length > 0 ? [`${role}: a dropout after ${dropouts.join(", ")}, where the numbers leave room`] : []),
  ]
  const begin = layers.find((l) => l.kind === "view")
  const isConvolutional =
    parsed.some(({ kind }) => kind === "conv") && !parsed.some(({ kind }) => kind === "convTranspose")
  if (role === "generator" && isConvolutional && begin?.kind === "view" && size === begin.shape[1])
    return misfit(
      last.path,
      `makes ${channels} × ${size} × ${size} px, the size that it begins with: convolutions that never enlarge are no generator; if there is an upsampling between them, ${SAY}`,
    )

  if (role === "discriminator") {
    const outputs = channels * (size ?? 1) ** 2
    return outputs === 1
      ? { ok: { layers, latent: first.in, assumptions } }
      : misfit(last.path, `has ${outputs} outputs, but a discriminator has one`)
  }
  if (size !== undefined)
    return size < SMALLEST
      ? misfit(last.path, `makes images of ${size} px, but the smallest supported size is ${SMALLEST} px`)
      : { ok: { layers, image: [channels, size, size], latent: first.in, assumptions } }
  const grey = square(channels)
  const side = grey ?? square(channels / 3)
  if (side === undefined || side < SMALLEST)
    return misfit(
      last.path,
      `${channels} outputs do not form a square image of at least ${SMALLEST} px in grey or colour`,
    )
  const made = [grey === undefined ? 3 : 1, side, side] as const
  return { ok: { layers: [...layers, { kind: "view", shape: [...made] }], image: made, latent: first.in, assumptions } }
}
