/** Elementwise functions: on maps in blocks of channels, on maps of few channels, and with every form of broadcasting that networks use. */
import { Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Case, Input } from "../Case.ts"
import { batch, integers, positive, state } from "../Case.ts"

type Options = Pick<Case, "order" | "surrogate">

const unary = (
  name: string,
  apply: (x: tf.Tensor) => tf.Tensor,
  options: Options & { readonly x?: Input } = {},
): Case => {
  const { x = batch(2, 2, 3, 16), ...rest } = options
  return { name, inputs: { x }, apply: ({ x }) => apply(x!), ...rest }
}
const binary = (
  name: string,
  apply: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
  options: Options & { readonly a?: Input; readonly b?: Input } = {},
): Case => {
  const { a = batch(2, 2, 3, 16), b = batch(2, 2, 3, 16), ...rest } = options
  return { name, inputs: { a, b }, apply: ({ a, b }) => apply(a!, b!), ...rest }
}
const number = (t: tf.Tensor): tf.Tensor => tf.cast(t, "float32")
const none = { order: 0 } as const

export const functions: readonly Case[] = [
  unary("negative", tf.neg),
  unary("square", tf.square),
  unary("square root", tf.sqrt, { x: positive(2, 2, 3, 16) }),
  unary("reciprocal square root", tf.rsqrt, { x: positive(2, 2, 3, 16) }),
  unary("reciprocal", tf.reciprocal, { x: positive(2, 2, 3, 16) }),
  unary("exponential", tf.exp),
  unary("logarithm", tf.log, { x: positive(2, 2, 3, 16) }),
  unary("tanh", Ops.tanh),
  unary("sigmoid", Ops.sigmoid),
  unary("softplus", Ops.softplus),
  unary("relu", Ops.relu),
  unary("leaky relu 0.2", (x) => Ops.leakyRelu(x, 0.2)),
  unary("leaky relu 0.2 of a map of 3 channels", (x) => Ops.leakyRelu(x, 0.2), { x: batch(2, 3, 3, 3) }),
  unary("absolute value", tf.abs),
  unary("clip to [-0.5, 0.5]", (x) => tf.clipByValue(x, -0.5, 0.5)),
  unary("sign, times x", (x) => tf.mul(tf.sign(x), x)),
  unary("step, times x", (x) => tf.mul(tf.step(x, 0.3), x)),
  unary("cast to integers and back", (x) => number(tf.cast(tf.mul(x, 3), "int32")), { surrogate: true }),
  unary("zeros and ones like x", (x) => tf.add(tf.mul(x, tf.onesLike(x)), tf.zerosLike(x))),
  unary("a constant fill", (x) => tf.mul(x, tf.fill([2, 2, 3, 16], 0.25))),
  unary("floor", (x) => tf.floor(tf.mul(x, 3)), none),
  unary("sine", tf.sin, none),
  unary("cosine", tf.cos, none),
  unary("error function", tf.erf, none),
  unary("log(1 + x)", tf.log1p, { ...none, x: positive(2, 2, 3, 16) }),
  unary("exp(x) - 1", tf.expm1, none),
  unary("softmax", (x) => tf.softmax(x), { ...none, x: batch(3, 7) }),
  unary("log softmax", (x) => tf.logSoftmax(x), { order: 1, x: batch(3, 7) }),
]

export const pairs: readonly Case[] = [
  binary("sum", tf.add),
  binary("difference", tf.sub),
  binary("product", tf.mul),
  binary("quotient", tf.div, { b: positive(2, 2, 3, 16) }),
  binary("squared difference", tf.squaredDifference, none),
  binary("power", tf.pow, { ...none, a: positive(2, 2, 3, 16) }),
  binary("maximum", tf.maximum, none),
  binary("minimum", tf.minimum, none),
  binary("sum of three", (a, b) => tf.addN([a, b, a]), none),
  binary("where", (a, b) => tf.where(tf.greater(a, b), a, tf.mul(a, b))),
  binary("where, by a map of one channel", (a, b) => tf.where(tf.greater(tf.mean(a, 3, true), 0), a, b), none),
  binary("comparisons, times a", (a, b) => {
    const decided = [tf.greater(a, b), tf.greaterEqual(a, b), tf.less(a, b), tf.lessEqual(a, b), tf.equal(a, b)]
    return tf.concat(
      decided.map((d) => tf.mul(number(d), a)),
      0,
    )
  }),
  binary("and, or, not, times a", (a, b) => {
    const [p, q] = [tf.greater(a, 0), tf.greater(b, 0)]
    const decided = [tf.logicalAnd(p, q), tf.logicalOr(p, q), tf.logicalNot(p)]
    return tf.concat(
      decided.map((d) => tf.mul(number(d), a)),
      0,
    )
  }),
  binary("equal integers", (a, b) => tf.mul(number(tf.equal(a, b)), 2), {
    ...none,
    a: integers([0, 2, 1, 3, 3]),
    b: integers([0, 1, 1, 3, 2]),
  }),
]

/** A sum and a product with a broadcast operand, for a map in blocks of channels and for one of few channels. */
const broadcastTo = (name: string, shape: (channels: number) => readonly number[]): readonly Case[] =>
  [16, 3].map((channels) => ({
    name: `broadcast ${name} to a map of ${channels} channels`,
    inputs: { x: batch(2, 4, 4, channels), p: batch(...shape(channels)), q: state(...shape(channels)) },
    apply: ({ x, p, q }) => tf.add(tf.mul(Ops.avgPool2(x!), p!), q!),
  }))

export const broadcasts: readonly Case[] = [
  ...broadcastTo("a number", () => []),
  ...broadcastTo("a vector over channels", (c) => [c]),
  ...broadcastTo("1×1×1×C", (c) => [1, 1, 1, c]),
  ...broadcastTo("a vector per sample", (c) => [2, 1, 1, c]),
  ...broadcastTo("a number per sample", () => [2, 1, 1, 1]),
  ...broadcastTo("a map per sample", () => [2, 2, 2, 1]),
  ...broadcastTo("one map", () => [1, 2, 2, 1]),
  ...broadcastTo("rows", (c) => [2, 1, c]),
  {
    name: "quotient by a vector per sample",
    inputs: { x: batch(2, 4, 4, 16), p: positive(2, 1, 1, 16) },
    apply: ({ x, p }) => tf.div(Ops.avgPool2(x!), p!),
  },
  {
    name: "two vectors broadcast to a map",
    inputs: { p: batch(2, 1, 1, 16), q: state(1, 3, 4, 1) },
    apply: ({ p, q }) => tf.mul(p!, q!),
  },
  {
    name: "broadcast over a filter: inputs, outputs, taps",
    inputs: { w: state(3, 3, 16, 32), i: state(1, 1, 16, 1), o: state(32), t: state(3, 3, 1, 1) },
    apply: ({ w, i, o, t }) => tf.mul(tf.add(tf.mul(w!, i!), o!), t!),
  },
  {
    name: "noise map times a strength per channel",
    inputs: { x: batch(2, 4, 4, 16), n: batch(2, 2, 2, 1), w: state(1, 1, 1, 16) },
    apply: ({ x, n, w }) => tf.add(Ops.avgPool2(x!), tf.mul(n!, w!)),
  },
  binary("outer sum of matrices", tf.add, { a: batch(3, 1), b: batch(1, 4) }),
  binary("difference from a row", tf.sub, { a: batch(4), b: batch(3, 4) }),
]
