/** What a graph's values are while it is compiled, and the steps that every operator needs. */
import type { Stack } from "@adafm/gan"
import * as Axes from "./Axes.ts"
import * as Constant from "./Constant.ts"
import * as Operators from "./Operators.ts"
import * as Points from "./Points.ts"

export interface Activation {
  readonly kind: "activation"
  readonly point: Points.Point
  readonly axes: Axes.Axes
}
export interface Fixed {
  readonly kind: "constant"
  readonly constant: Constant.Constant
}
/** The class's number, before a table or a one-hot vector makes numbers of it. */
export interface LabelIndex {
  readonly kind: "label"
}
export type Value = Activation | Fixed | LabelIndex

/** The state of one compilation. */
export interface Reading {
  readonly batch: number
  /** By the paths of a stack, in the layout of a model folder. */
  readonly parameters: Map<string, Constant.Constant>
  /** The root of the label, once a node has read it. */
  label: Points.Point | undefined
}

export type Handler = (
  node: Operators.Node,
  inputs: readonly (Value | undefined)[],
  reading: Reading,
) => Value | readonly Value[]

export const fixed = (constant: Constant.Constant): Fixed => ({ kind: "constant", constant })

/** A point in the canonical order of its axes. */
export const plain = ({ batch }: Reading, point: Points.Point): Activation => ({
  kind: "activation",
  point,
  axes: point.shape.length === 3 ? Axes.image(batch, point.shape) : Axes.vector(batch, point.shape[0]),
})

export const activation = (node: Operators.Node, value: Value | undefined, which = "its input"): Activation =>
  value?.kind === "activation"
    ? value
    : Operators.refuse(node, `needs ${which} from the network, found ${value?.kind ?? "nothing"}`)

export const constant = (node: Operators.Node, value: Value | undefined, which: string): Constant.Constant =>
  value?.kind === "constant"
    ? value.constant
    : Operators.refuse(
        node,
        `needs fixed numbers as ${which}; numbers that the network computes are not supported there`,
      )

/** The numbers of a small constant input; undefined where it is not given. */
export const numbers = (
  node: Operators.Node,
  value: Value | undefined,
  which: string,
): readonly number[] | undefined =>
  value === undefined
    ? undefined
    : (Constant.numbers(constant(node, value, which)) ?? Operators.refuse(node, `has too many numbers as ${which}`))

/** Adds a layer; its axes stay. */
export const through = (node: Operators.Node, { point, axes }: Activation, layer: Stack.Layer): Activation => ({
  kind: "activation",
  point: Points.layer(point, layer, node.name),
  axes,
})

/** An image as the operator reads it, `[B, C, H, W]`. */
export const image = (node: Operators.Node, value: Value | undefined, reading: Reading): Points.Point => {
  const { point, axes } = activation(node, value)
  const { batch } = reading
  const { shape } = point
  const sizes = Axes.shapeOf(axes)
  if (sizes.length !== 4)
    return Operators.refuse(node, `needs an image, found a value of shape [${sizes.slice(1).join(", ")}]`)
  const [, c, h, w] = sizes as unknown as readonly [number, number, number, number]
  if (shape.length === 3) {
    if (Axes.equal(axes, Axes.image(batch, shape))) return point
    const factor = h / shape[1]
    if (Number.isInteger(factor) && factor > 1 && shape[0] % factor ** 2 === 0)
      for (const order of ["crd", "dcr"] as const)
        if (Axes.equal(axes, Axes.shuffled(batch, shape, factor, order)))
          return Points.layer(point, { kind: "pixelShuffle", factor, order }, node.name)
  } else
    for (const order of ["chw", "hwc"] as const)
      if (Axes.equal(axes, Axes.viewed(batch, [c, h, w], order)))
        return Points.layer(point, { kind: "view", shape: [c, h, w], ...(order === "hwc" && { order }) }, node.name)
  if (shape.length === 3) {
    // a feature map that was flattened and shaped anew
    const flat = flattenedOf(reading, point, [axes[0]!, axes.slice(1).flat()])
    if (flat !== undefined)
      return Points.layer(
        Points.layer(point, { kind: "flatten", ...(flat === "hwc" && { order: flat }) }, node.name),
        { kind: "view", shape: [c, h, w], ...(flat === "hwc" && { order: flat }) },
        node.name,
      )
  }
  return Operators.refuse(node, "reads its input in an order of axes that is neither (C, H, W) nor (H, W, C)")
}

const flattenedOf = ({ batch }: Reading, { shape }: Points.Point, axes: Axes.Axes): "chw" | "hwc" | undefined =>
  shape.length === 3
    ? (["chw", "hwc"] as const).find((order) => Axes.equal(axes, Axes.flattened(batch, shape, order)))
    : undefined

/** A vector as the operator reads it, `[B, N]`; further axes of size 1 are allowed. */
export const vector = (node: Operators.Node, value: Value | undefined, reading: Reading): Points.Point => {
  const { point, axes } = activation(node, value)
  const flat: Axes.Axes = [axes[0] ?? [], axes.slice(1).flat()]
  if (point.shape.length === 1) {
    if (Axes.equal(flat, Axes.vector(reading.batch, point.shape[0]))) return point
  } else if (axes.slice(1).filter((axis) => axis.length > 0).length <= 1) {
    const order = flattenedOf(reading, point, flat)
    if (order !== undefined)
      return Points.layer(point, { kind: "flatten", ...(order === "hwc" && { order }) }, node.name)
  }
  return Operators.refuse(
    node,
    `needs a vector, found a value of shape [${Axes.shapeOf(axes).slice(1).join(", ")}] in an order that no layer here makes`,
  )
}

/**
 * Gives a vector that was reshaped to `[B, …, …, …]` the shape of an image: the axis with the channels tells whether it is
 * (C, H, W) or (H, W, C). Other values stay.
 */
export const settled = (
  node: Operators.Node,
  value: Activation,
  channelAxis: number,
  { batch }: Reading,
): Activation => {
  const { point, axes } = value
  const sizes = Axes.shapeOf(axes)
  if (point.shape.length !== 1 || sizes.length !== 4 || sizes.slice(1).filter((n) => n > 1).length < 2) return value
  const [, a, b, c] = sizes as unknown as readonly [number, number, number, number]
  const last = channelAxis === 3
  const shape = last ? ([c, a, b] as const) : ([a, b, c] as const)
  for (const order of ["chw", "hwc"] as const) {
    const nchw = Axes.viewed(batch, [...shape], order)
    const seen = last ? [nchw[0]!, nchw[2]!, nchw[3]!, nchw[1]!] : nchw
    if (!Axes.equal(axes, seen)) continue
    const made = Points.layer(point, { kind: "view", shape: [...shape], ...(order === "hwc" && { order }) }, node.name)
    const canonical = Axes.image(batch, [...shape])
    return {
      kind: "activation",
      point: made,
      axes: last ? [canonical[0]!, canonical[2]!, canonical[3]!, canonical[1]!] : canonical,
    }
  }
  return value
}

/** Channels of an activation: those of an image, or the entries of a vector. */
export const channels = ({ point }: Activation): number => point.shape[0]

/** Whether an axis holds the channels of an image, or the entries of a vector, in their order. */
export const isChannelAxis = ({ point, axes }: Activation, axis: number): boolean =>
  axes[axis] !== undefined &&
  Axes.equal([axes[axis]], [Axes.whole(point.shape.length === 3 ? "c" : "n", point.shape[0])])

const KNOWN =
  /^(.+)[./](weight|bias|kernel|gamma|beta|moving_mean|moving_variance|running_mean|running_var|embeddings|alpha)(:\d+)?$/

/** A free path for a layer: the name of its tensors in the file, or the node's. */
const pathOf = (node: Operators.Node, { parameters }: Reading): string => {
  const named = node.inputs.flatMap((input) => KNOWN.exec(input)?.[1] ?? [])[0]
  const wanted = (named ?? (node.name === "" ? `${node.op}_${node.outputs[0] ?? parameters.size}` : node.name))
    .replace(/[^A-Za-z0-9_.-]+/g, ".")
    .replace(/^\.+|\.+$/g, "")
  const base = wanted === "" ? "layer" : wanted
  const isTaken = (path: string): boolean => [...parameters.keys()].some((p) => p.startsWith(`${path}.`))
  for (let i = 0; ; i++) {
    const path = i === 0 ? base : `${base}_${i}`
    if (!isTaken(path)) return path
  }
}

/** Adds the parameters of one layer, in the layout of a model folder. @returns the layer's path */
export const parameters = (
  node: Operators.Node,
  reading: Reading,
  own: Readonly<Record<string, Constant.Constant | undefined>>,
): string => {
  const path = pathOf(node, reading)
  for (const [name, value] of Object.entries(own))
    if (value !== undefined) reading.parameters.set(`${path}.${name}`, value)
  return path
}

export const filled = (size: number, value: number): Constant.Constant => Constant.of([size], Array(size).fill(value))

/** A constant as one number a channel. */
export const perChannel = (
  node: Operators.Node,
  value: Constant.Constant,
  size: number,
  what: string,
): Constant.Constant => {
  const count = value.shape.reduce((n, d) => n * d, 1)
  if (count === size) return Constant.reshape(value, [size])
  if (count === 1) return filled(size, value.read().data[0]!)
  return Operators.refuse(node, `has ${count} numbers as ${what} for ${size} channels`)
}
