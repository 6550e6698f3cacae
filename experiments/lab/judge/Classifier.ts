/**
 * Small classifiers trained on few photographs, to test whether generated images improve them: four convolutions from random
 * values, or a fine-tuned ResNet-20. Adam, softmax cross-entropy, the same number of steps whatever the batches hold; the checkpoint
 * is chosen on a validation set.
 */
import { Conv, Flat, Grad, Layout, Leaf, Linear, NdArray, Ops, Optimizer, Rng } from "@adafm/core"
import { type Image, Pipeline } from "@adafm/data"
import type { Arrays, Engine, Program, Tensors } from "@adafm/engine"
import { Embedded } from "@adafm/metrics"
import * as tf from "@tensorflow/tfjs-core"
import type { Lesson } from "../declare/Cell.ts"
import * as CifarResNet from "../material/CifarResNet.ts"

/** Images of one size with their classes. */
export interface Labelled {
  readonly images: readonly Image.Rgb[]
  readonly labels: readonly number[]
}

/** Real and generated training images, images that choose a checkpoint, images that give the reported accuracy. */
export interface Material {
  readonly real: Labelled
  readonly generated: Labelled
  readonly validation: Labelled
  readonly test: Labelled
  readonly classes: number
}

interface Net {
  /** All parameters, frozen ones included. */
  readonly params: Flat.Flat<NdArray.NdArray<"float32">>
  readonly isTrained: (path: Flat.Path) => boolean
  /** `[B, size, size, 3] → [B, classes]` */
  readonly logits: (params: Tensors, x: tf.Tensor) => tf.Tensor2D
  /** Normalisation of the input in [0, 1], per channel. */
  readonly mean: readonly number[]
  readonly std: readonly number[]
}

const plain = (classes: number, seed: number): Net => {
  const spec = Leaf.flatten({
    ...Object.fromEntries(
      Embedded.LAYERS.map(({ out, kernel }, i) => [
        `conv${i}`,
        Conv.spec({ in: Embedded.LAYERS[i - 1]?.out ?? 3, out, kernel }),
      ]),
    ),
    fc: Linear.spec({ in: Embedded.DIMS, out: classes }),
  })
  return {
    params: Leaf.initAll(spec, seed, "classifier"),
    isTrained: () => true,
    logits: (p, images) => {
      let x = images
      Embedded.LAYERS.forEach(({ stride }, i) => {
        x = Ops.relu(tf.add(Ops.conv2d(x, p[`conv${i}.weight`]!, { stride, pad: 1 }), p[`conv${i}.bias`]!))
      })
      return Ops.linear(tf.mean(x, [1, 2]), p["fc.weight"]!, p["fc.bias"]!)
    },
    mean: [0.5, 0.5, 0.5],
    std: [0.5, 0.5, 0.5],
  }
}

/** ResNet-20 with folded batch norms and a new last layer. */
const resnet = async (classes: number, seed: number): Promise<Net> => {
  const { weights, logits } = CifarResNet.network(await CifarResNet.read("resnet-20"), "resnet-20")
  const fc = Leaf.initAll(Leaf.flatten({ fc: Linear.spec({ in: CifarResNet.DIMS, out: classes }) }), seed, "classifier")
  return { params: Flat.merge(weights, fc), isTrained: (path) => !path.endsWith(".skip"), logits, ...CifarResNet.NORM }
}

const step =
  ({ logits, isTrained }: Net, adam: Optimizer.Optimizer) =>
  (state: Tensors, { x, y, rate, spread }: Tensors) => {
    const params = Flat.under(state, "p")
    const frozen = Flat.filter(params, (path) => !isTrained(path))
    const { loss, grads } = Grad.valueAndGrads(
      (leaves) => {
        const all = logits(Flat.merge(leaves, frozen), x!)
        const log = tf.log(tf.sum(tf.exp(all), 1))
        return { loss: tf.mean(tf.sub(log, Ops.pick(all, y!))), also: {} }
      },
      Flat.filter(params, isTrained),
    )
    const moments = { m: Flat.under(state, "m"), v: Flat.under(state, "v") }
    const moved = Optimizer.update(adam, params, grads, moments, () => ({ rate: rate!, spread: spread! }))
    return {
      state: Flat.merge(Flat.prefix(moved.params, "p"), Flat.prefix(moved.m!, "m"), Flat.prefix(moved.v, "v")),
      stats: { loss },
    }
  }

/** Classic augmentation: the largest shift in pixels, and the largest change of brightness and contrast. */
const SHIFT = 3
const LIGHT = 0.2

interface Change {
  readonly mirror: boolean
  readonly across: number
  readonly down: number
  readonly light: number
  readonly contrast: number
}

const NONE: Change = { mirror: false, across: 0, down: 0, light: 0, contrast: 1 }

const drawn = (key: Rng.Key): Change => {
  const u = Rng.uniform(key, [5]).data
  const shift = (value: number): number => Math.floor(value * (2 * SHIFT + 1)) - SHIFT
  return {
    mirror: u[0]! < 0.5,
    across: shift(u[1]!),
    down: shift(u[2]!),
    light: LIGHT * (2 * u[3]! - 1),
    contrast: 1 + LIGHT * (2 * u[4]! - 1),
  }
}

/** Writes one image to place `n` of a batch `[B, H, W, 3]`. A shift repeats the border pixels. */
const put = (
  x: NdArray.NdArray<"float32">,
  n: number,
  { shape, data }: Image.Rgb,
  { mean, std }: Pick<Net, "mean" | "std">,
  { mirror, across, down, light, contrast }: Change,
): void => {
  const [h, w] = shape as [number, number, number]
  const within = (v: number, size: number): number => Math.min(size - 1, Math.max(0, v))
  for (let row = 0; row < h; row++)
    for (let column = 0; column < w; column++) {
      const from = within(mirror ? w - 1 - column - across : column + across, w)
      const at = (within(row + down, h) * w + from) * 3
      const to = ((n * h + row) * w + column) * 3
      for (let c = 0; c < 3; c++)
        x.data[to + c] = ((data[at + c]! / 255 - 0.5) * contrast + 0.5 + light - mean[c]!) / std[c]!
    }
}

/** The batch of a step: a share of generated images, the rest photographs. */
const batchAt = (
  { real, generated }: Material,
  net: Net,
  { share, batch, augment }: Lesson,
  seed: number,
): ((t: number) => { readonly x: NdArray.NdArray<"float32">; readonly y: NdArray.NdArray<"int32"> }) => {
  const fakes = Math.round(share * batch)
  const [h, w] = (real.images[0] ?? generated.images[0])!.shape as [number, number, number]
  const sides = [
    { from: generated, count: fakes, seed: 2 * seed },
    { from: real, count: batch - fakes, seed: 2 * seed + 1 },
  ].flatMap(({ from, count, seed: own }) =>
    count === 0 ? [] : [{ from, places: Pipeline.order(from.images.length, count, own) }],
  )
  return (t) => {
    const x = NdArray.zeros("float32", [batch, h, w, 3])
    const y = new Int32Array(batch)
    let n = 0
    for (const { from, places } of sides)
      for (const place of places(t)) {
        const change = augment === "classic" ? drawn(Rng.at(seed, `classifier/augment/${n}`, t)) : NONE
        put(x, n, from.images[place]!, net, change)
        y[n++] = from.labels[place]!
      }
    return { x, y: NdArray.int32([batch], y) }
  }
}

/** Share of the images whose class has the largest logit. */
const accuracy = async (program: Program, net: Net, { images, labels }: Labelled, batch: number): Promise<number> => {
  const [h, w] = images[0]!.shape as [number, number, number]
  let right = 0
  for (let from = 0; from < images.length; from += batch) {
    const part = images.slice(from, from + batch)
    const x = NdArray.zeros("float32", [batch, h, w, 3])
    part.forEach((image, n) => {
      put(x, n, image, net, NONE)
    })
    const { logits } = await program.run({ x })
    const classes = logits!.shape[1]!
    part.forEach((_, n) => {
      const row = logits!.data.subarray(n * classes, (n + 1) * classes)
      if (row.indexOf(Math.max(...row)) === labels[from + n]) right++
    })
  }
  return right / images.length
}

export interface Outcome {
  /** The step with the best validation accuracy. */
  readonly step: number
  readonly validation: number
  readonly test: number
}

/** How often a classifier is evaluated. */
const LOOKS = 6

/** Trains one classifier. @param seed seed of its initial values, batches and augmentation */
export const train = async (material: Material, lesson: Lesson, seed: number, engine: Engine): Promise<Outcome> => {
  const { steps, batch, learningRate, start } = lesson
  const net = start === "random" ? plain(material.classes, seed) : await resnet(material.classes, seed)
  const adam = { kind: "adam", learningRate, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 } as const
  const params = Flat.map(net.params, Layout.toCompute)
  const zeros = Flat.map(Flat.filter(params, net.isTrained), ({ shape }) => NdArray.zeros("float32", shape))
  const state: Arrays = Flat.merge(Flat.prefix(params, "p"), Flat.prefix(zeros, "m"), Flat.prefix(zeros, "v"))
  const at = batchAt(material, net, lesson, seed)
  const inputs = (t: number): Arrays => {
    const { rate, spread } = Optimizer.coefficients(adam, t + 1)
    const decay = 0.5 * (1 + Math.cos((Math.PI * t) / steps))
    return { ...at(t), rate: NdArray.scalar(rate * decay), spread: NdArray.scalar(spread) }
  }
  const spec = ({ shape, dtype }: Arrays[string]) => ({ shape, dtype })
  const { x } = inputs(0)
  const learning = await engine.compile(step(net, adam), {
    state: Flat.map(state, spec),
    batch: Flat.map(inputs(0), spec),
  })
  const answering = await engine.compile((p, b) => ({ stats: { logits: net.logits(p, b.x!) } }), {
    state: Flat.map(params, spec),
    batch: { x: spec(x!) },
  })
  try {
    learning.write(state)
    let best: Outcome | undefined
    const every = Math.max(1, Math.floor(steps / LOOKS))
    for (let t = 0; t < steps; t++) {
      await learning.run(inputs(t))
      if ((t + 1) % every !== 0 && t + 1 !== steps) continue
      answering.write(Flat.under(await learning.read(), "p"))
      const validation = await accuracy(answering, net, material.validation, batch)
      if (best !== undefined && validation <= best.validation) continue
      best = { step: t + 1, validation, test: await accuracy(answering, net, material.test, batch) }
    }
    return best!
  } finally {
    await learning.dispose()
    await answering.dispose()
  }
}
