/** Features, statistics and scores from the command line, by the bundled extractor; some commands run in their own process. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, NdArray, Rng } from "@adafm/core"
import { Image } from "@adafm/data"
import { StatisticsNpz } from "@adafm/metrics"
import { Graph } from "@adafm/onnx"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { adafm, spawned } from "./command.ts"

let root = ""
/** `n` noisy pictures of one colour, all of different sizes. */
const folder = async (name: string, n: number, red: number): Promise<string> => {
  for (let i = 0; i < n; i++) {
    const shape = [20 + i, 24, 3]
    const noise = Rng.uniform(Rng.at(i, `test/${name}`), shape, 0, 128).data
    const data = Uint8Array.from(noise, (v, at) => v + (at % 3 === 0 ? red : 0))
    await Failure.orThrow(Image.writePng(join(root, name, `${i}.png`), NdArray.make("uint8", shape, data)))
  }
  return join(root, name)
}
const at = (name: string): string => join(root, name)
const score = (document: Record<string, unknown>, name = "fid"): Record<string, unknown> =>
  (document.metrics as Record<string, Record<string, unknown>>)[name]!
const embedded = ["--extractor", "embedded", "--json"]

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "adafm-cli-metrics-"))
  process.env.ADAFM_CACHE = at("cache")
  await folder("plain", 14, 0)
  await folder("red", 12, 120)
})
afterAll(async () => {
  delete process.env.ADAFM_CACHE
  await rm(root, { recursive: true, force: true })
})

describe("statistics", () => {
  test("of three shards, merged, equal those of one pass, and record their images", async () => {
    for (const i of [1, 2, 3]) {
      const ran = await adafm([
        "metrics",
        "stats",
        at("plain"),
        "--shard",
        `${i}/3`,
        "--out",
        at(`${i}.npz`),
        ...embedded,
      ])
      expect(ran.code).toBe(0)
      expect(ran.json()).toMatchObject({ count: i === 3 ? 4 : 5, dims: 128, extractor: { name: "embedded" } })
    }
    const merged = await adafm([
      "metrics",
      "merge",
      at("1.npz"),
      at("2.npz"),
      at("3.npz"),
      "--out",
      at("m.npz"),
      "--json",
    ])
    expect(merged.json()).toMatchObject({ count: 14, warnings: [] })
    expect((await spawned(["metrics", "stats", at("plain"), "--out", at("whole.npz"), ...embedded])).code).toBe(0)
    const inspected = await adafm(["inspect", at("whole.npz"), "--json"])
    expect(inspected.json()).toMatchObject({ format: "npz", problems: [] })
    const [a, b] = [
      await Failure.orThrow(StatisticsNpz.read(at("m.npz"))),
      await Failure.orThrow(StatisticsNpz.read(at("whole.npz"))),
    ]
    const apart = (x: Float64Array, y: Float64Array): number => Math.max(...x.map((v, i) => Math.abs(v - y[i]!)))
    expect(apart(a.mean, b.mean)).toBeLessThan(1e-9)
    expect(apart(a.covariance.data, b.covariance.data)).toBeLessThan(1e-9)
  })

  test("a missing shard is a warning; a shard given twice, or made in another mode, is an error", async () => {
    const two = await adafm(["metrics", "merge", at("1.npz"), at("3.npz"), "--out", at("two.npz"), "--json"])
    expect(two.json()).toMatchObject({ count: 9, warnings: ["the merged statistics lack the shards 2/3"] })
    const twice = await adafm(["metrics", "merge", at("1.npz"), at("1.npz"), "--out", at("no.npz"), "--json"])
    expect([twice.code, twice.json()]).toMatchObject([1, { error: { _tag: "BadShards" } }])
    await adafm(["metrics", "stats", at("red"), "--shard", "2/3", "--out", at("other.npz"), ...embedded])
    const strange = await adafm(["metrics", "merge", at("1.npz"), at("other.npz"), "--out", at("no.npz"), "--json"])
    expect([strange.code, strange.json()]).toMatchObject([
      1,
      {
        error: {
          _tag: "BadShards",
          message: expect.stringContaining("the shards belong to different sets; merge each set separately: 1/3 of"),
        },
      },
    ])
    await adafm(["metrics", "stats", at("red"), "--mode", "clean", "--out", at("clean.npz"), ...embedded])
    const mixed = await adafm(["metrics", "merge", at("1.npz"), at("clean.npz"), "--out", at("no.npz"), "--json"])
    expect(mixed.json()).toMatchObject({ error: { _tag: "DifferentProtocols" } })
    expect(await readdir(root)).not.toContain("no.npz")
  })

  test.each(["3/2", "1/0", "half"])("--shard %s is a wrong argument", async (shard) => {
    const ran = await adafm(["metrics", "stats", at("plain"), "--shard", shard, "--out", at("no.npz"), "--json"])
    expect([ran.code, ran.json()]).toMatchObject([2, { error: { _tag: "BadArguments" } }])
  })
})

describe("evaluate", () => {
  test("against statistics gives the FID of the images, with everything that affects it", async () => {
    const images = await adafm(["evaluate", at("red"), "--reference", at("plain"), "--seed", "3", ...embedded])
    // the extractor and the mode are taken from the statistics
    const stats = await spawned(["evaluate", at("red"), "--reference", at("whole.npz"), "--seed", "3", "--json"])
    const [direct, viaFile] = [score(images.json()), score(stats.json())]
    expect(viaFile.value).toBeCloseTo(direct.value as number, 6)
    expect(direct.value).toBeGreaterThan(0)
    const hash = expect.stringMatching(/^[0-9a-f]{64}$/)
    expect(viaFile).toMatchObject({
      label: "FID (embedded, 128 dimensions, not comparable)",
      extractor: { name: "embedded", dims: 128, sha256: hash, comparable: false },
      mode: "pytorch-fid",
      resize: expect.stringContaining("Pillow"),
      normalise: "2·x/255 - 1",
      size: null,
      seed: 3,
      counts: { a: 12, b: 14 },
      images: { a: { path: at("red"), sha256: hash }, b: { path: at("plain"), sha256: hash } },
      versions: {
        adafm: "0.1.0",
        node: process.versions.node,
        onnxruntime: expect.any(String),
        sharp: expect.any(String),
      },
    })
    expect((viaFile.warnings as string[]).join()).toContain("12 images for 128 dimensions")
    expect(score(images.json(), "kid"), "next to FID when there are few images").toMatchObject({
      interval: { level: 0.95 },
    })
    const { low, high } = direct.interval as { low: number; high: number }
    expect(low).toBeLessThan(direct.value as number)
    expect(high).toBeGreaterThan(direct.value as number)
  })

  test("two files of statistics need no network; statistics of another mode are refused", async () => {
    const same = await adafm(["evaluate", at("m.npz"), "--reference", at("whole.npz"), "--json"])
    expect(score(same.json()).value).toBeCloseTo(0, 6)
    const mode = await adafm(["evaluate", at("red"), "--reference", at("whole.npz"), "--mode", "clean", ...embedded])
    expect([mode.code, mode.json()]).toMatchObject([
      1,
      { error: { _tag: "DifferentProtocols", message: expect.stringContaining("mode: clean against pytorch-fid") } },
    ])
    const kid = await adafm(["evaluate", at("red"), "--reference", at("whole.npz"), "--metrics", "kid", "--json"])
    expect(kid.json()).toMatchObject({ error: { _tag: "NeedsImages" } })
  })

  test("another program's statistics are assumed to have the samples' protocol, with a warning", async () => {
    const { mean, covariance } = await Failure.orThrow(StatisticsNpz.read(at("whole.npz")))
    await Failure.orThrow(StatisticsNpz.write(at("foreign.npz"), { mean, covariance }))
    const ran = await adafm(["evaluate", at("red"), "--reference", at("foreign.npz"), ...embedded])
    const fid = score(ran.json())
    expect(fid).toMatchObject({ counts: { b: null }, images: { b: { path: at("foreign.npz") } } })
    expect((fid.warnings as string[]).join()).toContain("does not say how it was made; assumed the extractor embedded")
    const wrong = { mean: new Float64Array(2), covariance: { rows: 2, cols: 2, data: new Float64Array(4) } }
    await Failure.orThrow(StatisticsNpz.write(at("wrong.npz"), wrong))
    const refused = await adafm(["evaluate", at("red"), "--reference", at("wrong.npz"), ...embedded])
    expect(refused.json()).toMatchObject({ error: { _tag: "BadNpz", file: at("wrong.npz") } })
  })

  test("statistics merged into safetensors are a reference like those in .npz", async () => {
    await adafm(["metrics", "merge", at("1.npz"), at("2.npz"), at("3.npz"), "--out", at("m.safetensors")])
    const of = async (file: string) =>
      score((await adafm(["evaluate", at("red"), "--reference", at(file), "--json"])).json()).value as number
    expect(await of("m.safetensors")).toBeCloseTo(await of("m.npz"), 6)
  })

  test("features of a network that is not built in ask for its file", async () => {
    const g = Graph.builder()
    const x = g.input("pixels", "float32", [{ param: "N" }, 3, 4, 4])
    g.output("embedding", g.op("GlobalAveragePool", [x]), "float32", [{ param: "N" }, 3, 1, 1])
    await writeFile(at("own.onnx"), Graph.encode(g.graph()))
    await writeFile(at("own.json"), "{}")
    const own = ["--extractor", at("own.onnx"), "--json"]
    expect((await adafm(["features", at("plain"), "--out", at("own.safetensors"), ...own])).code).toBe(0)
    const args = ["evaluate", at("red"), "--reference", at("own.safetensors")]
    const bare = await adafm([...args, "--json"])
    expect([bare.code, bare.json()]).toMatchObject([
      1,
      {
        error: {
          _tag: "MissingExtractor",
          message: expect.stringMatching(/were made by own, .*give its \.onnx file with --extractor/),
        },
      },
    ])
    expect((await adafm([...args, ...own])).json()).toMatchObject({ metrics: { fid: { counts: { a: 12, b: 14 } } } })
  })

  test("--count takes the same images of features as of their folder; fewer are a warning", async () => {
    await adafm(["features", at("plain"), "--out", at("plain.safetensors"), ...embedded])
    const of = async (reference: string, count: string) =>
      score((await adafm(["evaluate", at("red"), "--reference", at(reference), "--count", count, ...embedded])).json())
    const [folder, features] = [await of("plain", "5"), await of("plain.safetensors", "5")]
    expect(features).toMatchObject({ counts: { a: 5, b: 5 } })
    expect(features.value).toBeCloseTo(folder.value as number, 3)
    expect(await of("plain.safetensors", "13")).toMatchObject({ counts: { a: 12, b: 13 } })
    for (const reference of ["plain.safetensors", "whole.npz"])
      expect((await of(reference, "20")).warnings).toContain(`20 images were requested, but ${at("plain")} has 14`)
  })

  test("drawn pictures work like other images", async () => {
    const drawn = "drawn:flowers?count=12&size=16"
    const made = await adafm(["features", drawn, "--out", at("drawn.safetensors"), ...embedded])
    const stats = await adafm(["metrics", "stats", drawn, "--out", at("drawn.npz"), ...embedded])
    for (const { json } of [made, stats]) expect(json()).toMatchObject({ count: 12 })
    const scored = await adafm(["evaluate", drawn, "--reference", at("drawn.safetensors"), ...embedded])
    expect(score(scored.json()).value).toBeCloseTo(0, 3)
  })

  test.each([
    { args: ["--k", "9"], message: "--k belongs to --metrics prdc" },
    {
      args: ["--weights", "w.safetensors"],
      message: "--weights is for the inception extractors; embedded has its own weights",
    },
  ])("$args, which would have no effect, is a wrong argument", async ({ args, message }) => {
    const ran = await adafm(["evaluate", at("red"), "--reference", at("plain"), ...args, ...embedded])
    expect([ran.code, ran.json()]).toEqual([2, { error: { _tag: "BadArguments", message } }])
  })

  test("an empty folder and a single image are refused", async () => {
    const empty = await adafm(["evaluate", at("cache"), "--reference", at("red"), ...embedded])
    expect(empty.code).toBe(1)
    await folder("one", 1, 0)
    const one = await adafm(["evaluate", at("one"), "--reference", at("red"), ...embedded])
    expect(one.json()).toMatchObject({ error: { _tag: "TooFewImages", file: at("one") } })
  })
})
