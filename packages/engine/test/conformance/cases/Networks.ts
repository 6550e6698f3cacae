/** Parts of training steps, in which convolutions are fused, factors move and work is shared. */
import { Grad, Ops } from "@adafm/core"
import * as tf from "@tensorflow/tfjs-core"
import type { Case } from "../Case.ts"
import { batch, integers, positive, state } from "../Case.ts"

type Tensors = Parameters<Case["apply"]>[0]

/** Two convolutions, a mean over pixels and a linear head: `[B, 8, 8, 3] → [B, 1]`. */
const discriminator = ({ w0, b0, w1, b1, wl, bl }: Tensors, x: tf.Tensor): tf.Tensor => {
  const first = Ops.leakyRelu(tf.add(Ops.conv2d(x, w0!, { pad: 1 }), b0!), 0.2)
  const second = Ops.leakyRelu(tf.add(Ops.conv2d(Ops.avgPool3(first), w1!, { pad: 1 }), b1!), 0.2)
  return Ops.linear(tf.reshape(second, [second.shape[0]!, -1]), wl!, bl!)
}
const discriminatorState = {
  w0: state(3, 3, 3, 16),
  b0: state(16),
  w1: state(3, 3, 16, 16),
  b1: state(16),
  wl: state(1, 256),
  bl: state(1),
}

/** One half of filters, along their outputs or inputs. */
const half = (w: tf.Tensor, axis: 2 | 3, k: 0 | 1): tf.Tensor => {
  const size = w.shape.map((n, a) => (a === axis ? n / 2 : n))
  return tf.slice(
    w,
    w.shape.map((_, a) => (a === axis ? k * size[a]! : 0)),
    size,
  )
}

export const cases: readonly Case[] = [
  {
    name: "gated convolution: halves of 32 filters of 16 channels",
    inputs: { x: batch(2, 4, 4, 16), w: state(3, 3, 16, 32) },
    apply: ({ x, w }) => {
      const [value, gate] = ([0, 1] as const).map((k) => Ops.conv2d(x!, half(w!, 3, k), { pad: 1 }))
      return tf.mul(value!, Ops.sigmoid(gate!))
    },
  },
  {
    name: "sums of convolutions with halves of filters: of 32 inputs, of 24 outputs, of 3 inputs",
    inputs: {
      x: batch(2, 4, 4, 16),
      y: batch(2, 4, 4, 3),
      a: state(3, 3, 32, 16),
      b: state(3, 3, 16, 24),
      c: state(3, 3, 3, 32),
    },
    apply: ({ x, y, a, b, c }) => {
      const sum = (of: (k: 0 | 1) => tf.Tensor): tf.Tensor => tf.add(of(0), tf.square(of(1)))
      return tf.concat(
        [
          sum((k) => Ops.conv2d(x!, half(a!, 2, k), { pad: 1 })),
          sum((k) => Ops.conv2d(x!, half(b!, 3, k), { pad: 1 })),
          sum((k) => Ops.conv2d(y!, half(c!, 3, k), { pad: 1 })),
        ],
        3,
      )
    },
  },
  {
    name: "batch norm of a convolution",
    inputs: { x: batch(2, 4, 4, 16), w: state(3, 3, 16, 16), gamma: state(16), beta: state(16) },
    apply: ({ x, w, gamma, beta }) => Ops.batchNorm(Ops.conv2d(x!, w!, { pad: 1 }), gamma!, beta!, 1e-2),
  },
  {
    name: "channels scaled and shifted, with a sum and an activation: in blocks, NCHW, of 3 channels",
    inputs: {
      x: batch(2, 4, 4, 16),
      y: batch(2, 4, 4, 3),
      w: state(1, 1, 16, 16),
      scale: batch(16),
      shift: batch(16),
    },
    apply: ({ x, y, w, scale, shift }) => {
      const three = (v: tf.Tensor): tf.Tensor => tf.slice(v, [0], [3])
      const blocked = Ops.channelAffine(Ops.conv2d(x!, w!), scale!, shift!)
      return tf.concat(
        [
          Ops.leakyRelu(Ops.channelAffine(Ops.conv2d(x!, w!), shift!, scale!), 0.2),
          tf.add(blocked, x!),
          Ops.relu(tf.add(Ops.channelAffine(y!, three(scale!), three(shift!)), y!)),
          Ops.channelAffine(x!, scale!, shift!),
        ],
        3,
      )
    },
  },
  {
    name: "batch norm of vectors",
    inputs: { x: batch(4, 6), gamma: state(6), beta: state(6) },
    apply: ({ x, gamma, beta }) => Ops.batchNorm(x!, gamma!, beta!, 1e-2),
  },
  {
    name: "conv, bias, relu",
    inputs: { x: batch(2, 4, 4, 16), w: state(3, 3, 16, 16), b: state(16) },
    apply: ({ x, w, b }) => Ops.relu(tf.add(Ops.conv2d(x!, w!, { pad: 1 }), b!)),
  },
  {
    name: "conv to 20 channels, bias, sum, leaky relu",
    inputs: { x: batch(2, 4, 4, 16), w: state(3, 3, 16, 20), b: state(20), y: batch(2, 4, 4, 20) },
    apply: ({ x, w, b, y }) => Ops.leakyRelu(tf.add(tf.add(Ops.conv2d(x!, w!, { pad: 1 }), b!), y!), 0.2),
  },
  {
    name: "transposed conv, bias, leaky relu",
    inputs: { x: batch(2, 4, 4, 16), w: state(4, 4, 16, 16), b: state(16) },
    apply: ({ x, w, b }) => Ops.leakyRelu(tf.add(Ops.conv2dTranspose(x!, w!, { stride: 2, pad: 1 }), b!), 0.2),
  },
  {
    name: "residual block",
    inputs: {
      x: batch(2, 8, 8, 16),
      w0: state(3, 3, 16, 16),
      b0: state(16),
      w1: state(3, 3, 16, 32),
      b1: state(32),
      ws: state(1, 1, 16, 32),
    },
    apply: ({ x, w0, b0, w1, b1, ws }) => {
      const hidden = tf.add(Ops.conv2d(Ops.leakyRelu(x!, 0.2), w0!, { pad: 1 }), b0!)
      const branch = tf.add(Ops.conv2d(Ops.leakyRelu(hidden, 0.2), w1!, { pad: 1 }), b1!)
      return Ops.leakyRelu(tf.add(Ops.conv2d(x!, ws!), tf.mul(branch, 0.1)), 0.2)
    },
  },
  {
    name: "generator: linear, upsample, modulated by label, tanh",
    inputs: {
      z: batch(2, 6),
      labels: integers([1, 0]),
      wl: state(64, 6),
      bl: state(64),
      table: state(3, 16),
      w: state(3, 3, 16, 16),
      b: state(16),
      wi: state(1, 1, 16, 3),
    },
    apply: ({ z, labels, wl, bl, table, w, b, wi }) => {
      const seed = tf.transpose(tf.reshape(Ops.linear(z!, wl!, bl), [2, 16, 2, 2]), [0, 2, 3, 1])
      const scale = tf.reshape(Ops.rows(labels!, table!), [2, 1, 1, 16])
      const map = tf.mul(Ops.standardize(Ops.conv2d(Ops.upsample2(seed), w!, { pad: 1 }), [1, 2], 1e-3), scale)
      return Ops.tanh(tf.mul(Ops.conv2d(Ops.leakyRelu(tf.add(map, b!), 0.2), wi!), 0.2))
    },
  },
  {
    name: "discriminator: losses on reals and fakes",
    inputs: { ...discriminatorState, real: batch(2, 8, 8, 3), fake: batch(2, 8, 8, 3) },
    apply: ({ real, fake, ...p }) =>
      tf.add(
        tf.mean(Ops.softplus(tf.neg(tf.mul(discriminator(p, real!), 0.1)))),
        tf.mean(Ops.softplus(tf.mul(discriminator(p, fake!), 0.1))),
      ),
  },
  {
    name: "discriminator: loss on reals with the gradient penalty R1",
    inputs: { ...discriminatorState, real: batch(2, 8, 8, 3) },
    apply: ({ real, ...p }) => {
      const { value, grad } = Grad.valueAndInputGrad((x) => discriminator(p, x), real!)
      return tf.add(tf.mean(Ops.softplus(tf.neg(tf.mul(value, 0.1)))), tf.mul(tf.mean(Ops.squaredNorms(grad)), 0.01))
    },
  },
  {
    name: "Adam's update",
    inputs: {
      p: state(3, 3, 16, 16),
      m: state(3, 3, 16, 16),
      v: positive(3, 3, 16, 16),
      g: batch(3, 3, 16, 16),
      t: batch(1),
    },
    apply: ({ p, m, v, g, t }) => {
      const first = tf.add(tf.mul(m!, 0.9), tf.mul(g!, 0.1))
      const second = tf.add(tf.mul(v!, 0.99), tf.mul(tf.square(g!), 0.01))
      return tf.sub(p!, tf.mul(tf.div(first, tf.add(tf.sqrt(second), 1e-3)), tf.mul(t!, 0.1)))
    },
  },
  {
    name: "a scale with a squared gradient",
    inputs: { x: batch(2, 4, 4, 16), s: state(1, 1, 1, 16) },
    apply: ({ x, s }) => Ops.scaleWithGradient(x!, s!, tf.square),
    surrogate: true,
  },
  {
    name: "a stopped gradient",
    inputs: { x: batch(2, 4, 4, 16) },
    apply: ({ x }) => tf.mul(Ops.stopGradient(x!), x!),
    surrogate: true,
  },
]
