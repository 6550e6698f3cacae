/**
 * Trains the embedded extractor and writes its weights with batch norm folded in:
 *
 *   tsx packages/metrics/scripts/train-embedded.ts <cifar10 train.zip> <test.zip> <state folder> [steps]
 *
 * Softmax cross-entropy, Adam, cosine decay, batches of 128 with mirrored images, one thread. Every 200 steps the state is saved
 * in the folder, and a later call continues from it to the same weights as an uninterrupted run.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import {
  BatchNorm,
  Conv,
  Failure,
  Flat,
  Grad,
  Layout,
  Leaf,
  Linear,
  NdArray,
  Ops,
  Optimizer,
  Rng,
  Safetensors,
} from "@adafm/core"
import { DecodeMany, ImageSet } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { Engines } from "@adafm/engine"
import { Session } from "@adafm/onnx"
import * as tf from "@tensorflow/tfjs-core"
import * as Embedded from "../src/extractors/Embedded.ts"

type Tensors = Flat.Flat<tf.Tensor>
type Arrays = Flat.Flat<NdArray.NdArray<"float32">>

const SEED = 1
const BATCH = 128
const EVERY = 200
const ADAM: Optimizer.Optimizer = { kind: "adam", learningRate: 3e-3, beta1: 0.9, beta2: 0.99, epsilon: 1e-8 }
const MOMENTUM = 0.05
const EPSILON = 1e-5

interface Images {
  /** `[N, 32, 32, 3]` */
  readonly pixels: Uint8Array
  readonly labels: Int32Array
}
const PIXELS = Embedded.SIZE * Embedded.SIZE * 3

const load = async (path: string): Promise<Images> => {
  const set = await Failure.orThrow(ImageSet.open(path))
  const pixels = new Uint8Array(set.names.length * PIXELS)
  const broken = await Failure.orThrow(
    DecodeMany.forEach(set, ({ place, image }) => pixels.set(image.data, place * PIXELS)),
  )
  if (broken.length > 0) throw new Error(`${broken.length} broken images`)
  await set.close()
  return { pixels, labels: set.labels }
}

const spec: Flat.Flat<Leaf.Leaf> = Leaf.flatten({
  ...Object.fromEntries(
    Embedded.LAYERS.flatMap(({ out, kernel }, i) => [
      [`conv${i}`, Conv.spec({ in: Embedded.LAYERS[i - 1]?.out ?? 3, out, kernel, bias: false })],
      [`bn${i}`, BatchNorm.spec(out)],
    ]),
  ),
  fc: Linear.spec({ in: Embedded.DIMS, out: Embedded.CLASSES }),
})
const isTrained = (path: Flat.Path): boolean => spec[path]!.role === "parameter"

const norm = (p: Tensors, i: number): BatchNorm.BatchNorm<tf.Tensor> => ({
  weight: p[`bn${i}.weight`]!,
  bias: p[`bn${i}.bias`]!,
  running_mean: p[`bn${i}.running_mean`]!,
  running_var: p[`bn${i}.running_var`]!,
})

/** Logits `[B, 10]` in training mode, and the new statistics of the batch norms. `[B, 32, 32, 3]` */
const forward = (p: Tensors, images: tf.Tensor): { readonly logits: tf.Tensor2D; readonly running: Tensors } => {
  let x = images
  const running: Record<string, tf.Tensor> = {}
  Embedded.LAYERS.forEach(({ stride }, i) => {
    const y = Ops.conv2d(x, p[`conv${i}.weight`]!, { stride, pad: 1 })
    const normal = BatchNorm.applyBatch(norm(p, i), y, { epsilon: EPSILON, momentum: MOMENTUM })
    for (const [name, value] of Object.entries(normal.running)) running[`bn${i}.${name}`] = value
    x = Ops.relu(normal.y)
  })
  return { logits: Ops.linear(tf.mean(x, [1, 2]), p["fc.weight"]!, p["fc.bias"]!), running }
}

const step: Engine.Step = (state, { x, y, rate, spread }) => {
  const params = Flat.under(state, "p")
  const frozen = Flat.filter(params, (path) => !isTrained(path))
  const { loss, grads, also } = Grad.valueAndGrads(
    (leaves) => {
      const { logits, running } = forward(Flat.merge(leaves, frozen), x!)
      const log = tf.log(tf.sum(tf.exp(logits), 1))
      return { loss: tf.mean(tf.sub(log, Ops.pick(logits, y!))), also: running }
    },
    Flat.filter(params, isTrained),
  )
  const moments = { m: Flat.under(state, "m"), v: Flat.under(state, "v") }
  const moved = Optimizer.update(ADAM, params, grads, moments, () => ({ rate: rate!, spread: spread! }))
  return {
    state: Flat.merge(
      Flat.prefix(Flat.merge(moved.params, also), "p"),
      Flat.prefix(moved.m!, "m"),
      Flat.prefix(moved.v, "v"),
    ),
    stats: { loss },
  }
}

/** The images of one step: a part of the epoch's shuffle; each image is mirrored with probability ½. */
const batchAt = ({ pixels, labels }: Images, t: number, steps: number): Engine.Arrays => {
  const perEpoch = Math.floor(labels.length / BATCH)
  const order = Rng.permutation(Rng.at(SEED, "embedded/order", Math.floor(t / perEpoch)), labels.length)
  const places = order.subarray((t % perEpoch) * BATCH, ((t % perEpoch) + 1) * BATCH)
  const mirrored = Rng.uniform(Rng.at(SEED, "embedded/mirror", t), [BATCH]).data
  const x = NdArray.zeros("float32", [BATCH, Embedded.SIZE, Embedded.SIZE, 3])
  const { SIZE } = Embedded
  for (const [n, place] of places.entries())
    for (let row = 0; row < SIZE; row++)
      for (let column = 0; column < SIZE; column++) {
        const from = place * PIXELS + (row * SIZE + (mirrored[n]! < 0.5 ? SIZE - 1 - column : column)) * 3
        const to = n * PIXELS + (row * SIZE + column) * 3
        for (let c = 0; c < 3; c++) x.data[to + c] = (pixels[from + c]! * 2) / 255 - 1
      }
  const { rate, spread } = Optimizer.coefficients(ADAM, t + 1)
  const decay = 0.5 * (1 + Math.cos((Math.PI * t) / steps)) * Math.min(1, (t + 1) / 50)
  return {
    x,
    y: NdArray.int32(
      [BATCH],
      Int32Array.from(places, (place) => labels[place]!),
    ),
    rate: NdArray.scalar(rate * decay),
    spread: NdArray.scalar(spread),
  }
}

/** One convolution with a bias for every convolution and batch norm. */
const fold = (p: Arrays): Embedded.Weights =>
  Flat.merge(
    ...Embedded.LAYERS.map((_, i): Arrays => {
      const weight = p[`conv${i}.weight`]!
      const [gamma, beta, mean, variance] = ["weight", "bias", "running_mean", "running_var"].map(
        (name) => p[`bn${i}.${name}`]!.data,
      )
      const scale = gamma!.map((g, c) => g / Math.sqrt(variance![c]! + EPSILON))
      const per = weight.data.length / scale.length
      return {
        [`conv${i}.weight`]: { ...weight, data: weight.data.map((w, at) => w * scale[Math.floor(at / per)]!) },
        [`conv${i}.bias`]: NdArray.float32(
          [scale.length],
          beta!.map((b, c) => b - mean![c]! * scale[c]!),
        ),
      }
    }),
    Flat.filter(p, (path) => path.startsWith("fc.")),
  )

/** Share of the images whose class has the largest logit in the exported graph. */
const accuracy = async (weights: Embedded.Weights, { pixels, labels }: Images): Promise<number> => {
  const session = await Session.create(Embedded.model(weights), { threads: 1 })
  let right = 0
  for (let from = 0; from < labels.length; from += 250) {
    const part = NdArray.float32(
      [250, Embedded.SIZE, Embedded.SIZE, 3],
      Float32Array.from(pixels.subarray(from * PIXELS, (from + 250) * PIXELS), (v) => (v * 2) / 255 - 1),
    )
    const { logits } = await session.run({ x: Layout.imagesToFile(part) })
    for (let n = 0; n < 250; n++) {
      const row = (logits!.data as Float32Array).subarray(n * 10, n * 10 + 10)
      if (row.indexOf(Math.max(...row)) === labels[from + n]) right++
    }
  }
  await session.release()
  return right / labels.length
}

const [trainZip, testZip, folder, stepsText = "2000"] = process.argv.slice(2)
if (trainZip === undefined || testZip === undefined || folder === undefined)
  throw new Error("usage: train-embedded.ts <train.zip> <test.zip> <state folder> [steps]")
const steps = Number(stepsText)
const stateFile = join(folder, "state.safetensors")

const initial = (): Arrays => {
  const params = Flat.map(Leaf.initAll(spec, SEED, "embedded"), Layout.toCompute)
  const zeros = Flat.map(Flat.filter(params, isTrained), ({ shape }) => NdArray.zeros("float32", shape))
  return Flat.merge(Flat.prefix(params, "p"), Flat.prefix(zeros, "m"), Flat.prefix(zeros, "v"))
}
const stored = existsSync(stateFile) ? await Failure.orThrow(Safetensors.read(stateFile)) : undefined
const state = (stored?.tensors as Arrays | undefined) ?? initial()
let t = Number(stored?.metadata.step ?? 0)

const images = await load(trainZip)
const engine = await Engines.open({ engine: "onnx", threads: 1 })
const specOf = ({ shape, dtype }: NdArray.NdArray): Engine.Spec => ({ shape, dtype: dtype as "float32" | "int32" })
const program = await engine.compile(step, {
  state: Flat.map(state, specOf),
  batch: Flat.map(batchAt(images, 0, steps), specOf),
})
program.write(state)
let began = performance.now()
let total = 0
for (; t < steps; t++) {
  const { loss } = await program.run(batchAt(images, t, steps))
  total += loss!.data[0]!
  if ((t + 1) % 50 === 0) {
    const ms = (performance.now() - began) / 50
    console.log(`${t + 1}/${steps} loss ${(total / 50).toFixed(4)} ${ms.toFixed(0)} ms a step`)
    ;[total, began] = [0, performance.now()]
  }
  if ((t + 1) % EVERY === 0 || t + 1 === steps)
    await Failure.orThrow(
      Safetensors.write(stateFile, (await program.read()) as Arrays, { step: String(t + 1), seed: String(SEED) }),
    )
}
const params = Flat.map(Flat.under((await program.read()) as Arrays, "p"), Layout.toFile)
await program.dispose()
const weights = Flat.map(fold(params), NdArray.toFloat16)
await Failure.orThrow(
  Safetensors.write(Embedded.FILE, weights, { network: "embedded", seed: String(SEED), steps: String(steps) }),
)
const score = await accuracy(Flat.map(weights, NdArray.toFloat32), await load(testZip))
console.log(`test accuracy ${(100 * score).toFixed(2)} %`)
