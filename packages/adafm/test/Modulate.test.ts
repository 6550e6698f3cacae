import { Flat, Layout, Leaf, type NdArray, Rng } from "@adafm/core"
import { Dcgan, Gan, GpGan } from "@adafm/gan"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as Modulate from "../src/Modulate.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

const gan = GpGan.of(GpGan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, z_dim: 3 }))
const filters = ["resnet_1_0.conv_0.weight", "resnet_2_1.conv_1.weight", "conv_img.weight"]
const kinds: readonly Modulate.Config[] = [
  ...(["adafm", "scale", "shift", "filter-selection", "feature-statistics", "rank-one"] as const).map((kind) => ({
    kind,
  })),
  { kind: "low-rank", rank: 2 },
]
const random = (leaves: Flat.Flat<Leaf.Leaf>) =>
  Flat.map(leaves, ({ shape }, path) => Rng.normal(Rng.at(1, path), shape))
const tensors = (params: Flat.Flat<NdArray.NdArray<"float32">>) =>
  Flat.map(params, (array) => {
    const { data, shape } = Layout.toCompute(array)
    return tf.tensor(data, [...shape])
  })

describe.each(kinds)("the modulation $kind", (config) => {
  const modulation = Modulate.make(config, gan.generator, filters)
  const network = Leaf.initAll(gan.generator, 0, "generator")

  test("starts as the identity", () => {
    const folded = Modulate.fold(modulation, Flat.merge(network, Leaf.initAll(modulation.leaves, 0, "generator")))
    expect(Object.keys(folded).sort()).toEqual(Object.keys(network).sort())
    for (const path of Object.keys(network)) expect(folded[path]!.data, path).toEqual(network[path]!.data)
  })

  test("makes the same images after folding", () => {
    const params = Flat.merge(network, random(modulation.leaves))
    const z = tf.ones([2, 3])
    const modulated = Modulate.wrap(gan, { generator: modulation }).generate(tensors(params), { z })
    const folded = gan.generate(tensors(Modulate.fold(modulation, params)), { z })
    expect(folded.dataSync()).toEqual(modulated.dataSync())
    expect(folded.dataSync()).not.toEqual(gan.generate(tensors(network), { z }).dataSync())
  })
})

test("AdaFM scales and shifts every plane of a filter separately", () => {
  const modulation = Modulate.make({ kind: "adafm" }, gan.generator, filters)
  const params = Flat.merge(Leaf.initAll(gan.generator, 0, "generator"), random(modulation.leaves))
  const [w, gamma, beta] = [
    "resnet_2_1.conv_1.weight",
    "resnet_2_1.small_adafm_1.style_gama",
    "resnet_2_1.small_adafm_1.style_beta",
  ].map((path) => params[path]!) as [NdArray.NdArray<"float32">, NdArray.NdArray<"float32">, NdArray.NdArray<"float32">]
  const folded = Modulate.fold(modulation, params)["resnet_2_1.conv_1.weight"]!
  expect(gamma.shape).toEqual([2, 2, 1, 1])
  for (const [i, value] of folded.data.entries()) {
    const plane = Math.floor(i / 9)
    expect(value).toBeCloseTo(gamma.data[plane]! * w.data[i]! + beta.data[plane]!, 5)
  }
})

test("a transposed filter is scaled along its outputs, the second axis", () => {
  const dcgan = Gan.of(
    Gan.Config.parse({
      architecture: "dcgan",
      image: [2, 4, 4],
      latent: { dim: 3 },
      generator: [
        { kind: "view", shape: [3, 1, 1] },
        { kind: "convTranspose", path: "up", in: 3, out: 2, kernel: 4 },
      ],
      discriminator: [{ kind: "conv", path: "down", in: 2, out: 1, kernel: 4 }],
    }),
  )
  const weight = dcgan.generator["up.weight"]!
  expect(weight.shape).toEqual([3, 2, 4, 4])
  const transposed = Modulate.transposed(dcgan, "generator")
  const of = (kind: "filter-selection" | "adafm") =>
    Flat.map(Modulate.make({ kind }, dcgan.generator, ["up.weight"], transposed).leaves, ({ shape }) => shape)
  expect(of("filter-selection")).toEqual({ "up.filter-selection.gamma": [1, 2, 1, 1] })
  expect(of("adafm")).toEqual({ "up.adafm.gamma": [3, 2, 1, 1], "up.adafm.beta": [3, 2, 1, 1] })
})

test("a miner in front of a generator does not change which filters are transposed", () => {
  const source = Dcgan.standard({ resolution: 16, nf: 4, z_dim: 5 })
  const filters = (config: Gan.Config) => Modulate.transposed(Gan.of(config), "generator")
  const plain = Gan.Config.parse(source)
  expect(filters(Gan.Config.parse({ architecture: "mined", source }))).toEqual(filters(plain))
  expect(filters(plain).size).toBeGreaterThan(2)
})

/** Counted on the authors' code: twelve filters of groups 3 to 5. */
test("AdaFM on the paper's generator adds 860,160 parameters", () => {
  const paper = GpGan.of(GpGan.Config.parse({ architecture: "gpgan" }))
  const weights = Object.keys(paper.generator).filter((path) => /^resnet_[345]_[01]\.conv_[01]\.weight$/.test(path))
  expect(Leaf.count(Modulate.make({ kind: "adafm" }, paper.generator, weights).leaves)).toBe(860_160)
})

test("a scale and shift of features needs a bias to fold into", () => {
  expect(() => Modulate.make({ kind: "feature-statistics" }, gan.generator, ["resnet_1_0.conv_s.weight"])).toThrow(
    "feature-statistics changes the bias of resnet_1_0.conv_s.weight's layer, which has no bias",
  )
})

test("a parameter that is not a filter cannot be modulated", () => {
  expect(() => Modulate.make({ kind: "adafm" }, gan.generator, ["fc.weight"])).toThrow(
    "fc.weight is not a filter: expected shape [a, b, kh, kw], found [128, 4]",
  )
})
