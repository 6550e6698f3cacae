import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as TorchWriter from "@adafm/checkpoint/torch/TorchWriter"
import { Failure, Files, Flat, NdArray, Rng, Safetensors } from "@adafm/core"
import { Image, ImageSet } from "@adafm/data"
import { Extractor } from "@adafm/metrics"
import { Graph } from "@adafm/onnx"
import * as E from "fp-ts/lib/Either.js"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as ReferenceFeatures from "../src/run/ReferenceFeatures.ts"
import * as Features from "../src/verbs/Features.ts"

/** The convolutions up to the first pool of Inception, with their batch norms: enough for 64 dimensions. */
const tensors = Flat.fromEntries(
  (
    [
      ["Conv2d_1a_3x3", 32, 3],
      ["Conv2d_2a_3x3", 32, 32],
      ["Conv2d_2b_3x3", 64, 32],
    ] as const
  ).flatMap(([unit, out, cin]) => {
    const drawn = (name: string, shape: readonly number[], low: number, high: number) =>
      [`${unit}.${name}`, Rng.uniform(Rng.at(1, `${unit}.${name}`), shape, low, high)] as const
    return [
      drawn("conv.weight", [out, cin, 3, 3], -0.2, 0.2),
      drawn("bn.running_mean", [out], -0.1, 0.1),
      drawn("bn.running_var", [out], 0.5, 1.5),
      drawn("bn.bias", [out], -0.1, 0.1),
    ]
  }),
)

let root = ""
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "adafm-job-features-"))
  process.env.ADAFM_CACHE = join(root, "cache")
  const pixels = Uint8Array.from(Rng.uniform(Rng.at(0, "test/pixels"), [40 * 30 * 3], 0, 256).data)
  await Failure.orThrow(Image.writePng(join(root, "images/a.png"), NdArray.make("uint8", [30, 40, 3], pixels)))
  await Failure.orThrow(Files.write(join(root, "weights.pth"), TorchWriter.encode(tensors)))
  await Failure.orThrow(Safetensors.write(join(root, "weights.safetensors"), tensors))
})
afterAll(async () => {
  delete process.env.ADAFM_CACHE
  await rm(root, { recursive: true, force: true })
})

const options = (weights: string) =>
  ({ images: join(root, "images"), extractor: "inception-64", weights: join(root, weights), seed: 0 }) as const

test("PyTorch weights give the same features as the same weights in safetensors; each graph is cached once", async () => {
  const made: NdArray.NdArray[] = []
  for (const [k, weights] of ["weights.pth", "weights.safetensors", "weights.pth"].entries()) {
    const out = join(root, `${k}.safetensors`)
    const { extractor } = await Failure.orThrow(Features.run({ ...options(weights), out }))
    const sha256 = await Failure.orThrow(Files.sha256(join(root, weights)))
    expect(extractor).toMatchObject({ name: "inception-64", mode: "pytorch-fid", dims: 64, sha256, comparable: true })
    made.push((await Failure.orThrow(Safetensors.read(out))).tensors.features!)
  }
  expect(made[0]!.shape).toEqual([1, 64])
  expect(made[0]).toEqual(made[1])
  expect(made[0]).toEqual(made[2])
  const graphs = (await readdir(join(root, "cache/graphs"))).filter((name) => name.endsWith(".onnx"))
  expect(graphs).toHaveLength(2)
  // a damaged graph is built again
  const kept = join(root, "cache/graphs", graphs[0]!)
  const whole = await readFile(kept)
  for (const name of graphs) {
    const bytes = await readFile(join(root, "cache/graphs", name))
    bytes[bytes.length >> 1]! ^= 1
    await writeFile(join(root, "cache/graphs", name), bytes)
  }
  const out = join(root, "again.safetensors")
  for (const weights of ["weights.pth", "weights.safetensors"]) {
    await Failure.orThrow(Features.run({ ...options(weights), out }))
    expect((await Failure.orThrow(Safetensors.read(out))).tensors.features).toEqual(made[0])
  }
  expect(await readFile(kept)).toEqual(whole)
})

test("weights that are missing, or lack what more dimensions need, are named", async () => {
  const out = join(root, "no.safetensors")
  const none = await Features.run({ ...options("none.pth"), out })()
  expect(none).toMatchObject({ left: { file: join(root, "none.pth") } })
  const short = await Features.run({ ...options("weights.pth"), extractor: "inception-192", out })()
  expect(E.isLeft(short) && short.left).toMatchObject({ _tag: "MissingTensor", path: "Conv2d_3b_1x1.weight" })
})

test("cached features belong to the network's declaration: with another declaration they are computed again", async () => {
  const g = Graph.builder()
  const x = g.input("pixels", "float32", [{ param: "N" }, 3, 4, 4])
  g.output("embedding", g.op("GlobalAveragePool", [x]), "float32", [{ param: "N" }, 3, 1, 1])
  await writeFile(join(root, "own.onnx"), Graph.encode(g.graph()))
  const set = await Failure.orThrow(ImageSet.open(join(root, "images")))
  const made = async (std: number): Promise<Float64Array> => {
    await writeFile(join(root, "own.json"), JSON.stringify({ mean: [0, 0, 0], std: [std, std, std] }))
    const own = await Failure.orThrow(Extractor.open({ name: join(root, "own.onnx") }))
    return (await ReferenceFeatures.features(set, own, { size: 4, seed: 0 }).finally(own.close)).matrix.data
  }
  const [whole, half, again] = [await made(1), await made(2), await made(1)]
  for (const [i, value] of half.entries()) expect(value).toBeCloseTo(whole[i]! / 2, 6)
  expect(again).toEqual(whole)
  expect(await readdir(join(root, "cache/references"))).toHaveLength(2)
})

describe("the cache of reference features", () => {
  const reference = async (notes: string[]): Promise<Float64Array> => {
    const set = await Failure.orThrow(ImageSet.open(join(root, "images")))
    const network = await Failure.orThrow(Extractor.open({ name: "embedded" }))
    const hooks = { onNote: (line: string) => void notes.push(line) }
    return (await ReferenceFeatures.features(set, network, { size: 4, seed: 9 }, hooks).finally(network.close)).matrix
      .data
  }
  const inCache = async <A>(folder: string, body: () => Promise<A>): Promise<A> => {
    const before = process.env.ADAFM_CACHE
    process.env.ADAFM_CACHE = folder
    return body().finally(() => {
      process.env.ADAFM_CACHE = before
    })
  }

  test("is done without where it cannot be written, with a note that names ADAFM_CACHE", async () => {
    const notes: string[] = []
    await writeFile(join(root, "file"), "")
    const right = await reference([])
    expect(await inCache(join(root, "file", "cache"), () => reference(notes))).toEqual(right)
    expect(notes).toEqual([expect.stringContaining("ADAFM_CACHE")])
  })

  test.each([
    { name: "cut off", damage: (bytes: Buffer) => bytes.subarray(0, 100) },
    { name: "empty", damage: () => Buffer.alloc(0) },
    { name: "changed in one bit", damage: (bytes: Buffer) => bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1) },
    { name: "another file", damage: () => Buffer.from("text") },
  ])("is made anew where its file is $name, with a note", async ({ damage }) => {
    const [folder, notes] = [join(root, "damaged"), [] as string[]]
    const right = await inCache(folder, () => reference([]))
    const [name] = await readdir(join(folder, "references"))
    const file = join(folder, "references", name!)
    const whole = await readFile(file)
    await writeFile(file, damage(whole))
    expect(await inCache(folder, () => reference(notes))).toEqual(right)
    expect(notes).toEqual([expect.stringContaining(`${file} in the cache cannot be used`)])
    expect(await readFile(file)).toEqual(whole)
  })
})
