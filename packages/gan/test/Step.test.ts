import { Flat, Layout, NdArray, Optimizer } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Eager from "@adafm/engine/backends/Eager"
import { Close, Shared } from "@adafm/testkit"
import { describe, expect, test } from "vitest"
import * as GpGan from "../src/architectures/GpGan.ts"
import * as State from "../src/training/State.ts"
import * as Step from "../src/training/Step.ts"
import * as Fixture from "./Fixture.ts"

type Float32 = NdArray.NdArray<"float32">

const floats = (fixture: Fixture.Fixture, prefix: string): Flat.Flat<Float32> =>
  Flat.map(Flat.under(fixture.arrays, prefix), NdArray.toFloat32)

/** Trained parameters of a network whose first groups (from the image) are frozen: those for which the metadata has Adam's step counts. */
const trained = (fixture: Fixture.Fixture, net: "g" | "d"): readonly string[] =>
  Object.keys(Flat.under(JSON.parse(fixture.metadata.adam_steps!) as Flat.Flat<number[]>, `${net}_adam`))

const setupOf = (fixture: Fixture.Fixture): Step.Setup => {
  const { resolution, nf, z_dim, embed, nlabels, batch, reg, reg_weight } = fixture.config
  return {
    gan: GpGan.of(GpGan.Config.parse({ architecture: "gpgan", resolution, nf, z_dim, embed, nlabels })),
    batchSize: Number(batch),
    optimizer: { generator: Optimizer.adam, discriminator: Optimizer.adam },
    penalty: { mode: reg as "real" | "real_fake", weight: Number(reg_weight) },
    ema: { decay: 0.999, ramp: false },
    trainable: {
      generator: [{ name: "base", paths: trained(fixture, "g"), from: 0 }],
      discriminator: [{ name: "base", paths: trained(fixture, "d"), from: 0 }],
    },
    recordGradients: true,
  }
}

const batchOf = (fixture: Fixture.Fixture, setup: Step.Setup, step: number): Engine.Arrays => {
  const at = (name: string): Float32 => NdArray.toFloat32(fixture.arrays[`batch/${step}/${name}`]!)
  const y = at("y")
  return Flat.merge<Engine.Arrays[string]>(
    {
      x: Layout.imagesToCompute(at("x")),
      y: NdArray.int32(y.shape, Int32Array.from(y.data)),
      z: at("z"),
    },
    Flat.map(Step.schedule(setup, step), NdArray.scalar),
  )
}

/**
 * Limits of the fixtures' README, in |difference| / max(1, |value|). Adam without momentum moves by almost a learning rate whatever
 * the gradient's size, so single elements whose gradient is only rounding error may move in the opposite direction.
 */
const within = (
  actual: Flat.Flat<Float32>,
  expected: Flat.Flat<Float32>,
  typical: number,
  share: number,
  all: number,
) => {
  const differences = Object.entries(expected).flatMap(([path, { data }]) => [...Close.steps(actual[path]!.data, data)])
  expect(Math.max(...differences)).toBeLessThan(all)
  expect(differences.filter((d) => d > typical).length / differences.length).toBeLessThanOrEqual(1 - share)
}

describe.each(["g2d1-32", "scratch-32"])("five iterations of %s", (name) => {
  const file = `fixtures/gpgan/trajectory.${name}.safetensors`

  test.skipIf(Shared.missing(file))("follow the authors' trainer", async () => {
    const fixture = await Fixture.read(file)
    const setup = setupOf(fixture)
    const [generator, discriminator] = [floats(fixture, "init/generator"), floats(fixture, "init/discriminator")]
    const state = State.initial(setup, { generator, discriminator })
    const program = await (await Eager.cpu()).compile(
      Step.make(setup, 0),
      State.specs(state, batchOf(fixture, setup, 0)),
    )
    program.write(state)

    for (let step = 0; step < 5; step++) {
      const stats = await program.run(batchOf(fixture, setup, step))
      for (const loss of [
        "g_loss",
        "d_loss",
        "reg_real",
        ...(setup.penalty.mode === "real_fake" ? ["reg_fake"] : []),
      ]) {
        const expected = NdArray.toFloat32(fixture.arrays[`loss/${step}/${loss}`]!).data
        expect(Close.relative(stats[loss]!.data, expected), `${loss} at ${step}`).toBeLessThan(1e-4)
      }
      const now = State.toFile(await program.read()) as Flat.Flat<Float32>
      for (const part of ["generator", "generator_ema", "discriminator"])
        within(Flat.under(now, part), floats(fixture, `after/${step}/${part}`), 5e-6, 0.99, 2e-4 * (step + 1))
      for (const moment of ["g_adam_v", "g_adam_m", "d_adam_v", "d_adam_m"]) {
        const expected = floats(fixture, `after/${step}/${moment}`)
        expect(Object.keys(Flat.under(now, moment)).sort()).toEqual(Object.keys(expected).sort())
        if (step === 0)
          for (const [path, { data }] of Object.entries(expected))
            expect(Close.relative(now[`${moment}/${path}`]!.data, data), `${moment}/${path}`).toBeLessThan(6e-4)
      }
    }

    const end = State.toFile(await program.read())
    for (const net of Step.nets) {
      const moving = new Set(Step.paths(setup.trainable[net]))
      for (const [path, { data }] of Object.entries({ generator, discriminator }[net]))
        if (!moving.has(path)) expect(end[`${net}/${path}`]!.data, path).toEqual(data)
    }
    await program.dispose()
  })
})
