/**
 * The compiled engine against the eager reference, on whole training steps of every architecture.
 */
import { Flat, Leaf, Optimizer, Rng } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Eager from "@adafm/engine/backends/Eager"
import * as Onnx from "@adafm/engine/backends/Onnx"
import { Dcgan, Gan, type GradientPenalty, State, Step, TrainingLoop } from "@adafm/gan"
import { Close } from "@adafm/testkit"
import { describe, expect, test } from "vitest"
import * as Modulate from "../src/Modulate.ts"

interface Case {
  readonly name: string
  readonly config: Gan.Config
  readonly penalty: GradientPenalty.Config
  readonly optimizer?: Optimizer.Optimizer
  /** Filters of the generator that are frozen and modulated. */
  readonly modulated?: RegExp
  readonly kind?: Modulate.Config["kind"]
}

const parse = (config: unknown): Gan.Config => Gan.Config.parse(config)

const smallHead = {
  architecture: "gpgan-small-head",
  resolution: 16,
  nf: 4,
  z_dim: 5,
  style_dim: 6,
  head_blocks: 1,
  head_scale: 2,
}

const cases: readonly Case[] = [
  {
    name: "GP-GAN, conditional, penalty on reals and fakes",
    config: parse({ architecture: "gpgan", resolution: 16, nf: 2, z_dim: 5, embed: 3, nlabels: 3 }),
    penalty: { mode: "real_fake", weight: 20 },
  },
  {
    name: "GP-GAN, one label, Adam with momentum",
    config: parse({ architecture: "gpgan", resolution: 16, nf: 8, nf_max: 16, z_dim: 5 }),
    penalty: { mode: "real", weight: 10 },
    optimizer: { kind: "adam", learningRate: 1e-3, beta1: 0.5, beta2: 0.99, epsilon: 1e-8 },
  },
  {
    name: "the small head with AdaFM",
    config: parse(smallHead),
    penalty: { mode: "real", weight: 10 },
    modulated: /^resnet_\d_\d\.conv_[01]\.weight$/,
  },
  ...(["input-conditioned", "input-conditioned-another", "mfilm"] as const).map((kind) => ({
    name: `the small head with ${kind}`,
    config: parse({ ...smallHead, z_dim: 4 }),
    penalty: { mode: "real", weight: 10 } as const,
    modulated: /^resnet_2_\d\.conv_[01]\.weight$/,
    kind,
  })),
  {
    name: "a DCGAN with input-conditioned transposed filters",
    config: parse(Dcgan.standard({ resolution: 16, nf: 4, z_dim: 5 })),
    penalty: { mode: "none", weight: 0 },
    modulated: /^main\.[36]\.weight$/,
    kind: "input-conditioned",
  },
  {
    name: "a DCGAN with modulated filters and RMSprop",
    config: parse(Dcgan.standard({ resolution: 16, nf: 4, z_dim: 5 })),
    penalty: { mode: "real", weight: 1 },
    optimizer: { kind: "rmsprop", learningRate: 1e-3, alpha: 0.99, epsilon: 1e-8 },
    modulated: /^main\.[36]\.weight$/,
  },
  {
    name: "a DCGAN whose discriminator sees batch statistics, without penalty",
    config: parse({
      ...Dcgan.standard({ resolution: 16, nf: 4, z_dim: 5 }),
      norm: { generator: "batch", discriminator: "batch" },
    }),
    penalty: { mode: "none", weight: 0 },
  },
]

const setupOf = ({ config, penalty, optimizer = Optimizer.adam, modulated, kind = "adafm" }: Case): Step.Setup => {
  const gan = Gan.of(config)
  const parameters = (net: Step.Net): string[] =>
    Object.entries(gan[net]).flatMap(([path, { role }]) => (role === "parameter" ? [path] : []))
  const filters = modulated === undefined ? [] : parameters("generator").filter((path) => modulated.test(path))
  const modulation = Modulate.make(
    Modulate.Config.parse({ kind }),
    gan.generator,
    filters,
    Modulate.transposed(gan, "generator"),
  )
  const trained = parameters("generator").filter((path) => !filters.includes(path))
  return {
    gan,
    batchSize: 2,
    optimizer: { generator: optimizer, discriminator: optimizer },
    penalty,
    ema: { decay: 0.9, ramp: false },
    modulation: { generator: modulation },
    trainable: {
      generator: [
        { name: "base", paths: trained, from: 0 },
        ...(filters.length > 0 ? [{ name: "adafm", paths: Modulate.paths(modulation), from: 0, factor: 10 }] : []),
      ],
      discriminator: [{ name: "base", paths: parameters("discriminator"), from: 0 }],
    },
    recordGradients: true,
  }
}

describe("one step, compiled, equals the eager one", () => {
  test.each(cases)("$name", async (given) => {
    const setup = setupOf(given)
    const { gan, batchSize, modulation } = setup
    const [height, width, channels] = gan.image
    const batch = await TrainingLoop.batchAt(
      {
        setup,
        seed: 1,
        batches: async (step) => ({
          x: Rng.uniform(Rng.at(2, "x", step), [batchSize, height, width, channels], -1, 1),
          y: Rng.int(Rng.at(2, "y", step), [batchSize], 0, gan.labels),
        }),
      },
      0,
    )
    const start = State.initial(setup, {
      generator: Flat.merge(
        Leaf.initAll(gan.generator, 0, "generator"),
        Flat.map(modulation!.generator!.leaves, ({ shape, init }, path) =>
          Rng.normal(Rng.at(3, path), shape, init.kind === "constant" ? init.value : 0, 0.1),
        ),
      ),
      discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
    })
    const run = async (engine: Engine.Engine) => {
      const program = await engine.compile(Step.make(setup, 0), State.specs(start, batch))
      program.write(start)
      const stats = await program.run(batch)
      const state = await program.read()
      await program.dispose()
      return { stats, state }
    }
    const [eager, compiled] = [await run(await Eager.cpu()), await run(await Onnx.create({ threads: 1 }))]
    for (const [name, { data }] of Object.entries(eager.stats))
      expect(Close.relative(compiled.stats[name]!.data, data), name).toBeLessThan(1e-4)
    // gradients relative to the largest of their network: many small ones are rounding noise
    for (const part of ["g_adam_m", "d_adam_m"]) {
      const expected = Flat.under(eager.state, part)
      const size = Math.max(
        ...Object.values(expected).map(({ data }) => Math.max(...Float32Array.from(data, Math.abs))),
      )
      for (const [path, { data }] of Object.entries(expected)) {
        const actual = compiled.state[`${part}/${path}`]!.data
        const worst = Math.max(...Float32Array.from(data, (value, i) => Math.abs(value - actual[i]!)))
        expect(worst / size, `${part}/${path}`).toBeLessThan(1e-5)
      }
    }
    const statistics = Object.keys(gan.generator).filter((path) => gan.generator[path]!.role === "statistic")
    for (const path of statistics)
      expect(
        Close.relative(compiled.state[`generator_ema/${path}`]!.data, eager.state[`generator/${path}`]!.data),
      ).toBeLessThan(1e-4)
  })
})
