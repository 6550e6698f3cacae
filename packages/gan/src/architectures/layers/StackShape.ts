/** The shapes of a stack's activations: what a reader of foreign networks checks before any number is read. */
import type * as Stack from "./Stack.ts"

/** Of an image: channels, height, width; of a vector: its length. */
export type Shape = readonly [number, number, number] | readonly [number]

/** What does not fit, as a sentence about the layer. */
export interface Misfit {
  readonly layer: Stack.Layer
  readonly message: string
}

class Mismatch extends Error {
  readonly misfit: Misfit
  constructor(layer: Stack.Layer, message: string) {
    super(message)
    this.misfit = { layer, message }
  }
}

const text = (shape: Shape): string => shape.join(" × ")

const after = (shape: Shape, layer: Stack.Layer): Shape => {
  const fail = (message: string): never => {
    throw new Mismatch(layer, message)
  }
  const image = (): readonly [number, number, number] =>
    shape.length === 3 ? shape : fail(`expects an image, but its input is a vector of ${shape[0]}`)
  const grow = (f: (n: number) => number, channels?: number): Shape => {
    const [c, h, w] = image()
    const made = [channels ?? c, f(h), f(w)] as const
    return made.every((n) => Number.isInteger(n) && n > 0) ? made : fail(`would make ${text(made)} of ${text(shape)}`)
  }
  const channels = (expected: number): void => {
    if (shape[0] !== expected) fail(`expects ${expected} channels, but its input has ${shape[0]}`)
  }
  switch (layer.kind) {
    case "conv":
      channels(layer.in)
      return grow((n) => Math.floor((n + 2 * layer.pad - layer.kernel) / layer.stride) + 1, layer.out)
    case "convTranspose":
      channels(layer.in)
      return grow((n) => (n - 1) * layer.stride - 2 * layer.pad + layer.kernel + (layer.outputPad ?? 0), layer.out)
    case "linear":
      if (shape.length !== 1) return fail(`expects a vector, but its input is ${text(shape)}`)
      channels(layer.in)
      return [layer.out]
    case "batchNorm":
    case "scaleShift":
      channels(layer.channels)
      return shape
    case "instanceNorm":
    case "groupNorm":
      image()
      channels(layer.channels)
      return shape
    case "prelu":
      if (layer.channels !== 1) channels(layer.channels)
      return shape
    case "layerNorm":
      if (layer.over === "channels") channels(layer.shape[0]!)
      else if (layer.affine && layer.shape.join() !== shape.join())
        fail(`normalises ${layer.shape.join(" × ")}, but its input is ${text(shape)}`)
      return shape
    case "upsample2":
      return grow((n) => 2 * n)
    case "upsample":
      return grow((n) => layer.factor * n)
    case "avgPool2":
      return grow((n) => n / 2)
    case "pool": {
      const [c, h, w] = image()
      const [top, left, bottom, right] = layer.pad
      const size = (n: number): number => Math.floor((n - layer.kernel) / layer.stride) + 1
      const made = [c, size(h + top + bottom), size(w + left + right)] as const
      return made.every((n) => n > 0) ? made : fail(`would make ${text(made)} of ${text(shape)}`)
    }
    case "globalAverage":
      return grow(() => 1)
    case "pad":
    case "crop": {
      const [c, h, w] = image()
      const [top, left, bottom, right] = layer.sides
      const sign = layer.kind === "pad" ? 1 : -1
      const made = [c, h + sign * (top + bottom), w + sign * (left + right)] as const
      return made.every((n) => n > 0) ? made : fail(`would make ${text(made)} of ${text(shape)}`)
    }
    case "pixelShuffle":
      return grow((n) => n * layer.factor, shape[0] / layer.factor ** 2)
    case "flatten":
      return [shape.reduce((n, d) => n * d, 1)]
    case "view": {
      const numbers = layer.shape.reduce((n, d) => n * d, 1)
      const given = shape.reduce((n, d) => n * d, 1)
      return numbers === given ? layer.shape : fail(`makes ${text(layer.shape)}, but its input has ${given} numbers`)
    }
    case "embedding":
      channels(layer.classes)
      return [layer.width]
    case "oneHot":
      return [layer.classes]
    case "sum":
    case "product":
    case "concat": {
      const shapes = layer.branches.map((branch) => branch.reduce(after, shape))
      return joined(layer, layer.kind, shapes)
    }
    case "label": {
      const first = layer.layers[0]
      const classes = first !== undefined && "classes" in first ? first.classes : 0
      const label = layer.layers.reduce(after, [classes] as Shape)
      return joined(layer, layer.join, [shape, label])
    }
    default:
      return shape
  }
}

const joined = (layer: Stack.Layer, kind: "sum" | "product" | "concat", shapes: readonly Shape[]): Shape => {
  const [first] = shapes as [Shape]
  const broadcasts = (a: Shape, b: Shape): boolean =>
    a.length === b.length && a.every((n, i) => n === b[i] || n === 1 || b[i] === 1)
  if (kind !== "concat") {
    if (!shapes.every((other) => broadcasts(first, other)))
      throw new Mismatch(layer, `cannot join ${shapes.map(text).join(" and ")}`)
    return first.map((_, k) => Math.max(...shapes.map((s) => s[k]!))) as unknown as Shape
  }
  if (!shapes.every((s) => s.length === first.length && s.slice(1).join() === first.slice(1).join()))
    throw new Mismatch(layer, `cannot concatenate ${shapes.map(text).join(" and ")}`)
  return [shapes.reduce((n, s) => n + s[0], 0), ...first.slice(1)] as unknown as Shape
}

/** The output's shape for an input's, or the first layer that does not fit. */
export const of = (stack: Stack.Stack, input: Shape): { readonly ok: Shape } | { readonly misfit: Misfit } => {
  try {
    return { ok: stack.reduce(after, input) }
  } catch (thrown) {
    if (thrown instanceof Mismatch) return { misfit: thrown.misfit }
    throw thrown
  }
}
