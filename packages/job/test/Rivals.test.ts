/** Every published method as a complete job on the compiled engine: what trains, what it adds, how many programs it compiles. */
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Recipes } from "@adafm/baselines"
import { Failure, Flat, Leaf, NdArray, Safetensors } from "@adafm/core"
import { Drawn } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { Engines } from "@adafm/engine"
import { Gan, ModelFolder, RunFolder, type Step } from "@adafm/gan"
import { PreparedTarget, UnconditionalView } from "@adafm/transfer"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Model from "../src/run/Model.ts"
import * as Sampler from "../src/run/Sampler.ts"
import * as Transfer from "../src/verbs/Transfer.ts"

let folder = ""
let engine: Engine.Engine
let programs = 0
const at = (name: string): string => join(folder, name)
const sizes = { architecture: "gpgan", resolution: 16, nf: 2, nf_max: 4, z_dim: 4, embed: 2, nlabels: 3 } as const

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-rivals-"))
  const onnx = await Engines.open({ threads: 1 })
  engine = {
    ...onnx,
    compile: (...given) => {
      programs += 1
      return onnx.compile(...given)
    },
  }
  const gan = Gan.of(Gan.Config.parse(sizes))
  const networks = {
    generator: Leaf.initAll(gan.generator, 0, "generator"),
    discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
  }
  await Failure.orThrow(ModelFolder.write(at("source"), ModelFolder.describe(gan), networks))
})
afterAll(() => rm(folder, { recursive: true }))

const options = (out: string, more: Partial<Transfer.Options> = {}): Transfer.Options => ({
  source: at("source"),
  data: Drawn.flowers({ size: 16, count: 8, seed: 0 }).path,
  out: at(out),
  steps: 3,
  every: 3,
  batch: 4,
  seed: 1,
  scoreCount: 0,
  scoreStart: false,
  ...more,
})
const state = async (out: string, step = 3) =>
  (
    await Failure.orThrow(
      Safetensors.read(join(at(out), "checkpoints", `${String(step).padStart(8, "0")}.safetensors`)),
    )
  ).tensors as Flat.Flat<NdArray.NdArray<"float32">>
const stats = async (out: string) => Failure.orThrow(RunFolder.lines(at(out), "stats"))
const same = (a: NdArray.NdArray, b: NdArray.NdArray): boolean =>
  Buffer.compare(NdArray.toBytes(a), NdArray.toBytes(b)) === 0

/** The source as a network of one class, from which every rival starts. */
const start = async (net: Step.Net) => {
  const source = await Failure.orThrow(Model.open(at("source")))
  return UnconditionalView.of({ ...sizes }, source)[net]
}
const moved = async (out: string, net: Step.Net): Promise<readonly string[]> => {
  const [before, after] = [await start(net), Flat.under(await state(out), net)]
  return Object.keys(before).filter((path) => !same(before[path]!, after[path]!))
}
const groupsOf = (paths: readonly string[]): readonly string[] =>
  [...new Set(paths.map((p) => p.split(/_\d\.|\./)[0]!))].sort()

/** Groups at 16 px, from the image: conv_img, resnet_2, 1, 0 in G; conv_img, resnet_0, 1, 2 in D; the head is in no group. */
const all = {
  generator: ["conv_img", "fc", "resnet_0", "resnet_1", "resnet_2"],
  discriminator: ["conv_img", "fc", "resnet_0", "resnet_1", "resnet_2"],
}
const cases: readonly {
  readonly recipe: string
  readonly generator: readonly string[]
  readonly discriminator: readonly string[]
}[] = [
  { recipe: "finetune", ...all },
  { recipe: "freeze-d", ...all, discriminator: ["fc", "resnet_2"] },
  { recipe: "freeze-g", ...all, generator: ["fc", "resnet_0", "resnet_1"] },
  { recipe: "l2-sp", ...all },
  { recipe: "ewc", ...all },
  { recipe: "distillation", ...all },
  { recipe: "minegan", ...all, generator: [] },
]

describe("a rival", () => {
  test("of every name is among these cases", () => {
    expect(cases.map(({ recipe }) => recipe)).toEqual(Recipes.names)
  })

  test.each(cases)(
    "$recipe trains as one program and moves its groups and no other",
    async ({ recipe, ...expected }) => {
      programs = 0
      const outcome = await Failure.orThrow(Transfer.run(options(recipe, { surgery: { recipe } }), engine))
      expect(outcome.steps).toBe(3)
      // one for all three steps, one for the sample grid; EWC needs others to measure the source
      expect(programs).toBe(recipe === "ewc" ? 3 : 2)
      for (const net of ["generator", "discriminator"] as const)
        expect(groupsOf(await moved(recipe, net)), net).toEqual(expected[net])
    },
  )

  test.each([
    { recipe: "l2-sp", stats: ["g_extra", "d_extra"] },
    { recipe: "ewc", stats: ["g_extra"] },
    { recipe: "distillation", stats: ["d_extra"] },
  ])("$recipe adds a penalty that is 0 at first and grows from there", async ({ recipe, stats: names }) => {
    const lines = await stats(recipe)
    for (const name of names) {
      expect(lines[0]![name]).toBe(0)
      expect(lines[2]![name] as number).toBeGreaterThan(0)
    }
    const others = ["g_extra", "d_extra"].filter((name) => !names.includes(name))
    for (const name of others) expect(lines[2]).not.toHaveProperty(name)
  })

  test("l2-sp's penalty is α/2 times the squared distance of the networks from the source", async () => {
    const more = { surgery: { recipe: "l2-sp" }, regulariserWeight: 5, every: 1, keepEvery: 1 }
    await Failure.orThrow(Transfer.run(options("l2-sp-5", more), engine))
    const [lines, begin] = [await stats("l2-sp-5"), await start("generator")]
    const g = Flat.under(await state("l2-sp-5", 2), "generator")
    const distance = Object.entries(begin).reduce(
      (sum, [path, { data }]) => sum + data.reduce((s, x, i) => s + (g[path]!.data[i]! - x) ** 2, 0),
      0,
    )
    expect(lines[2]!.g_extra as number).toBeCloseTo(2.5 * distance, 5)
  })

  test("minegan trains the generator from its step on, in a second program, and samples through its miner", async () => {
    programs = 0
    await Failure.orThrow(Transfer.run(options("late", { surgery: { recipe: "minegan", unfreezeAt: 2 } }), engine))
    expect(programs).toBe(3)
    expect(groupsOf(await moved("late", "generator"))).toEqual(all.generator)
    const model = await Failure.orThrow(Model.open(at("late")))
    expect(model.gan.config.architecture).toBe("mined")
    expect(Object.keys(model.generator).filter((path) => path.startsWith("miner."))).toHaveLength(4)
    const images = await Failure.orThrow(Sampler.images(model, engine, 0, [0, 1]))
    expect(images.shape).toEqual([2, 3, 16, 16])
  })

  test("ewc resumes bit for bit, without measuring the source again", async () => {
    await Failure.orThrow(Transfer.run(options("parts", { surgery: { recipe: "ewc" }, steps: 1, every: 1 }), engine))
    programs = 0
    await Failure.orThrow(Transfer.run(options("parts", { surgery: { recipe: "ewc" }, every: 3 }), engine))
    expect(programs).toBe(2)
    const [whole, parts] = [await state("ewc"), await state("parts")]
    expect(Object.keys(whole).filter((path) => path.startsWith("ewc/fisher/")).length).toBeGreaterThan(10)
    for (const path of Object.keys(whole)) expect(same(whole[path]!, parts[path]!), path).toBe(true)
  })

  test.each(["random", "shuffled"])(
    "g2d1-%s freezes filters that are not the source's, the same ones to the end",
    async (kind) => {
      const recipe = `g2d1-${kind}`
      await Failure.orThrow(Transfer.run(options(recipe, { surgery: { recipe } }), engine))
      const frozen = "resnet_2_0.conv_0.weight"
      const [source, after] = [await start("generator"), Flat.under(await state(recipe), "generator")]
      expect(same(after[frozen]!, source[frozen]!)).toBe(false)
      const again = await PreparedTarget.of(
        await Failure.orThrow(Model.open(at("source"))),
        { surgery: { recipe }, steps: 3, seed: 1 },
        engine,
      )
      expect(same(after[frozen]!, again.networks.generator[frozen]!)).toBe(true)
      const config = JSON.parse(await readFile(join(at(recipe), "config.json"), "utf8"))
      expect(config.trainable.generator.flatMap((g: { paths: string[] }) => g.paths)).not.toContain(frozen)
    },
  )

  test.each([
    { name: "ADA", more: { ada: { target: -1, thousands: 0.01 } }, expected: ["ada/p", "ada/signs"] },
    { name: "LeCam", more: { lecam: {} }, expected: ["lecam/fake", "lecam/real"] },
    {
      name: "both with DiffAugment",
      more: { ada: {}, lecam: {}, augment: ["cutout"] as const },
      expected: ["ada/p", "ada/signs", "lecam/fake", "lecam/real"],
    },
  ])("with $name is still one program, whose state has what the option remembers", async ({ name, more, expected }) => {
    programs = 0
    await Failure.orThrow(Transfer.run(options(name, { surgery: { recipe: "finetune" }, ...more }), engine))
    expect(programs).toBe(2)
    expect(
      Object.keys(await state(name))
        .filter((path) => /^(ada|lecam)\//.test(path))
        .sort(),
    ).toEqual(expected)
  })
})
