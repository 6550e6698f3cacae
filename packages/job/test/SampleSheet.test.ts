import { Modulate } from "@adafm/adafm"
import { Flat, Layout, Leaf, NdArray, Rng } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { Engines } from "@adafm/engine"
import { Gan, ModelFolder } from "@adafm/gan"
import { Close } from "@adafm/testkit"
import { beforeAll, describe, expect, test } from "vitest"
import * as Model from "../src/run/Model.ts"
import * as Sampler from "../src/run/Sampler.ts"
import * as LatentWalk from "../src/run/sheet/LatentWalk.ts"
import * as ModulationFade from "../src/run/sheet/ModulationFade.ts"
import * as SampleSheet from "../src/run/sheet/SampleSheet.ts"
import * as StyleMixing from "../src/run/sheet/StyleMixing.ts"
import * as Truncation from "../src/run/sheet/Truncation.ts"
import * as Project from "../src/verbs/Project.ts"

let engine: Engine.Engine
beforeAll(async () => {
  engine = await Engines.open({ threads: 1 })
})

const sizes = { resolution: 16, nf: 4, z_dim: 6, nf_max: 8 }
const gpgan = Gan.of(Gan.Config.parse({ architecture: "gpgan", ...sizes }))
const headed = Gan.of(
  Gan.Config.parse({
    architecture: "gpgan-small-head",
    ...sizes,
    style_dim: 8,
    head_blocks: 2,
    head_scale: 1,
    head_gradient: 1,
  }),
)
/** Parameters whose biases and modulations differ from their initial values. */
const drawn = (leaves: Flat.Flat<Leaf.Leaf>): Flat.Flat<NdArray.NdArray<"float32">> =>
  Flat.map(Leaf.initAll(leaves, 0, "generator"), (array, path) => {
    const noise = Rng.normal(Rng.at(1, path), array.shape, 0, 0.2).data
    return NdArray.float32(
      array.shape,
      array.data.map((v, i) => v + noise[i]!),
    )
  })
const imagesOf = async (
  gan: Gan.Gan,
  generator: Flat.Flat<NdArray.NdArray<"float32">>,
  inputs: Engine.Arrays,
  mixFrom = 0,
): Promise<readonly Float32Array[]> => {
  const sampler = await Sampler.open({ gan, generator, description: ModelFolder.describe(gan) }, engine, 4, { mixFrom })
  const { data, shape } = await sampler.images(inputs).finally(sampler.dispose)
  const size = data.length / shape[0]!
  return Array.from({ length: shape[0]! }, (_, i) => data.subarray(i * size, (i + 1) * size))
}
const far = (a: Float32Array, b: Float32Array): number => Close.relative(a, b)

describe("a walk between samples", () => {
  test("stays on the sphere, in steps of a quarter of a right angle from one end to the other", () => {
    const [a, b] = [Float32Array.of(2, 0), Float32Array.of(0, 2)]
    for (const [t, angle] of [
      [0, 0],
      [0.25, Math.PI / 8],
      [0.5, Math.PI / 4],
      [1, Math.PI / 2],
    ] as const) {
      const [x, y] = LatentWalk.spherical(a, b, t)
      expect(x).toBeCloseTo(2 * Math.cos(angle), 5)
      expect(y).toBeCloseTo(2 * Math.sin(angle), 5)
    }
    expect([...LatentWalk.spherical(a, Float32Array.of(4, 0), 0.5)]).toEqual([3, 0])
  })

  test("as a loop passes every sample, ends one step before its beginning, and keeps the first one's noise", () => {
    const wanted = { seed: 5, numbers: [0, 3, 8] }
    const { inputs, names } = LatentWalk.loop(headed, wanted, 4)
    expect([names.length, names.at(-1)]).toEqual([12, "frame-00011"])
    const samples = SampleSheet.samples(headed, wanted)
    const row = (from: Engine.Arrays, path: string, i: number): readonly number[] => {
      const size = NdArray.sizeOf(from[path]!.shape.slice(1))
      return [...from[path]!.data.subarray(i * size, (i + 1) * size)]
    }
    for (const [k, frame] of [0, 4, 8].entries()) expect(row(inputs, "z", frame)).toEqual(row(samples, "z", k))
    const last = LatentWalk.spherical(
      Float32Array.from(row(samples, "z", 2)),
      Float32Array.from(row(samples, "z", 0)),
      3 / 4,
    )
    expect(row(inputs, "z", 11)).toEqual([...last])
    for (let frame = 0; frame < 12; frame++) expect(row(inputs, "noise/0", frame)).toEqual(row(samples, "noise/0", 0))
    expect(() => LatentWalk.loop(headed, { seed: 0, numbers: [1] }, 4)).toThrow(/needs 2 or more samples/)
  })

  test("begins and ends each row at a sample", async () => {
    const wanted = { seed: 5, numbers: [0, 3, 8] }
    const { inputs, columns, names } = LatentWalk.sheet(gpgan, wanted, 4)
    expect([columns, names.length]).toEqual([4, 8])
    const generator = drawn(gpgan.generator)
    const [walked, samples] = [
      await imagesOf(gpgan, generator, inputs),
      await imagesOf(gpgan, generator, SampleSheet.plain(gpgan, wanted).inputs),
    ]
    for (const [frame, sample] of [
      [0, 0],
      [3, 1],
      [4, 1],
      [7, 2],
    ] as const)
      expect(far(walked[frame]!, samples[sample]!), `${frame}`).toBeLessThan(1e-5)
    expect(far(walked[1]!, samples[0]!)).toBeGreaterThan(1e-3)
  })
})

describe("style mixing", () => {
  const wanted = { seed: 2, numbers: [0, 1] }

  test("shows the samples in the first column, the samples that give the styles in the first row, and new images elsewhere", async () => {
    const { inputs, columns, names } = StyleMixing.sheet(headed, wanted, [4, 5])
    expect([columns, names.length]).toEqual([3, 9])
    const generator = drawn(headed.generator)
    const samples = await imagesOf(
      headed,
      generator,
      SampleSheet.plain(headed, { ...wanted, numbers: [0, 1, 4, 5] }).inputs,
    )
    const cells = await imagesOf(headed, generator, inputs)
    for (const [cell, sample] of [
      [1, 2],
      [2, 3],
      [3, 0],
      [6, 1],
    ] as const)
      expect(far(cells[cell]!, samples[sample]!), `${cell}`).toBeLessThan(1e-5)
    for (const sample of samples) expect(far(cells[4]!, sample)).toBeGreaterThan(1e-3)
  })

  test("from a block on leaves the blocks before it alone, and after the last one changes nothing", async () => {
    const { inputs } = StyleMixing.sheet(headed, wanted, [4])
    const generator = drawn(headed.generator)
    const [all, late, none] = [0, 1, 2].map((from) => imagesOf(headed, generator, inputs, from))
    const own = (await imagesOf(headed, generator, SampleSheet.plain(headed, wanted).inputs))[0]!
    // the cell of layout 0 and style 4
    expect(far((await none!)[3]!, own)).toBeLessThan(1e-5)
    expect(far((await late!)[3]!, own)).toBeGreaterThan(1e-3)
    expect(far((await late!)[3]!, (await all!)[3]!)).toBeGreaterThan(1e-4)
  })

  test("is refused for a model without styles, or from a block that does not exist", () => {
    expect(() => StyleMixing.sheet(gpgan, wanted, [4])).toThrow(
      /^--mix mixes the styles of a small head, and this model \(gpgan\) has none/,
    )
    expect(() => StyleMixing.sheet(headed, { ...wanted, mixFrom: 2 }, [4])).toThrow(
      /--mix-from 2: the last style block of this model is 1/,
    )
  })
})

test("a fade begins with the source's filters and ends with the target's", async () => {
  const filters = Object.keys(gpgan.generator).filter((path) => /resnet_[12].*conv_[01]\.weight/.test(path))
  const modulation = Modulate.make({ kind: "adafm" }, gpgan.generator, filters)
  const gan = Model.wrap(gpgan, { generator: modulation })
  const generator = drawn(gan.generator)
  const model: Model.Model = {
    path: "",
    description: ModelFolder.describe(gpgan),
    gan,
    modulation: { generator: modulation },
    generator,
    discriminator: {},
  }
  const wanted = { seed: 1, numbers: [0, 1] }
  const { inputs, parameters, columns } = ModulationFade.sheet(model, wanted, 3)
  expect([columns, parameters!.length]).toEqual([3, 3])
  const at = (i: number) => imagesOf(gan, parameters![i]!, inputs)
  const source = await imagesOf(
    gpgan,
    Flat.filter(generator, (path) => path in gpgan.generator),
    SampleSheet.plain(gpgan, wanted).inputs,
  )
  const target = await imagesOf(gan, generator, SampleSheet.plain(gan, wanted).inputs)
  expect(far((await at(0))[0]!, source[0]!)).toBeLessThan(1e-5)
  expect(far((await at(2))[3]!, target[1]!)).toBeLessThan(1e-5)
  const half = parameters![1]!
  const gamma = Object.keys(modulation.leaves).find((path) => path.endsWith("style_gama"))!
  expect(half[gamma]!.data[0]).toBeCloseTo((1 + generator[gamma]!.data[0]!) / 2, 6)
})

describe("truncation", () => {
  const modelOf = (gan: Gan.Gan): Model.Model => ({
    path: "",
    gan,
    description: ModelFolder.describe(gan),
    generator: drawn(gan.generator),
    discriminator: {},
  })
  const images = async (model: Model.Model, psi: number): Promise<readonly Float32Array[]> => {
    const plain = SampleSheet.plain(model.gan, { seed: 3, numbers: [0, 1, 2] })
    // the same noise for all, so that only latents differ
    const fixed = Flat.map(plain.inputs, (array, path) =>
      path.startsWith("noise") ? Sampler.picked(array, [0, 0, 0]) : array,
    )
    const sheet = await Truncation.apply({ ...plain, inputs: fixed }, model, psi, engine, 3)
    const sampler = await Sampler.open(model, engine, 4, { psi })
    const { data } = await sampler.images(sheet.inputs).finally(sampler.dispose)
    return [0, 1, 2].map((i) => data.subarray((i * data.length) / 3, ((i + 1) * data.length) / 3))
  }
  test.each([
    { name: "a GP-GAN", gan: gpgan },
    { name: "a small head", gan: headed },
  ])("of $name: 1 changes nothing, 0 gives one image, between them images come closer", async ({ gan }) => {
    const model = modelOf(gan)
    const [plain, none, half, whole] = [
      await imagesOf(gan, model.generator, SampleSheet.plain(gan, { seed: 3, numbers: [0] }).inputs),
      await images(model, 1),
      await images(model, 0.5),
      await images(model, 0),
    ]
    expect(far(none[0]!, plain[0]!)).toBeLessThan(1e-5)
    expect(far(whole[1]!, whole[0]!)).toBeLessThan(1e-6)
    const spread = (all: readonly Float32Array[]): number => far(all[1]!, all[0]!) + far(all[2]!, all[0]!)
    expect(spread(half)).toBeLessThan(spread(none))
    expect(spread(half)).toBeGreaterThan(0)
  })
})

test("projection finds an image that the generator makes, in one program", async () => {
  let programs = 0
  const counting: Engine.Engine = {
    ...engine,
    compile: (step, specs) => {
      programs += 1
      return engine.compile(step, specs)
    },
  }
  const model = {
    gan: gpgan,
    generator: drawn(gpgan.generator),
    discriminator: Leaf.initAll(gpgan.discriminator, 0, "discriminator"),
  }
  const sampler = await Sampler.open({ ...model, description: ModelFolder.describe(gpgan) }, engine, 2)
  const wanted = await sampler.images(Sampler.inputs(gpgan, 9, [0, 1])).finally(sampler.dispose)
  const x = Layout.imagesToCompute(wanted)
  const start = Sampler.inputs(gpgan, 0, [0, 1], "project")
  const losses: number[] = []
  const found = await Project.search(model, counting, x, start, {
    steps: 200,
    onProgress: (_, __, loss) => void losses.push(loss),
  })
  expect(programs).toBe(1)
  expect(losses.at(-1)).toBeLessThan(losses[0]! / 5)
  for (const pixels of found.pixels) expect(Math.sqrt(pixels)).toBeLessThan(0.1)
})
