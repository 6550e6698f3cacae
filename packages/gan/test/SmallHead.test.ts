import "@tensorflow/tfjs-backend-cpu"
import { readFileSync } from "node:fs"
import { Flat, Grad, Layout, NdArray } from "@adafm/core"
import { Close, PortableRandom } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as SmallHead from "../src/architectures/SmallHead.ts"
import * as Fixture from "./Fixture.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

/** What `fixtures/small-head.py` wrote under one norm. */
interface Golden {
  readonly paths: Flat.Flat<readonly number[]>
  readonly features: readonly number[]
  readonly image: readonly number[]
  readonly grads: Flat.Flat<readonly number[]>
  readonly exact_grad_z: readonly number[]
}
type File = Readonly<Record<SmallHead.Norm, Golden>> & { readonly config: object }
const file = JSON.parse(readFileSync(new URL("./fixtures/small-head.json", import.meta.url), "utf8")) as File

const draw = (name: string, shape: readonly number[], scale: number): NdArray.NdArray<"float32"> =>
  NdArray.float32(shape, PortableRandom.numbers(name, NdArray.sizeOf(shape), scale))

const tensor = ({ data, shape }: NdArray.NdArray<"float32">): tf.Tensor => tf.tensor(data, [...shape], "float32")

const parameter = (shape: readonly number[], path: Flat.Path): tf.Tensor => {
  const scale = shape.length === 1 ? 0.5 : 2.5 / Math.sqrt(NdArray.sizeOf(shape.slice(1)))
  const array = draw(`generator/${path}`, shape, scale)
  const positive = (): NdArray.NdArray<"float32"> =>
    NdArray.float32(
      shape,
      array.data.map((v) => Math.abs(v) + 0.5),
    )
  return tensor(Layout.toCompute(path.endsWith("norm.deviation") ? positive() : array))
}

/** Images in file layout, `[:, :, 3::4, 1::4]` of them if `thinned`. */
const values = (images: tf.Tensor, thinned = false): Float32Array => {
  const nchw = tf.transpose(images, [0, 3, 1, 2]) as tf.Tensor4D
  return Fixture.values(
    thinned ? tf.stridedSlice(nchw, [0, 0, 3, 1], [2, 3, nchw.shape[2], nchw.shape[3]], [1, 1, 4, 4]) : nchw,
  )
}

describe.each(SmallHead.NORMS)("the small head with the norm `%s`", (norm) => {
  const golden = file[norm]
  const config = SmallHead.Config.parse({ architecture: "gpgan-small-head", ...file.config, head_norm: norm })
  const gan = SmallHead.of(config)
  const given = () => ({
    params: Flat.map(golden.paths, parameter),
    z: tensor(draw("z", [2, 3], 1.7)),
    noise: [0, 1].map((k) => tensor(Layout.imagesToCompute(draw(`noise/${k}`, [2, 1, 8, 8], 1)))),
    weights: tensor(Layout.imagesToCompute(draw("loss", [2, 3, 16, 16], 1))),
  })

  test("has PyTorch's names and shapes; the constants of its norm are no parameters", () => {
    expect({ ...Flat.map(gan.generator, ({ shape }) => shape) }).toEqual(golden.paths)
    const statistics = Object.keys(Flat.filter(gan.generator, (_, { role }) => role === "statistic"))
    expect(statistics).toEqual(norm === "authors" ? [] : ["small_H.norm.mean", "small_H.norm.deviation"])
  })

  test("makes PyTorch's features and images (2e-5)", () => {
    const { params, z, noise } = given()
    const features = SmallHead.features(config, params, { z, noise })
    expect(Close.relative(values(features), golden.features)).toBeLessThan(2e-5)
    expect(Close.relative(values(gan.generate(params, { z, noise }), true), golden.image)).toBeLessThan(2e-5)
  })

  test("has PyTorch's gradients, of which little flows back through its last layer, and the exact one for z (3e-4)", () => {
    const { params, z, noise, weights } = given()
    const grads = (leaves: Flat.Flat<tf.Tensor>, gradient?: "exact"): Flat.Flat<tf.Tensor> =>
      Grad.valueAndGrads(({ z, ...own }) => {
        const inputs = { z: z!, noise, ...(gradient && { gradient }) }
        return { loss: tf.mean(tf.mul(gan.generate(Flat.merge(params, own), inputs), weights)) }
      }, leaves).grads
    const paths = Object.keys(golden.grads).filter((path) => path !== "z")
    const found = grads({ z, ...Flat.fromEntries(paths.map((path) => [path, params[path]!] as const)) })
    for (const [path, expected] of Object.entries(golden.grads)) {
      const { data } = Layout.toFile({
        dtype: "float32",
        shape: found[path]!.shape,
        data: Fixture.values(found[path]!),
      })
      // a bias before a norm has no effect: float32 has noise there
      if (Math.max(...expected.map(Math.abs)) > 1e-12) expect(Close.relative(data, expected), path).toBeLessThan(3e-4)
    }
    const exact = Fixture.values(grads({ z }, "exact").z!)
    expect(Close.relative(exact, golden.exact_grad_z)).toBeLessThan(3e-4)
    const length = (v: ArrayLike<number>): number => Math.hypot(...Array.from(v))
    expect(length(golden.exact_grad_z) / length(golden.grads.z!)).toBeGreaterThan(10)
  })

  test(`${norm === "authors" ? "removes" : "keeps"} what differs between samples in the mean of a channel`, () => {
    const { params, z, noise } = given()
    const flat = Flat.merge(params, { "small_H.norm.weight": tf.ones([8, 8]), "small_H.norm.bias": tf.zeros([8, 8]) })
    const means = tf.mean(SmallHead.features(config, flat, { z, noise }), [1, 2]) as tf.Tensor2D
    const [a, b] = [tf.slice(means, [0, 0], [1, -1]), tf.slice(means, [1, 0], [1, -1])]
    const difference = Fixture.values(tf.max(tf.abs(tf.sub(a, b))))[0]!
    if (norm === "authors") expect(difference).toBeLessThan(1e-4)
    else expect(difference).toBeGreaterThan(0.1)
  })
})
