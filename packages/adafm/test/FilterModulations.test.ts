/** What holds for every kind: it starts as the source, its gradients and parameter counts are right, folding keeps the images. */
import { Flat, Layout, Leaf, type NdArray, Response, Rng } from "@adafm/core"
import * as Engine from "@adafm/engine"
import { Gan, GpGan } from "@adafm/gan"
import { Session } from "@adafm/onnx"
import { Close, Derivatives } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, beforeEach, describe, expect, test } from "vitest"
import * as Modulate from "../src/Modulate.ts"
import * as Reference from "./FilterModulations.reference.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})
beforeEach(async () => {
  await tf.setBackend("cpu")
})

type Params = Flat.Flat<NdArray.NdArray<"float32">>

const gan = GpGan.of(GpGan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, nf_max: 4, z_dim: 3 }))
/** With 4 inputs and 2 outputs, and with 2 and 2. */
const filters = ["resnet_2_0.conv_0.weight", "resnet_2_1.conv_1.weight"]
const network = Leaf.initAll(gan.generator, 0, "generator")

/** Number of parameters for one filter `[o, i, k, k]`, by hand. */
const counts = {
  adafm: (o: number, i: number) => 2 * o * i,
  scale: (o: number, i: number) => o * i,
  shift: (o: number, i: number) => o * i,
  "filter-selection": (o: number) => o,
  "feature-statistics": (o: number) => 2 * o,
  "rank-one": (o: number, i: number) => o + i,
  kml: (o: number, i: number) => o + i,
  "low-rank": (o: number, i: number, k: number) => 2 * (o + i * k * k),
  mfilm: (o: number, i: number) => 2 * o * i + o,
  "fine-tuning": (o: number, i: number, k: number) => o * i * k * k,
  "input-conditioned": (o: number, i: number) => 2 * o * i + (o + i) * (2 * i + 1),
  "input-conditioned-another": (o: number, i: number) => 2 * o * i + (o + i) * (2 * i + 1),
  "input-conditioned-constant": (o: number, i: number) => 2 * o * i + (o + i) * (2 * i + 1) + 2 * i,
}
const configs = Object.keys(counts).map((kind) =>
  Modulate.Config.parse(kind === "low-rank" ? { kind, rank: 2 } : { kind }),
)

const tensors = (params: Params) =>
  Flat.map(params, (array) => {
    const { data, shape } = Layout.toCompute(array)
    return tf.tensor(data, [...shape])
  })
/** The parameters at the start of a transfer. */
const begun = (modulation: Modulate.Modulation): Params => {
  const all = Flat.merge(network, Leaf.initAll(modulation.leaves, 0, "generator"))
  return Flat.merge(all, modulation.start(all))
}
/** The same, moved away from the start. */
const moved = (modulation: Modulate.Modulation): Params =>
  Flat.map(begun(modulation), (array, path) =>
    path in modulation.leaves
      ? { ...array, data: array.data.map((v, i) => v + 0.4 * Derivatives.noise(array.data.length, path.length)[i]!) }
      : array,
  )
const inputs = () => ({ z: tf.tensor(Derivatives.noise(9, 5), [3, 3]) })

/** One convolution of 3 inputs and 2 outputs on three samples of 4 × 4: smooth, so that central differences are accurate. */
const one = Gan.of(
  Gan.Config.parse({
    architecture: "dcgan",
    image: [2, 4, 4],
    latent: { dim: 48 },
    generator: [
      { kind: "view", shape: [3, 4, 4] },
      { kind: "conv", path: "c", in: 3, out: 2, kernel: 3, pad: 1 },
    ],
    discriminator: [{ kind: "conv", path: "down", in: 2, out: 1, kernel: 4 }],
  }),
)
const fixed = () => ({
  "c.weight": tf.transpose(tf.tensor(Reference.weight, [2, 3, 3, 3]), [2, 3, 1, 0]),
  "c.bias": tf.tensor(Reference.bias),
})
const flat = () => tf.tensor(Reference.x, [3, 48])

test("every kind has a parameter count here", () => {
  expect([...Modulate.names, "low-rank"].sort()).toEqual(Object.keys(counts).sort())
})

describe.each(configs)("$kind", (config) => {
  const modulation = Modulate.make(config, gan.generator, filters)
  const wrapped = Modulate.wrap(gan, { generator: modulation })

  test("starts as the source to 1e-6", () => {
    const image = wrapped.generate(tensors(begun(modulation)), inputs())
    const source = gan.generate(tensors(network), inputs())
    expect(Close.relative(image.dataSync(), source.dataSync())).toBeLessThan(1e-6)
  })

  test("has as many parameters as its formula says", () => {
    const count = counts[config.kind as keyof typeof counts]
    expect(Leaf.count(modulation.leaves)).toBe(count(2, 4, 3) + count(2, 2, 3))
  })

  test("has the gradients that central differences in float64 give", () => {
    const made = Modulate.make(config, one.generator, ["c.weight"])
    const names = Object.keys(made.leaves)
    const values = names.map((name, k) => {
      const shape = Layout.computeShape(made.leaves[name]!.shape)
      return tf.tensor(
        Derivatives.noise(
          shape.reduce((a, b) => a * b, 1),
          20 + k,
        ),
        [...shape],
      )
    })
    const wrapped = Modulate.wrap(one, { generator: made })
    const f = (...own: tf.Tensor[]): tf.Tensor =>
      wrapped.generate({ ...fixed(), ...Object.fromEntries(names.map((n, k) => [n, own[k]!])) }, { z: flat() })
    const direction = tf.tensor(Derivatives.noise(3 * 16 * 2, 8), [3, 4, 4, 2])
    const gradients = tf.grads((...own: tf.Tensor[]) => tf.sum(tf.mul(f(...own), direction)))(values)

    // the same loss in float64, from the formulas
    const file = names.map((name, k) => {
      const { shape } = made.leaves[name]!
      const array = {
        dtype: "float32" as const,
        shape: Layout.computeShape(shape),
        data: values[k]!.dataSync() as Float32Array,
      }
      return Float64Array.from(Layout.toFile(array).data)
    })
    const last = names.map((name) => name.replace(`c.${config.kind}.`, ""))
    const reference = (): number => Reference.loss(config.kind, Object.fromEntries(last.map((n, k) => [n, file[k]!])))
    expect(Reference.relative([reference()], [tf.sum(tf.mul(f(...values), direction)).dataSync()[0]!])).toBeLessThan(
      1e-5,
    )
    for (const [k, array] of file.entries()) {
      const differences = array.map((value, i) => {
        const at = (v: number): number => {
          array[i] = v
          return reference()
        }
        const slope = (at(value + 1e-5) - at(value - 1e-5)) / 2e-5
        array[i] = value
        return slope
      })
      const { shape } = made.leaves[names[k]!]!
      const found = {
        dtype: "float32" as const,
        shape: Layout.computeShape(shape),
        data: gradients[k]!.dataSync() as Float32Array,
      }
      expect(Reference.relative(Layout.toFile(found).data, differences), last[k]).toBeLessThan(2e-5)
    }
  })

  test("makes the same images after folding and as an exported ONNX file", async () => {
    const params = moved(modulation)
    const modulated = wrapped.generate(tensors(params), inputs()).dataSync()
    const folded = Modulate.fold(modulation, params)
    expect(gan.generate(tensors(folded), inputs()).dataSync()).toEqual(modulated)
    expect(modulated).not.toEqual(gan.generate(tensors(network), inputs()).dataSync())
    expect(Object.keys(folded).length > Object.keys(network).length).toBe(!modulation.folds)
    if (modulation.batchwise) return
    const embedding = Flat.map(folded, Layout.toCompute)["embedding.weight"]!
    const bytes = Engine.OnnxExport.model(
      (state, { z, y }) => ({ stats: { image: gan.generate(state, { z: z!, y: y! }) } }),
      Flat.map(folded, Layout.toCompute),
      { z: { shape: [3], dtype: "float32" }, y: { shape: [1], dtype: "float32" } },
    )
    const session = await Session.create(bytes)
    const z = { dtype: "float32" as const, shape: [3, 3], data: Derivatives.noise(9, 5) }
    const y = { dtype: "float32" as const, shape: [3, 1], data: new Float32Array(3).fill(embedding.data[0]!) }
    const { image } = await session.run({ z, y }).finally(session.release)
    const nhwc = Layout.imagesToCompute(image as NdArray.NdArray<"float32">)
    expect(Close.relative(nhwc.data, modulated)).toBeLessThan(1e-5)
  })
})

describe("the scales of an input-conditioned layer", () => {
  const features = (scale: number, shift = 0): tf.Tensor =>
    tf.add(tf.mul(tf.tensor(Derivatives.noise(2 * 16 * 3, 9), [2, 4, 4, 3]), scale), shift)
  const response = (): Response.Layers<tf.Tensor> => ({
    u: { weight: tf.tensor(Derivatives.noise(12, 1), [2, 6]), bias: tf.tensor([0.3, -0.2]) },
    v: { weight: tf.tensor(Derivatives.noise(18, 2), [3, 6]), bias: tf.tensor([0.1, 0.2, 0.3]) },
  })

  test("read log deviations, which scaling the input shifts, and normalised means, which it keeps", () => {
    const [one, ten] = [features(1, 0.5), tf.mul(features(1, 0.5), 10)].map((x) => Response.statistics(x).arraySync())
    for (let sample = 0; sample < 2; sample++)
      for (let c = 0; c < 3; c++) {
        expect(ten![sample]![c]! - one![sample]![c]!).toBeCloseTo(Math.log(10), 3)
        expect(ten![sample]![3 + c]!).toBeCloseTo(one![sample]![3 + c]!, 3)
      }
    const flat = Response.statistics(tf.ones([1, 2, 2, 1])).dataSync()
    expect(flat[0]).toBeCloseTo(0.5 * Math.log(1e-5), 3)
  })

  test("stay between exp(-½) and exp(½) for any input", () => {
    for (const x of [features(1e6), features(1e-6), tf.zeros([2, 4, 4, 3])])
      for (const scale of Object.values(Response.scales(response(), x)))
        for (const value of scale.dataSync()) {
          expect(value).toBeGreaterThanOrEqual(Math.exp(-0.5) - 1e-6)
          expect(value).toBeLessThanOrEqual(Math.exp(0.5) + 1e-6)
        }
  })

  test("follow the sample, the next sample, or none", () => {
    const x = tf.concat([features(1), features(3, 1)], 0)
    const own = Response.scales(response(), x).u.arraySync() as number[][][][]
    const another = Response.scales({ next: response() }, x).u.arraySync() as number[][][][]
    expect(another).toEqual([...own.slice(1), own[0]])
    expect(own[0]).not.toEqual(own[2])
    const constant = Response.scales({ ...response(), constant: tf.zeros([6]) }, x).u
    expect(constant.shape).toEqual([1, 1, 1, 2])
    expect(constant.dataSync()[0]).toBeCloseTo(Math.exp(0.5 * Math.tanh(0.3)), 6)
  })

  test("multiply the input and the output of its convolution", () => {
    const [x, weight, bias] = [features(1), tf.tensor(Derivatives.noise(54, 4), [3, 3, 3, 2]), tf.tensor([0.5, -0.5])]
    const { u, v } = Response.scales(response(), x)
    const params = Flat.fromEntries<tf.Tensor>([
      ["c.weight", weight],
      ["c.bias", bias],
      ...Object.entries(response()).flatMap(([k, l]) =>
        Object.entries(l as Record<string, tf.Tensor>).map(([n, t]) => [`c.response.${k}.${n}`, t] as const),
      ),
    ])
    const stack = Gan.of(
      Gan.Config.parse({
        architecture: "dcgan",
        image: [2, 4, 4],
        latent: { dim: 48 },
        generator: [
          { kind: "view", shape: [3, 4, 4] },
          { kind: "conv", path: "c", in: 3, out: 2, kernel: 3, pad: 1 },
        ],
        discriminator: [{ kind: "conv", path: "down", in: 2, out: 1, kernel: 4 }],
      }),
    )
    const z = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [2, 48])
    const y = stack.generate(params, { z })
    const expected = tf.add(tf.mul(tf.conv2d(tf.mul(x, v) as tf.Tensor4D, weight as tf.Tensor4D, 1, "same"), u), bias)
    expect(Close.relative(y.dataSync(), expected.dataSync())).toBeLessThan(1e-6)
  })
})

test("mFiLM normalises every plane by its mean and sample deviation, and starts with these values", () => {
  const modulation = Modulate.make({ kind: "mfilm" }, gan.generator, filters)
  const { data } = network["resnet_2_1.conv_1.weight"]!
  const plane = [...data.subarray(9, 18)]
  const mean = plane.reduce((a, b) => a + b) / 9
  const deviation = Math.sqrt(plane.reduce((sum, w) => sum + (w - mean) ** 2, 0) / 8)
  const start = modulation.start(network)
  expect(start["resnet_2_1.conv_1.mfilm.gamma"]!.data[1]).toBeCloseTo(deviation, 6)
  expect(start["resnet_2_1.conv_1.mfilm.beta"]!.data[1]).toBeCloseTo(mean, 6)
  const flat = Flat.merge(network, { [filters[1]!]: Rng.uniform(Rng.at(0, "flat"), [2, 2, 3, 3], 0.5, 0.5) })
  const all = Flat.merge(flat, Leaf.initAll(modulation.leaves, 0, "generator"), modulation.start(flat))
  for (const value of Modulate.fold(modulation, all)[filters[1]!]!.data) expect(value).toBeCloseTo(0.5, 6)
})
