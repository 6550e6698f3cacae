/** Weights in and out: comparing, downloading, exporting for PyTorch. */
import { once } from "node:events"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Files, Leaf, NdArray, Rng, Safetensors } from "@adafm/core"
import { Gan, ModelFolder } from "@adafm/gan"
import { Close } from "@adafm/testkit"
import { afterAll, beforeAll, expect, test } from "vitest"
import { adafm } from "./command.ts"
import * as Pictures from "./pictures.ts"

let folder = ""
const at = (...path: readonly string[]): string => join(folder, ...path)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-cli-weights-"))
  const gan = Gan.of(Gan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, nf_max: 4, z_dim: 4 }))
  const networks = {
    generator: Leaf.initAll(gan.generator, 1, "generator"),
    discriminator: Leaf.initAll(gan.discriminator, 1, "discriminator"),
  }
  await Failure.orThrow(ModelFolder.write(at("source"), ModelFolder.describe(gan), networks))
  await Pictures.write(at("pictures"), 8, 20)
})
afterAll(() => rm(folder, { recursive: true }))

const generatorOf = (model: string) => Failure.orThrow(Safetensors.read(at(model, "generator.safetensors")))

test("a modulated run is exported with its modulation folded in, and imported as the same generator", async () => {
  const trained = await adafm(
    [
      ["transfer", "--source", at("source"), "--data", at("pictures"), "--out", at("run"), "--recipe", "g2d1-adafm"],
      "--unfreeze-at 0 --lr 0.01 --steps 2 --batch 4 --score-count 0 --json".split(" "),
    ].flat(),
  )
  expect(trained.code).toBe(0)
  const out = await adafm(["export", at("run"), "--checkpoint", at("run.pt"), "--json"])
  expect(out.json()).toMatchObject({ out: at("run.pt"), format: "pt", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) })
  const inspected = (await adafm(["inspect", at("run.pt"), "--json"])).json()
  expect(inspected).toMatchObject({ architecture: "gpgan", format: "torch-zip", sha256: out.json().sha256 })
  expect(JSON.stringify(inspected)).not.toContain("style_gama")
  expect((await adafm(["inspect", at("run.pt")])).stdout).toMatch(
    /^architecture: gpgan, resolution 16, nf 2, .*z_dim 4/m,
  )
  expect((await adafm(["import", at("run.pt"), "--out", at("back"), "--json"])).code).toBe(0)

  await Failure.orThrow(Safetensors.write(at("z.safetensors"), { z: Rng.normal(Rng.at(7, "test/z"), [3, 4]) }))
  const images = async (model: string): Promise<Float32Array> => {
    const file = at(`${model}.safetensors`)
    const given = ["--net", "generator", "--inputs", at("z.safetensors"), "--out", file, "--json"]
    expect((await adafm(["forward", at(model), ...given])).code).toBe(0)
    return NdArray.toFloat32((await Failure.orThrow(Safetensors.read(file))).tensors.image!).data
  }
  const [run, back] = [await images("run"), await images("back")]
  expect(Close.relative(back, run)).toBeLessThan(1e-5)
  expect(Close.relative(await images("source"), run)).toBeGreaterThan(1e-3)
})

test("the user's plan decides what becomes of every parameter, and a dry run shows it", async () => {
  const plan = `
generator:
  - { paths: "{embedding,fc}.*", value: fresh }
  - { paths: "resnet_2_*.conv_[01].weight", fate: modulate, unfreezeAt: 5 }
  - { paths: "resnet_2_*", fate: freeze }
  - { paths: "conv_img.bias", fate: freeze, unfreezeAt: 7 }
  - { paths: "*", lr: 0.5 }
discriminator:
  - { paths: "resnet_?_0.conv_1.bias", rename: "resnet_$1_0.conv_0.bias", fate: freeze }
  - { paths: "*" }
`
  await Failure.orThrow(Files.write(at("plan.yaml"), plan))
  const args = ["transfer", "--source", at("source"), "--plan", at("plan.yaml"), "--dry-run"]
  const { recipe, fates } = (await adafm([...args, "--json"])).json() as { recipe: string; fates: { path: string }[] }
  expect(recipe).toBe("plan")
  const fate = (network: string, path: string): object | undefined =>
    fates.find((f) => f.path === path && (f as { network?: string }).network === network)
  expect(fate("generator", "fc.weight")).toMatchObject({ value: "fresh", moves: "trainable" })
  expect(fate("generator", "resnet_2_0.conv_0.weight")).toMatchObject({ value: "copied", moves: "modulated" })
  expect(fate("generator", "resnet_2_0.small_adafm_0.style_gama")).toMatchObject({ value: "fresh", unfreezeAt: 5 })
  expect(fate("generator", "conv_img.bias")).toMatchObject({ moves: "frozen", unfreezeAt: 7 })
  expect(fate("generator", "conv_img.weight")).toMatchObject({ moves: "trainable", lr: 0.5 })
  expect(fate("discriminator", "resnet_0_0.conv_1.bias")).toMatchObject({ from: "resnet_0_0.conv_0.bias" })
  const { stdout } = await adafm(args)
  expect(stdout).toMatch(/^generator\/conv_img\.weight +\[3, 2, 3, 3\] +copied +trainable +0 +× 0\.5$/m)
  expect(stdout).toMatch(/^recipe plan, .* trainable$/m)
  // a path that no rule covers is named by the failure
  await Failure.orThrow(Files.write(at("holes.yaml"), plan.replace('  - { paths: "*", lr: 0.5 }\n', "")))
  const holes = await adafm(["transfer", "--source", at("source"), "--plan", at("holes.yaml"), "--dry-run", "--json"])
  expect(holes).toMatchObject({ code: 1 })
  expect(holes.json()).toMatchObject({ error: { _tag: "BadPlan", message: expect.stringContaining("resnet_0_0") } })
})

test("a generator alone is imported, sampled and exported; transfer refuses it unless it trains a new discriminator", async () => {
  const bare = ["export", at("source"), "--checkpoint", at("g.pt"), "--net", "generator"]
  expect((await adafm(bare)).code).toBe(0)
  const imported = await adafm(["import", at("g.pt"), "--out", at("alone"), "--json"])
  expect(imported.json()).toMatchObject({ architecture: "gpgan", discriminator: null })
  expect((await readdir(at("alone"))).sort()).toEqual(["generator.safetensors", "model.json"])
  expect((await adafm(["import", at("g.pt"), "--out", at("alone")])).stdout).toContain("--fresh-d")

  expect((await adafm(["sample", at("alone"), "--count", "2", "--out", at("alone-samples"), "--json"])).code).toBe(0)
  expect((await adafm(["export", at("alone"), "--onnx", at("alone.onnx"), "--json"])).code).toBe(0)
  const graph = await adafm(["import", at("alone.onnx"), "--out", at("of-graph"), "--json"])
  expect(graph.json()).toMatchObject({ architecture: "gpgan", ignored: expect.arrayContaining(["const_0"]) })
  expect((await generatorOf("of-graph")).tensors).toEqual((await generatorOf("source")).tensors)
  const again = await adafm(["export", at("alone"), "--checkpoint", at("alone.pt"), "--json"])
  expect(again.json()).toMatchObject({ tensors: Object.keys((await generatorOf("source")).tensors).length })
  expect((await generatorOf("alone")).tensors).toEqual((await generatorOf("source")).tensors)

  const lacking = (args: readonly string[]) => adafm([...args, "--json"])
  for (const args of [
    ["export", at("alone"), "--checkpoint", at("x.pt"), "--net", "discriminator"],
    ["forward", at("alone"), "--net", "discriminator", "--inputs", at("z2.safetensors"), "--out", at("x.safetensors")],
    ["transfer", "--source", at("alone"), "--data", at("pictures"), "--out", at("alone-run"), "--steps", "1"],
  ]) {
    await Failure.orThrow(Safetensors.write(at("z2.safetensors"), { x: NdArray.zeros("float32", [1, 3, 16, 16]) }))
    const { code, json } = await lacking(args)
    expect({ args: args[0], code, error: json().error }).toMatchObject({
      code: 1,
      error: { _tag: "NoDiscriminator", message: expect.stringContaining("has only a generator") },
    })
  }
  const transfer = ["transfer", "--source", at("alone"), "--fresh-d", "--recipe", "g2d1-adafm", "--dry-run", "--json"]
  const { fates } = (await adafm(transfer)).json() as { fates: { network: string; value: string; moves: string }[] }
  const ofD = fates.filter(({ network }) => network === "discriminator")
  expect(new Set(ofD.map(({ value, moves }) => `${value} ${moves}`))).toEqual(new Set(["fresh trainable"]))
  expect(fates.some(({ network, value }) => network === "generator" && value === "copied")).toBe(true)
  const trained = await adafm(
    [
      ["transfer", "--source", at("alone"), "--data", at("pictures"), "--out", at("alone-run"), "--fresh-d"],
      "--recipe g2d1-adafm --steps 1 --batch 4 --score-count 0 --json".split(" "),
    ].flat(),
  )
  expect(trained.code).toBe(0)
  const whole = await adafm([
    "export",
    at("alone-run"),
    "--checkpoint",
    at("whole.pt"),
    "--net",
    "discriminator",
    "--json",
  ])
  expect(whole.code).toBe(0)
})

test("one network is exported without its name before every path", async () => {
  const args = ["export", at("source"), "--checkpoint", at("d.safetensors"), "--net", "discriminator", "--json"]
  expect((await adafm(args)).json()).toMatchObject({ format: "safetensors" })
  const { tensors } = await Failure.orThrow(Safetensors.read(at("d.safetensors")))
  expect(Object.keys(tensors)).toContain("conv_img.weight")
  expect((await adafm(["export", at("source"), "--json"])).code).toBe(2)
})

test("two checkpoints are compared path by path", async () => {
  const a = {
    same: NdArray.make("float32", [2], Float32Array.of(1, 2)),
    moved: NdArray.make("float32", [3], Float32Array.of(1, 2, 3)),
    wide: NdArray.make("float32", [1, 2], Float32Array.of(1, 2)),
    gone: NdArray.make("float32", [1], Float32Array.of(0)),
  }
  const b = {
    same: a.same,
    moved: NdArray.make("float32", [3], Float32Array.of(1, 2.5, 2)),
    wide: NdArray.make("float32", [2, 1], Float32Array.of(1, 2)),
    here: a.gone,
  }
  await Failure.orThrow(Safetensors.write(at("a.safetensors"), a))
  await Failure.orThrow(Safetensors.write(at("b.safetensors"), b))
  const args = ["inspect", "--diff", at("a.safetensors"), at("b.safetensors")]
  const { same, differences } = (await adafm([...args, "--json"])).json() as { same: number; differences: object[] }
  expect(same).toBe(1)
  expect(differences).toHaveLength(4)
  expect(differences).toEqual(
    expect.arrayContaining([
      { path: "gone", what: "only in A", a: [1] },
      { path: "here", what: "only in B", b: [1] },
      { path: "wide", what: "shape", a: [1, 2], b: [2, 1] },
      {
        path: "moved",
        what: "values",
        a: { sum: 6, absMax: 3 },
        b: { sum: 5.5, absMax: 2.5 },
        maxAbsDiff: 1,
        different: 2,
      },
    ]),
  )
  expect((await adafm(args)).stdout).toMatch(/moved +2 values, by up to 1 +sum 6 +sum 5\.5/)
  expect((await adafm(["inspect", "--diff", at("a.safetensors"), "--json"])).code).toBe(2)
})

test("weights are listed, and wrong bytes from a server are refused", async () => {
  const server = createServer((_, response) => response.end("not these weights")).listen(0, "127.0.0.1")
  await once(server, "listening")
  try {
    const mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const cache = ["--cache", at("cache")]
    const wrong = await adafm(["weights", "fetch", "inception", "--mirror", mirror, ...cache, "--json"])
    expect(wrong).toMatchObject({ code: 1 })
    expect(wrong.json()).toMatchObject({ error: { _tag: "WrongHash" } })
    expect(await readdir(at("cache"))).toEqual([])
    const offline = await adafm(["weights", "fetch", "gpgan-imagenet", "--offline", ...cache, "--json"])
    expect(offline.json()).toMatchObject({
      error: { _tag: "Offline", message: expect.stringContaining("imagenet-8c505f47.pt") },
    })
    const { weights } = (await adafm(["weights", "list", ...cache, "--json"])).json() as { weights: object[] }
    expect(weights).toContainEqual(expect.objectContaining({ name: "inception", present: false }))
    expect((await adafm(["weights", "fetch", "inseption", ...cache, "--json"])).code).toBe(2)
  } finally {
    server.close()
  }
})

test.each([
  ["layersmodel-g/model.json", "one of TensorFlow.js"],
  ["nested-g.keras", "one of Keras"],
])("the import of %s says that no runtime was compared with it", async (name, reason) => {
  const file = join(import.meta.dirname, "../../transfer/test/fixtures/graphs", name)
  const args = ["import", file, "--out", at("unverified")]
  expect((await adafm(args)).stdout).toContain(
    "the outputs were not compared with those of the file: only ONNX Runtime",
  )
  expect((await adafm([...args, "--json"])).json()).toMatchObject({
    verified: null,
    notVerified: expect.stringContaining(reason),
  })
  const { code, stderr } = await adafm([...args, "--verify"])
  expect(code).toBe(1)
  expect(stderr).toContain("--verify needs a file that ONNX Runtime can run")
})

test("import says whether it took the generator or its moving average", async () => {
  const { tensors } = await generatorOf("source")
  const under = (root: string) => Object.entries(tensors).map(([path, array]) => [`${root}/${path}`, array] as const)
  const both = Object.fromEntries([...under("netG"), ...under("netG_ema")])
  await Failure.orThrow(Safetensors.write(at("ema.safetensors"), both))
  const args = ["import", at("ema.safetensors"), "--out", at("ema")]
  const plain = (await adafm(args)).stdout
  expect(plain).toContain("(from netG), no discriminator")
  expect(plain).toContain("the file also holds a moving average of the generator (netG_ema); --ema imports that")
  expect((await adafm([...args, "--ema"])).stdout).toContain("(from netG_ema), the moving average, no discriminator")
})
