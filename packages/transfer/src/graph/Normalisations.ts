/** Normalisations of a graph. */
import * as Axes from "./Axes.ts"
import * as Constant from "./Constant.ts"
import * as Operators from "./Operators.ts"
import * as Points from "./Points.ts"
import * as Reading from "./Reading.ts"

const EPSILON = 1e-5

export const batchNorm: Reading.Handler = (node, [x, scale, shift, mean, variance], reading) => {
  const given = Reading.activation(node, x)
  // Keras normalises the last axis, ONNX the second
  const rank = given.axes.length
  const axis = (Operators.number(node, "axis", 1) + rank) % rank
  const value = Reading.settled(node, given, axis, reading)
  if (!Reading.isChannelAxis(value, axis) && Reading.channels(value) > 1)
    return Operators.refuse(node, "normalises an axis that does not hold the channels")
  const n = Reading.channels(value)
  const own = (v: Reading.Value | undefined, what: string): Constant.Constant =>
    Reading.perChannel(node, Reading.constant(node, v, what), n, what)
  const path = Reading.parameters(node, reading, {
    weight: own(scale, "its scale"),
    bias: own(shift, "its shift"),
    running_mean: own(mean, "its mean"),
    running_var: own(variance, "its variance"),
  })
  // ONNX's momentum is the weight of the old statistics
  const momentum = Math.min(1, Math.max(0, 1 - Operators.number(node, "momentum", 0.9)))
  const epsilon = Operators.number(node, "epsilon", EPSILON)
  return Reading.through(node, value, {
    kind: "batchNorm",
    path,
    channels: n,
    epsilon: single(epsilon),
    momentum: single(momentum),
  })
}

/** A float32 of the file as the shortest decimal that rounds to it. */
export const single = (value: number): number => Number(Math.fround(value).toPrecision(7))

/** Scale and shift, or neither where they do nothing. */
const affineOf = (
  node: Operators.Node,
  reading: Reading.Reading,
  size: number,
  scale: Constant.Constant | undefined,
  shift: Constant.Constant | undefined,
): { path: string; affine: boolean } => {
  const idle = (c: Constant.Constant | undefined, value: number): boolean =>
    c === undefined || Constant.uniform(c) === value
  if (idle(scale, 1) && idle(shift, 0)) return { path: Reading.parameters(node, reading, {}), affine: false }
  const own = (c: Constant.Constant | undefined, value: number): Constant.Constant =>
    c === undefined ? Reading.filled(size, value) : Reading.perChannel(node, c, size, "its scale or shift")
  return { path: Reading.parameters(node, reading, { weight: own(scale, 1), bias: own(shift, 0) }), affine: true }
}

const optional = (
  node: Operators.Node,
  value: Reading.Value | undefined,
  what: string,
): Constant.Constant | undefined => (value === undefined ? undefined : Reading.constant(node, value, what))

export const instanceNorm: Reading.Handler = (node, [x, scale, shift], reading) => {
  const epsilon = single(Operators.number(node, "epsilon", EPSILON))
  const value = Reading.activation(node, x)
  const groups = groupsOf(value, reading)
  const [weight, bias] = [optional(node, scale, "its scale"), optional(node, shift, "its shift")]
  if (groups !== undefined) {
    // PyTorch writes a group norm as an instance norm of the groups, with scale and shift after it
    if ((weight && Constant.uniform(weight)) !== 1 || (bias && Constant.uniform(bias)) !== 0)
      return Operators.refuse(node, "scales groups of channels before they are taken apart")
    const channels = Reading.channels(value)
    const path = Reading.parameters(node, reading, {})
    return Reading.through(node, value, { kind: "groupNorm", path, channels, groups, epsilon, affine: false })
  }
  const point = Reading.image(node, value, reading)
  const [channels] = point.shape
  const own = affineOf(node, reading, channels, weight, bias)
  return Reading.plain(reading, Points.layer(point, { kind: "instanceNorm", channels, epsilon, ...own }, node.name))
}

/** Groups of an image's channels, where it is seen as `[B, groups, rest]`. */
const groupsOf = ({ point, axes }: Reading.Activation, { batch }: Reading.Reading): number | undefined => {
  const { shape } = point
  const [, groups, ...rest] = Axes.shapeOf(axes)
  if (shape.length !== 3 || axes.length !== 3 || groups === undefined || rest.length !== 1) return undefined
  const seen = Axes.reshape(Axes.image(batch, shape), [batch, groups, rest[0]!])
  return seen !== undefined && Axes.equal(axes, seen) ? groups : undefined
}

export const groupNorm: Reading.Handler = (node, [x, scale, shift], reading) => {
  const point = Reading.image(node, x, reading)
  const [channels] = point.shape
  const groups = Operators.number(node, "num_groups", 1)
  const [weight, bias] = [optional(node, scale, "its scale"), optional(node, shift, "its shift")]
  const each = (c: Constant.Constant | undefined): Constant.Constant | undefined =>
    c !== undefined && c.shape[0] === groups && groups !== channels
      ? Operators.refuse(node, "has one scale a group; one a channel is supported (operator set 21)")
      : c
  const own = affineOf(node, reading, channels, each(weight), each(bias))
  const epsilon = single(Operators.number(node, "epsilon", EPSILON))
  return Reading.plain(
    reading,
    Points.layer(point, { kind: "groupNorm", channels, groups, epsilon, ...own }, node.name),
  )
}

/** Also of the decomposed forms that `Patterns` finds: `axes` lists the axes that share mean and variance. */
export const layerNorm: Reading.Handler = (node, [x, scale, shift], reading) => {
  const epsilon = single(Operators.number(node, "epsilon", EPSILON))
  const value = Reading.activation(node, x)
  const rank = value.axes.length
  const first = (Operators.number(node, "axis", -1) + rank) % rank
  const listed = Operators.numbers(node, "axes")?.map((axis) => (axis + rank) % rank)
  const over = listed ?? Array.from({ length: rank - first }, (_, i) => first + i)
  const [weight, bias] = [optional(node, scale, "its scale"), optional(node, shift, "its shift")]
  const all = over.length === rank - 1 && !over.includes(0)
  if (all && value.point.shape.length === 3) {
    const point = Reading.image(node, value, reading)
    const [path, affine] =
      weight === undefined && bias === undefined
        ? [Reading.parameters(node, reading, {}), false]
        : [
            Reading.parameters(node, reading, {
              weight: weight ?? Constant.of(point.shape, Array(size(point.shape)).fill(1)),
              bias: bias ?? Constant.of(point.shape, Array(size(point.shape)).fill(0)),
            }),
            true,
          ]
    const shape = [...point.shape]
    return Reading.plain(
      reading,
      Points.layer(point, { kind: "layerNorm", path, over: "sample", shape, epsilon, affine }, node.name),
    )
  }
  const ready = Reading.settled(node, value, over[0] ?? 1, reading)
  if (over.length === 1 && Reading.isChannelAxis(ready, over[0]!)) {
    const channels = Reading.channels(ready)
    const own = affineOf(node, reading, channels, weight, bias)
    const isVector = ready.point.shape.length === 1
    return Reading.through(node, ready, {
      kind: "layerNorm",
      over: isVector ? "sample" : "channels",
      shape: [channels],
      epsilon,
      ...own,
    })
  }
  if (over.length === 2 && ready.point.shape.length === 3 && weight === undefined && bias === undefined) {
    const pixels = over.every((axis) => !Reading.isChannelAxis(ready, axis) && axis !== 0)
    if (pixels) {
      const channels = Reading.channels(ready)
      const path = Reading.parameters(node, reading, {})
      return Reading.through(node, ready, { kind: "instanceNorm", path, channels, epsilon, affine: false })
    }
  }
  return Operators.refuse(node, `normalises the axes ${over.join(", ")}, which no layer here does`)
}

/** A layer norm with the scale or the shift that stands after it, where nothing else has read it; undefined for other layers. */
export const withAffine = (
  { point, axes }: Reading.Activation,
  own: Constant.Constant,
  what: "scale" | "shift",
  { parameters }: Reading.Reading,
): Reading.Activation | undefined => {
  const { layer, inputs } = point
  const shape = own.shape.slice(own.shape.findIndex((n) => n > 1))
  if (layer?.kind !== "layerNorm" || layer.over !== "sample" || shape.join() !== point.shape.join()) return undefined
  const [weight, bias] = [`${layer.path}.weight`, `${layer.path}.bias`]
  if (what === "scale" ? parameters.has(weight) || parameters.has(bias) : layer.affine && !parameters.has(weight))
    return undefined
  const full = (value: number): Constant.Constant => Constant.of([...point.shape], Array(size(point.shape)).fill(value))
  const values = Constant.reshape(own, [...point.shape])
  parameters.set(weight, what === "scale" ? values : (parameters.get(weight) ?? full(1)))
  parameters.set(bias, what === "shift" ? values : full(0))
  return { kind: "activation", point: Points.layer(inputs[0]!, { ...layer, affine: true }, layer.path), axes }
}

const size = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1)

/** `x / √(mean x² + ε)` over the channels, found by `Patterns`. */
export const pixelNorm: Reading.Handler = (node, [x], reading) => {
  const [axis] = Operators.numbers(node, "axes") ?? [1]
  const value = Reading.activation(node, x)
  const ready = Reading.settled(node, value, axis!, reading)
  const rank = ready.axes.length
  if (!Reading.isChannelAxis(ready, (axis! + rank) % rank))
    return Operators.refuse(node, "normalises an axis that does not hold the channels")
  return Reading.through(node, ready, { kind: "pixelNorm", epsilon: single(Operators.number(node, "epsilon", 1e-8)) })
}
