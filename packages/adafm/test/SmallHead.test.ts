import { Failure, Flat, Grad, Layout, Leaf, NdArray, Optimizer, Safetensors } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Eager from "@adafm/engine/backends/Eager"
import * as Onnx from "@adafm/engine/backends/Onnx"
import { AdversarialLoss, type Network, SmallHead, State, Step } from "@adafm/gan"
import { Close, Shared } from "@adafm/testkit"
import * as tf from "@tensorflow/tfjs-core"
import { beforeAll, describe, expect, test } from "vitest"
import * as Modulate from "../src/Modulate.ts"

type Float32 = NdArray.NdArray<"float32">

beforeAll(async () => {
  await tf.setBackend("cpu")
})

interface Fixture {
  readonly config: Readonly<Record<string, number>>
  /** Parameters, or row ranges of them, whose exact gradient is 0: float32 holds noise there. */
  readonly nulls: Readonly<Record<string, readonly [number, number] | null>>
  readonly at: (name: string) => Float32
  readonly under: (prefix: string) => Flat.Flat<Float32>
}

const read = async (relative: string): Promise<Fixture> => {
  const { tensors, metadata } = await Failure.orThrow(Safetensors.read(Shared.path(relative)!))
  return {
    config: JSON.parse(metadata.config!),
    nulls: JSON.parse(metadata.null_gradient!),
    at: (name) => NdArray.toFloat32(tensors[name]!),
    under: (prefix) => Flat.map(Flat.under(tensors, prefix), NdArray.toFloat32),
  }
}

const tensor = ({ data, shape }: Float32): tf.Tensor => tf.tensor(data, [...shape], "float32")
const compute = (params: Flat.Flat<Float32>): Flat.Flat<tf.Tensor> =>
  Flat.map(params, (a) => tensor(Layout.toCompute(a)))
const modelOf = ({ config }: Fixture) => {
  const { resolution, nf, z_dim, style_dim, head_blocks } = config
  const gan = SmallHead.of(
    SmallHead.Config.parse({ architecture: "gpgan-small-head", resolution, nf, z_dim, style_dim, head_blocks }),
  )
  const filters = Object.keys(gan.generator).filter((path) => /^resnet_\d+_[01]\.conv_[01]\.weight$/.test(path))
  return { gan, modulation: Modulate.make({ kind: "adafm" }, gan.generator, filters) }
}

/** An array without the entries whose gradient is rounding noise. */
const meaningful = ({ nulls }: Fixture, path: string, data: Float32Array, shape: readonly number[]): Float32Array => {
  const range = nulls[path]
  if (range === undefined) return data
  if (range === null) return new Float32Array(0)
  const row = data.length / shape[0]!
  return Float32Array.from([...data.subarray(0, range[0] * row), ...data.subarray(range[1] * row)])
}

/** A step that returns everything the fixture holds: one forward and one backward pass. */
const pass =
  ({ gan, modulation }: ReturnType<typeof modelOf>): Engine.Step =>
  (state, batch) => {
    const [g, d] = [Flat.under(state, "generator"), Flat.under(state, "discriminator")]
    const inputs: Network.Inputs = { z: batch.z!, noise: gan.noise.map((_, k) => batch[`noise/${k}`]!) }
    const resolved = modulation.resolve(g)
    const { grads, also } = Grad.valueAndGrads(
      (p) => {
        const image = gan.generate(modulation.resolve(Flat.merge(g, p)), inputs)
        const logit = gan.discriminate(d, image)
        const loss = AdversarialLoss.generator(logit)
        return { loss, also: { image, logit, loss } }
      },
      Flat.filter(g, (path) => path.includes("small")),
      "zeros",
    )
    const effective = Flat.filter(resolved, (path) => /^resnet_\d+_[01]\.conv_[01]\.weight$/.test(path))
    return {
      stats: Flat.merge(
        Flat.prefix({ image: also.image!, logit: also.logit! }, "out"),
        {
          "loss/g": also.loss!,
          "act_g/small_style": SmallHead.mapping(gan.config, resolved, inputs),
          "act_g/small_H": SmallHead.features(gan.config, resolved, inputs),
        },
        Flat.prefix(effective, "effective"),
        Flat.prefix(grads, "grad_g"),
      ),
    }
  }

const engines = { cpu: () => Eager.cpu(), onnx: () => Onnx.create({ threads: 1 }) } as const

/** Tolerances of the fixtures' README. */
const limits: Readonly<Record<string, number>> = { out: 2e-5, loss: 2e-5, act_g: 1e-5, effective: 1e-5, grad_g: 3e-4 }

describe.each([
  ["32", "cpu"],
  ["32", "onnx"],
  ["128", "cpu"],
  ["128", "onnx"],
] as const)("the small head with AdaFM at %s px, on the engine %s,", (name, on) => {
  const file = `fixtures/gpgan/adafm.${name}.safetensors`

  test.skipIf(Shared.missing(file))("gives the authors' images, logits and gradients", async () => {
    const fixture = await read(file)
    const model = modelOf(fixture)
    const params = fixture.under("generator")
    const leaves = Flat.merge(model.gan.generator, model.modulation.leaves)
    expect(Flat.map(leaves, ({ shape }) => [...shape])).toEqual(Flat.map(params, ({ shape }) => [...shape]))

    const noise = model.gan.noise.map(
      (_, k) => [`noise/${k}`, Layout.imagesToCompute(fixture.at(`in/noise/${k}`))] as const,
    )
    const batch: Engine.Arrays = { z: fixture.at("in/z"), ...Flat.fromEntries(noise) }
    const state = Flat.map(
      Flat.merge(Flat.prefix(params, "generator"), Flat.prefix(fixture.under("discriminator"), "discriminator")),
      Layout.toCompute,
    )
    const engine: Engine.Engine = await engines[on]()
    const program = await engine.compile(pass(model), State.specs(state, batch))
    program.write(state)
    const found = await program.run(batch).finally(program.dispose)

    const expected = Flat.fromEntries(
      Object.keys(limits).flatMap((group) =>
        Object.keys(fixture.under(group)).map((path) => [`${group}/${path}`, fixture.at(`${group}/${path}`)] as const),
      ),
    )
    expect(Object.keys(Flat.under(found, "grad_g")).sort()).toEqual(Object.keys(Flat.under(expected, "grad_g")).sort())
    for (const [path, array] of Object.entries(Flat.filter(expected, (path) => found[path] !== undefined))) {
      const [group] = path.split("/") as [string]
      const own = found[path] as Float32
      const inFileLayout =
        path === "out/image" || path === "act_g/small_H" ? Layout.imagesToFile(own) : Layout.toFile(own)
      const [actual, wanted] = [inFileLayout.data, array.data].map((data) =>
        group === "grad_g" ? meaningful(fixture, path.slice("grad_g/".length), data, array.shape) : data,
      )
      expect(Close.relative(actual!, wanted!), path).toBeLessThan(limits[group]!)
    }
    const held = (group: string): number =>
      Object.keys(Flat.under(expected, group)).filter((p) => found[`${group}/${p}`]).length
    expect(["out", "loss", "act_g"].map(held)).toEqual([2, 1, 2])
    expect(held("effective")).toBe(Object.keys(fixture.under("effective")).length)
  })
})

/** Counted on the authors' modules. */
test("the paper's generator has 30,092,228 parameters", () => {
  const gan = SmallHead.of(SmallHead.Config.parse({ architecture: "gpgan-small-head" }))
  const head = Flat.filter(gan.generator, (path) => path.startsWith("small"))
  expect(Leaf.count(head)).toBe(25_185_793)
  expect(Leaf.count(gan.generator) + 860_160).toBe(30_092_228)
})

test("style mixing of a style with itself gives the plain image", () => {
  const gan = SmallHead.of(
    SmallHead.Config.parse({
      architecture: "gpgan-small-head",
      resolution: 32,
      nf: 1,
      z_dim: 3,
      style_dim: 4,
      nlabels: 3,
      embed: 4,
      head_scale: 1,
    }),
  )
  const params = compute(Leaf.initAll(gan.generator, 0, "generator"))
  const inputs = {
    z: tf.ones([2, 3]),
    y: tf.tensor1d([0, 2], "int32"),
    noise: gan.noise.map(([h, w]) => tf.ones([2, h, w, 1])),
  }
  const w = SmallHead.mapping(gan.config, params, inputs)
  const image = gan.generate(params, inputs)
  expect(SmallHead.generate(gan.config, params, inputs, [w, w]).dataSync()).toEqual(image.dataSync())
  const [first, second] = [tf.slice(image, 0, 1), tf.slice(image, 1, 1)].map((t) => [...t.dataSync()])
  expect(first).not.toEqual(second)
})

const trajectory = "fixtures/gpgan/trajectory.adafm-128.safetensors"

test.skipIf(Shared.missing(trajectory))(
  "five iterations, AdaFM joining after the third, follow the authors' trainer",
  async () => {
    const fixture = await read(trajectory)
    const { gan, modulation } = modelOf(fixture)
    const { batch, reg_weight, adafm_from } = fixture.config as Record<string, number>
    const head = Object.keys(gan.generator).filter((path) => path.startsWith("small"))
    const setup: Step.Setup = {
      gan,
      batchSize: batch!,
      optimizer: { generator: Optimizer.adam, discriminator: Optimizer.adam },
      penalty: { mode: "real", weight: reg_weight! },
      ema: { decay: 0.999, ramp: false },
      modulation: { generator: modulation },
      trainable: {
        generator: [
          { name: "head", paths: head, from: 0 },
          { name: "adafm", paths: Modulate.paths(modulation), from: adafm_from! + 1 },
        ],
        discriminator: [{ name: "base", paths: Object.keys(fixture.under("after/0/discriminator")), from: 0 }],
      },
      recordGradients: true,
    }
    const batchOf = (step: number): Engine.Arrays =>
      Flat.merge<Engine.Arrays[string]>(
        { x: Layout.imagesToCompute(fixture.at(`batch/${step}/x`)), z: fixture.at(`batch/${step}/z`) },
        Flat.fromEntries(
          gan.noise.map(
            (_, k) => [`noise/${k}`, Layout.imagesToCompute(fixture.at(`batch/${step}/noise/${k}`))] as const,
          ),
        ),
        Flat.map(Step.schedule(setup, step), NdArray.scalar),
      )
    const engine = await Eager.cpu()
    const start = { generator: fixture.under("init/generator"), discriminator: fixture.under("init/discriminator") }
    let state: Engine.Arrays = State.initial(setup, start)
    for (let step = 0; step < 5; step++) {
      if (Step.phases(setup).includes(step)) state = State.enter(setup, state, step)
      const program = await engine.compile(Step.make(setup, step), State.specs(state, batchOf(step)))
      program.write(state)
      const stats = await program.run(batchOf(step))
      state = await program.read()
      await program.dispose()
      for (const loss of ["g_loss", "d_loss", "reg_real"])
        expect(
          Close.relative(stats[loss]!.data, fixture.at(`loss/${step}/${loss}`).data),
          `${loss} ${step}`,
        ).toBeLessThan(1e-4)
      const now = State.toFile(state) as Flat.Flat<Float32>
      for (const part of ["generator", "generator_ema", "discriminator"]) {
        const expected = fixture.under(`after/${step}/${part}`)
        const differences = Object.entries(expected).flatMap(([path, { data, shape }]) => [
          ...Close.steps(
            meaningful(fixture, path, now[`${part}/${path}`]!.data, shape),
            meaningful(fixture, path, data, shape),
          ),
        ])
        expect(differences.filter((d) => d > 5e-6).length / differences.length, part).toBeLessThan(0.01)
        expect(Math.max(...differences), part).toBeLessThan(2e-4 * (step + 1))
      }
      for (const net of Step.nets) {
        const moving = Step.paths(setup.trainable[net].filter(({ from }) => step >= from))
        for (const moment of ["v", "m"])
          expect(Object.keys(Flat.under(now, `${net[0]}_adam_${moment}`)).sort()).toEqual([...moving].sort())
        for (const [path, { data }] of Object.entries(start[net]))
          if (!moving.includes(path)) expect(now[`${net}/${path}`]!.data, path).toEqual(data)
      }
    }
  },
  600_000,
)
