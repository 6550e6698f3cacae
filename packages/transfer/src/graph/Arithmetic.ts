/** Activations, sums, products and concatenations of a graph. */
import type { Stack } from "@adafm/gan"
import * as Axes from "./Axes.ts"
import * as Constant from "./Constant.ts"
import * as Convolutions from "./Convolutions.ts"
import * as Normalisations from "./Normalisations.ts"
import * as Operators from "./Operators.ts"
import * as Points from "./Points.ts"
import * as Reading from "./Reading.ts"

const unary =
  (layer: (node: Operators.Node) => Stack.Layer, f?: (v: number) => number): Reading.Handler =>
  (node, [x]) =>
    x?.kind === "constant" && f !== undefined
      ? Reading.fixed(Constant.map(x.constant, f))
      : Reading.through(node, Reading.activation(node, x), layer(node))

const affine = (node: Operators.Node, x: Reading.Activation, scale: number, shift: number): Reading.Activation =>
  Reading.through(node, x, { kind: "affine", scale, shift })

const clip: Reading.Handler = (node, [x, low, high]) => {
  const bound = (value: Reading.Value | undefined, key: string, otherwise: number): number =>
    Reading.numbers(node, value, `its ${key}`)?.[0] ?? Operators.number(node, key, otherwise)
  const [min, max] = [bound(low, "min", -3.4e38), bound(high, "max", 3.4e38)]
  const value = Reading.activation(node, x)
  return min === 0 && max >= 3e38
    ? Reading.through(node, value, { kind: "relu" })
    : Reading.through(node, value, { kind: "clip", min: Normalisations.single(min), max: Normalisations.single(max) })
}

const leakyRelu: Reading.Handler = (node, [x]) => {
  const slope = Normalisations.single(Operators.number(node, "alpha", 0.01))
  const value = Reading.activation(node, x)
  if (slope === 0) return Reading.through(node, value, { kind: "relu" })
  if (slope === 1) return value
  if (!(slope > 0 && slope < 1))
    return Operators.refuse(node, `has the slope ${slope}; only slopes from 0 to 1 are supported`)
  return Reading.through(node, value, { kind: "leakyRelu", slope })
}

const prelu: Reading.Handler = (node, [x, slopes], reading) => {
  const value = Reading.activation(node, x)
  const given = Reading.constant(node, slopes, "its slopes")
  const count = given.shape.reduce((n, d) => n * d, 1)
  const weight =
    count === 1 ? Constant.reshape(given, [1]) : Reading.perChannel(node, given, Reading.channels(value), "its slopes")
  const path = Reading.parameters(node, reading, { weight })
  return Reading.through(node, value, { kind: "prelu", path, channels: weight.shape[0]! })
}

type Operation = "add" | "multiply" | "subtract" | "divide"
const functions: Readonly<Record<Operation, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  multiply: (a, b) => a * b,
  subtract: (a, b) => a - b,
  divide: (a, b) => a / b,
}

/** The axis of an activation along which a constant differs; undefined where it is one number, null where it is several axes. */
const axisOf = (rank: number, shape: readonly number[]): number | undefined | null => {
  const found = shape.flatMap((n, k) => (n > 1 ? [rank - shape.length + k] : []))
  return found.length === 0 ? undefined : found.length === 1 ? found[0]! : null
}

const withConstant = (
  node: Operators.Node,
  given: Reading.Activation,
  c: Constant.Constant,
  operation: Operation,
  constantFirst: boolean,
  reading: Reading.Reading,
): Reading.Activation => {
  if (operation === "multiply" || operation === "add") {
    const normed = Normalisations.withAffine(given, c, operation === "multiply" ? "scale" : "shift", reading)
    if (normed !== undefined) return normed
  }
  const axis = axisOf(given.axes.length, c.shape)
  if (axis === null || (axis !== undefined && axis < 1))
    return Operators.refuse(
      node,
      `combines its input with fixed numbers of shape [${c.shape.join(", ")}]; one number or one a channel is supported`,
    )
  const last = given.point.layer
  const unbiased = last !== undefined && "bias" in last && last.kind !== "scaleShift" && !last.bias
  if (axis === undefined && !(unbiased && last.out === 1 && operation === "add" && c.shape.length > 0)) {
    const value = c.read().data[0]!
    if (operation === "add") return affine(node, given, 1, value)
    if (operation === "multiply") return affine(node, given, value, 0)
    if (operation === "subtract") return constantFirst ? affine(node, given, -1, value) : affine(node, given, 1, -value)
    if (!constantFirst) return affine(node, given, 1 / value, 0)
    return Operators.refuse(node, "divides a number by what the network computes, which is not supported")
  }
  const value = Reading.settled(node, given, axis ?? 1, reading)
  const n = Reading.channels(value)
  const at = axis ?? value.axes.findIndex((_, k) => k > 0 && Reading.isChannelAxis(value, k))
  if (n > 1 && !Reading.isChannelAxis(value, at))
    return Operators.refuse(node, "combines its input with fixed numbers along an axis that does not hold the channels")
  const numbers = Constant.reshape(c, [n])
  if (operation === "divide" && constantFirst)
    return Operators.refuse(node, "divides by what the network computes, which is not supported")
  const shift =
    operation === "add"
      ? numbers
      : operation === "subtract"
        ? constantFirst
          ? numbers
          : Constant.map(numbers, (v) => -v)
        : undefined
  if (shift !== undefined) {
    const flipped = constantFirst && operation === "subtract" ? affine(node, value, -1, 0) : value
    const merged = Convolutions.withBias(flipped, shift, reading)
    if (merged !== undefined) return merged
    const path = Reading.parameters(node, reading, { bias: shift })
    return Reading.through(node, flipped, { kind: "scaleShift", path, channels: n, weight: false, bias: true })
  }
  const scale = operation === "multiply" ? numbers : Constant.map(numbers, (v) => 1 / v)
  const path = Reading.parameters(node, reading, { weight: scale })
  return Reading.through(node, value, { kind: "scaleShift", path, channels: n, weight: true, bias: false })
}

/** Activations in axes that are equal or differ by size 1 only, as the points of one joint. */
const together = (
  node: Operators.Node,
  values: readonly Reading.Activation[],
  reading: Reading.Reading,
): { points: readonly Points.Point[]; axes: Axes.Axes } => {
  const [first] = values as [Reading.Activation]
  if (
    values.every(({ axes, point }) => point.shape.length === first.point.shape.length && Axes.equal(axes, first.axes))
  )
    return { points: values.map(({ point }) => point), axes: first.axes }
  const rank = first.axes.length
  if (values.every(({ axes }) => axes.length === 4) && rank === 4) {
    // the same order of axes, other sizes: compare as (C, H, W)
    const order = orderOf(first, reading)
    if (order !== undefined) {
      const undo = order.map((_, k) => order.indexOf(k))
      const points = values.map((v) => Reading.image(node, { ...v, axes: undo.map((k) => v.axes[k]!) }, reading))
      const canonical = Axes.image(reading.batch, points[0]!.shape as readonly [number, number, number])
      return { points, axes: order.map((k) => canonical[k]!) }
    }
    const points = values.map((v) => Reading.image(node, v, reading))
    return { points, axes: Reading.plain(reading, points[0]!).axes }
  }
  const points = values.map((v) => Reading.vector(node, v, reading))
  return { points, axes: Reading.plain(reading, points[0]!).axes }
}

/** Which canonical axis each axis of an image is; undefined where it is no plain transpose. */
const orderOf = ({ point, axes }: Reading.Activation, { batch }: Reading.Reading): readonly number[] | undefined => {
  if (point.shape.length !== 3) return undefined
  const canonical = Axes.image(batch, point.shape)
  return [
    [0, 1, 2, 3],
    [0, 2, 3, 1],
  ].find((order) =>
    Axes.equal(
      axes,
      order.map((k) => canonical[k]!),
    ),
  )
}

const join = (
  node: Operators.Node,
  values: readonly Reading.Activation[],
  kind: "sum" | "product",
  reading: Reading.Reading,
): Reading.Activation => {
  const { points, axes } = together(node, values, reading)
  const [{ shape }] = points as [Points.Point]
  const fits = points.every(
    (p) => p.shape.length === shape.length && p.shape.every((n, k) => n === shape[k] || n === 1 || shape[k] === 1),
  )
  if (!fits)
    return Operators.refuse(
      node,
      `joins values of shapes ${points.map((p) => `[${p.shape.join(", ")}]`).join(" and ")}`,
    )
  const widest = shape.map((_, k) => Math.max(...points.map((p) => p.shape[k]!)))
  const made = Points.join(points, kind, widest as unknown as Points.Point["shape"])
  return points.every((p) => p.shape.join() === shape.join())
    ? { kind: "activation", point: made, axes }
    : Reading.plain(reading, made)
}

const binary =
  (operation: Operation): Reading.Handler =>
  (node, [a, b], reading) => {
    if (a?.kind === "constant" && b?.kind === "constant")
      return Reading.fixed(Constant.combine(a.constant, b.constant, functions[operation]))
    if (a?.kind === "activation" && b?.kind === "constant")
      return withConstant(node, a, b.constant, operation, false, reading)
    if (a?.kind === "constant" && b?.kind === "activation")
      return withConstant(node, b, a.constant, operation, true, reading)
    const [x, y] = [Reading.activation(node, a), Reading.activation(node, b)]
    if (operation === "divide")
      return Operators.refuse(node, "divides by what the network computes, which is not supported")
    if (operation === "subtract") return join(node, [x, affine(node, y, -1, 0)], "sum", reading)
    return join(node, [x, y], operation === "add" ? "sum" : "product", reading)
  }

const concat: Reading.Handler = (node, inputs, reading) => {
  const values = inputs.filter((v) => v !== undefined)
  const axis = Operators.number(node, "axis", 1)
  if (values.every((v) => v.kind === "constant")) {
    const parts = values.map(
      (v) => Constant.numbers(v.constant) ?? Operators.refuse(node, "joins weights, which is not supported"),
    )
    return Reading.fixed(Constant.of([parts.flat().length], parts.flat()))
  }
  const activations = values.map((v) => Reading.activation(node, v, "every input"))
  if (activations.length === 1) return activations[0]!
  const rank = activations[0]!.axes.length
  const at = (axis + rank) % rank
  const ready = activations.map((v) => Reading.settled(node, v, at, reading))
  const along = ready.every((v) => v.point.shape[0] === 1 || Reading.isChannelAxis(v, at))
  if (!along || at === 0)
    return Operators.refuse(node, `concatenates along axis ${axis}, which does not hold the channels`)
  if (ready.every(({ axes, point }) => axes.length === 2 || point.shape.length === 1)) {
    const points = ready.map((v) => Reading.vector(node, v, reading))
    const total = points.reduce((n, { shape }) => n + shape[0], 0)
    const made = Points.join(points, "concat", [total])
    // what was seen as [B, N, 1, 1] stays so
    const { axes } = Reading.plain(reading, made)
    return {
      kind: "activation",
      point: made,
      axes: Array.from({ length: rank }, (_, k) => (k === 0 ? axes[0]! : k === at ? axes[1]! : [])),
    }
  }
  const order = at === 3 ? [0, 2, 3, 1] : [0, 1, 2, 3]
  const undo = order.map((_, k) => order.indexOf(k))
  const points = ready.map((v) => Reading.image(node, { ...v, axes: undo.map((k) => v.axes[k]!) }, reading))
  const [, h, w] = points[0]!.shape as readonly [number, number, number]
  if (!points.every(({ shape }) => shape[1] === h && shape[2] === w))
    return Operators.refuse(node, "concatenates images of different sizes")
  const made = Points.join(points, "concat", [points.reduce((n, { shape }) => n + shape[0], 0), h, w])
  const canonical = Axes.image(reading.batch, made.shape as readonly [number, number, number])
  return { kind: "activation", point: made, axes: order.map((k) => canonical[k]!) }
}

const identity: Reading.Handler = (node, [x]) => x ?? Operators.refuse(node, "has no input")

export const handlers: Readonly<Record<string, Reading.Handler>> = {
  Identity: identity,
  Dropout: identity,
  StopGradient: identity,
  Cast: identity,
  Relu: unary(
    () => ({ kind: "relu" }),
    (v) => Math.max(0, v),
  ),
  Tanh: unary(() => ({ kind: "tanh" }), Math.tanh),
  Sigmoid: unary(() => ({ kind: "sigmoid" })),
  Softplus: unary(() => ({ kind: "softplus" })),
  Selu: unary(() => ({ kind: "selu" })),
  Elu: unary((node) => ({ kind: "elu", alpha: Normalisations.single(Operators.number(node, "alpha", 1)) })),
  Silu: unary(() => ({ kind: "silu" })),
  Neg: unary(
    () => ({ kind: "affine", scale: -1, shift: 0 }),
    (v) => -v,
  ),
  LeakyRelu: leakyRelu,
  PRelu: prelu,
  Clip: clip,
  Add: binary("add"),
  Sum: binary("add"),
  Mul: binary("multiply"),
  Sub: binary("subtract"),
  Div: binary("divide"),
  Concat: concat,
}
