import { mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, NdArray, Rng } from "@adafm/core"
import { Image, ImageSet } from "@adafm/data"
import { Graph } from "@adafm/onnx"
import * as E from "fp-ts/lib/Either.js"
import type * as TE from "fp-ts/lib/TaskEither.js"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Comparison from "../src/Comparison.ts"
import * as Embedded from "../src/extractors/Embedded.ts"
import * as Extractor from "../src/extractors/Extractor.ts"
import * as FeatureSet from "../src/FeatureSet.ts"
import * as FeatureFile from "../src/files/FeatureFile.ts"
import * as StatisticsNpz from "../src/files/StatisticsNpz.ts"
import * as GaussianStats from "../src/scores/GaussianStats.ts"

const left = async (task: TE.TaskEither<Failure.Failure, unknown>): Promise<Failure.Failure> => {
  const either = await task()
  if (E.isRight(either)) throw new Error("expected a failure")
  return either.left
}

let root = ""
let network: Extractor.Extractor
/** `[n, 3, 16, 16]` noise around a colour. */
const pictures = (n: number, seed: number, red = 0): NdArray.NdArray<"float32"> => {
  const noise = Rng.normal(Rng.at(seed, "test/pictures"), [n, 3, 16, 16], 0, 0.3)
  return { ...noise, data: noise.data.map((v, at) => v + (Math.floor(at / 256) % 3 === 0 ? red : 0)) }
}
const batches = (n: number, seed: number, red = 0): FeatureSet.Source => ({
  kind: "batches",
  name: `noise ${seed}`,
  batches: [pictures(n, seed, red)],
})
const folder = async (name: string, n: number, seed: number): Promise<string> => {
  await mkdir(join(root, name))
  for (const [i, image] of Image.fromNchw(pictures(n, seed)).entries())
    await Failure.orThrow(Image.writePng(join(root, name, `${String(i).padStart(3, "0")}.png`), image))
  return join(root, name)
}
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "adafm-evaluate-"))
  network = await Failure.orThrow(Extractor.open({ name: "embedded" }))
})
afterAll(async () => {
  await network.close()
  await rm(root, { recursive: true, force: true })
})

describe("scores", () => {
  test("are smaller for nearer images, and carry everything that determines them", async () => {
    const metrics = ["fid", "kid", "prdc", "memorisation", "diversity", "fid-infinity"] as const
    const options = { b: batches(60, 1), extractor: network, metrics, seed: 7, bootstrap: 50 }
    const near = await Failure.orThrow(Comparison.evaluate({ ...options, a: batches(60, 2) }))
    const far = await Failure.orThrow(Comparison.evaluate({ ...options, b: batches(60, 1), a: batches(60, 3, 0.5) }))
    for (const metric of ["fid", "kid", "fid-infinity"])
      expect(far.metrics[metric]!.value).toBeGreaterThan(near.metrics[metric]!.value as number)
    expect(far.metrics.prdc!.precision).toBeLessThan(near.metrics.prdc!.precision as number)
    expect(near.metrics.memorisation!.value).toBeGreaterThan(0.8)
    expect(near.metrics.fid).toMatchObject({
      mode: "pytorch-fid",
      counts: { a: 60, b: 60 },
      seed: 7,
      extractor: { name: "embedded", comparable: false, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      images: { a: { path: "noise 2", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) } },
      versions: { node: process.versions.node },
    })
    expect(near.metrics.fid!.label).toContain("not comparable")
    expect(near.warnings.join()).toContain("60 images for 128 dimensions")
    expect(JSON.parse(JSON.stringify(near))).toEqual(near)
  })

  describe("images of different sizes", () => {
    const set = async (name: string, sizes: readonly number[]): Promise<FeatureSet.Source> => {
      await mkdir(join(root, name))
      for (const [i, size] of sizes.entries()) {
        const image = NdArray.make("uint8", [size, size + 3, 3], new Uint8Array(size * (size + 3) * 3).fill(40 * i))
        await Failure.orThrow(Image.writePng(join(root, name, `${i}.png`), image))
      }
      return { kind: "images", set: await Failure.orThrow(ImageSet.open(join(root, name))) }
    }
    const warned = async (a: FeatureSet.Source, b: FeatureSet.Source, size?: number): Promise<string> => {
      const options = {
        extractor: network,
        metrics: ["fid"],
        bootstrap: 0,
        ...(size !== undefined && { size }),
      } as const
      return (await Failure.orThrow(Comparison.evaluate({ ...options, a, b }))).warnings.join("; ")
    }

    test("are named with the size that brings all to one, and not if the score does so", async () => {
      const [small, large] = [await set("small", [8, 8, 8]), await set("large", [24, 24, 24])]
      const mixed = await set("mixed", [8, 24, 8])
      expect(await warned(small, large)).toContain(
        `shorter side 8 px in ${join(root, "small")}, 24 px in ${join(root, "large")}), and the score depends on them: --size 8`,
      )
      expect(await warned(mixed, large)).toContain(`8 to 24 px in ${join(root, "mixed")}`)
      expect(await warned(mixed, mixed)).toContain("8 to 24 px")
      for (const [a, b, size] of [
        [small, small, undefined],
        [small, large, 8],
        [mixed, large, 8],
      ] as const)
        expect(await warned(a, b, size)).not.toContain("different sizes")
    })

    test("are known from files of features and statistics too", async () => {
      const [small, large] = [await set("small-kept", [8, 8, 8]), await set("large-kept", [24, 24])]
      const features = join(root, "sizes.safetensors")
      const statistics = join(root, "sizes.npz")
      await Failure.orThrow(FeatureFile.writeFeatures(features, await Failure.orThrow(FeatureSet.of(large, network))))
      await Failure.orThrow(
        FeatureFile.writeSummary(statistics, await Failure.orThrow(FeatureSet.summary(large, network))),
      )
      const options = { a: small, extractor: network, metrics: ["fid"], bootstrap: 0 } as const
      for (const b of [
        await Failure.orThrow(FeatureFile.readFeatures(features)),
        await Failure.orThrow(FeatureFile.readMoments(statistics)),
      ])
        expect((await Failure.orThrow(Comparison.evaluate({ ...options, b }))).warnings.join()).toContain("--size 8")
    })
  })

  test("copies of training images are detected", async () => {
    const report = await Failure.orThrow(
      Comparison.evaluate({
        a: batches(30, 1),
        b: batches(30, 1),
        extractor: network,
        metrics: ["memorisation", "fid"],
      }),
    )
    expect(report.metrics.memorisation!.value).toBeLessThan(1e-3)
    expect(Math.abs(report.metrics.fid!.value as number)).toBeLessThan(1e-6)
    expect(report.metrics.kid, "added to FID if there are few images").toBeDefined()
  })

  test("of a reference with doubles count each picture once and say so; of one picture only there is no distance", async () => {
    const picture = pictures(12, 1)
    const memorised = (b: FeatureSet.Source) =>
      Comparison.evaluate({ a: batches(12, 2), b, extractor: network, metrics: ["memorisation"] })()
    const named = (...all: (typeof picture)[]): FeatureSet.Source => ({
      kind: "batches",
      name: "reference",
      batches: all,
    })
    const once = await memorised(named(picture))
    const twice = await memorised(named(picture, picture))
    expect(twice).toMatchObject({
      right: { warnings: expect.arrayContaining([expect.stringMatching(/^12 of 24 reference images repeat another/)]) },
    })
    const ratio = (report: typeof once) => (E.isRight(report) ? report.right.metrics.memorisation!.value : undefined)
    expect(ratio(twice)).toBeCloseTo(ratio(once) as number, 6)
    const all = Array.from({ length: 3 }, () => picture)
    const precision = Comparison.evaluate({
      a: batches(12, 2),
      b: named(...all),
      extractor: network,
      metrics: ["prdc"],
      k: 2,
    })
    expect((await Failure.orThrow(precision)).warnings).toContainEqual(
      expect.stringMatching(/^36 of 36 images in reference have 2 or more equal ones/),
    )
    expect(await memorised(named(pictures(1, 1), pictures(1, 1)))).toMatchObject({
      left: { _tag: "TooFewImages", file: "reference", message: expect.stringContaining("the same picture") },
    })
  })

  test.each(["fid", "fid-infinity", "kid", "prdc", "memorisation", "diversity"] as const)(
    "%s of features of 1e30 is a failure that names the side",
    async (metric) => {
      const a = await Failure.orThrow(FeatureSet.of(batches(20, 1), network))
      const b = {
        ...a,
        origin: { ...a.origin, path: "huge" },
        matrix: { ...a.matrix, data: a.matrix.data.map((v) => v * 1e30) },
      }
      expect(await Comparison.scores(a, b, { metrics: [metric] })()).toMatchObject({
        left: { _tag: "BadFeatures", file: "huge" },
      })
    },
  )

  test("a folder of PNGs and the same images as batches have equal features, because batches are quantised first", async () => {
    const set = await Failure.orThrow(ImageSet.open(await folder("same", 12, 5)))
    const a = await Failure.orThrow(FeatureSet.of({ kind: "images", set }, network))
    const b = await Failure.orThrow(FeatureSet.of(batches(12, 5), network))
    expect(a.matrix).toEqual(b.matrix)
  })

  test("count selects a seeded subset of a set, the first images of batches; a set with fewer images gets a warning", async () => {
    const set = await Failure.orThrow(ImageSet.open(await folder("count", 12, 5)))
    const of = (seed: number, count = 5) =>
      Failure.orThrow(FeatureSet.of({ kind: "images", set }, network, { count, seed }))
    expect((await of(1)).origin).toEqual((await of(1)).origin)
    expect((await of(1)).origin.sha256).not.toBe((await of(2)).origin.sha256)
    expect((await of(1, 20)).origin.warnings.join()).toContain("20 images were requested, but the set has 12")
    expect((await Failure.orThrow(FeatureSet.of(batches(12, 5), network, { count: 5 }))).matrix.rows).toBe(5)
    expect(await left(FeatureSet.of(batches(3, 5), network, { count: 5 }))).toMatchObject({ _tag: "TooFewImages" })
  })

  test("the authors' reference is made of random whole batches, with flips and dither", async () => {
    const set = await Failure.orThrow(ImageSet.open(await folder("authors", 20, 4)))
    const authors = { ...network, protocol: { ...network.protocol, mode: "authors", batch: 16 } } as const
    const of = (seed: number) =>
      Failure.orThrow(Comparison.reference({ kind: "images", set }, authors, { count: 40, seed }))
    const [a, again, other] = [await of(1), await of(1), await of(2)]
    expect(a.matrix.rows).toBe(32)
    expect(a.origin.count).toBe(32)
    expect(again).toEqual(a)
    expect(other.matrix).not.toEqual(a.matrix)
    expect(
      (await Failure.orThrow(FeatureSet.of({ kind: "images", set }, authors))).matrix.rows,
      "the samples' side",
    ).toBe(16)
  })

  test("statistics in one pass over batches equal those of the features", async () => {
    const summary = await Failure.orThrow(FeatureSet.summary(batches(30, 1), network))
    const { matrix } = await Failure.orThrow(FeatureSet.of(batches(30, 1), network))
    expect(summary.stats).toEqual(await GaussianStats.of(matrix))
  })
})

describe("a folder of many kinds of files", () => {
  const noise = (h: number, w: number, channels: number, seed: number): Image.Rgb =>
    NdArray.make(
      "uint8",
      [h, w, channels],
      Uint8Array.from(Rng.uniform(Rng.at(seed, "test/folder"), [h * w * channels], 0, 256).data),
    )
  test("images of mixed sizes are read; JPEG, transparency, broken images and unsupported formats get warnings", async () => {
    const at = join(root, "mixed")
    for (let i = 0; i < 60; i++)
      await Failure.orThrow(Image.writePng(join(at, `${i}.png`), noise(10 + i, 70 - i, 3, i)))
    await Failure.orThrow(Image.writePng(join(at, "alpha.png"), noise(20, 30, 4, 99)))
    const whole = await Failure.orThrow(Image.png(noise(40, 40, 3, 100)))
    await writeFile(join(at, "a.jpg"), whole)
    await writeFile(join(at, "cut.png"), whole.subarray(0, whole.length / 2))
    await writeFile(join(at, "IMG_1.HEIC"), "not read here")
    const set = await Failure.orThrow(ImageSet.open(at))
    const features = await Failure.orThrow(FeatureSet.of({ kind: "images", set }, network))
    expect(features.matrix.rows).toBe(62)
    expect(features.origin).toMatchObject({ count: 62, broken: 1, sha256: await Failure.orThrow(ImageSet.hash(set)) })
    const said = features.origin.warnings.join("; ")
    for (const part of [
      "JPEG",
      "1 image was transparent and put on a white background",
      "skipped 1 broken image: cut.png",
      "skipped 1 file: IMG_1.HEIC (HEIC is not supported); convert to JPEG first",
    ])
      expect(said).toContain(part)
    const { preprocessing: _, ...alone } = network
    expect((await Failure.orThrow(FeatureSet.of({ kind: "images", set }, alone))).matrix, "in one thread").toEqual(
      features.matrix,
    )
  })
  test("FID alone, of at least as many images as dimensions, is computed from statistics, to the same number", async () => {
    const sides = { a: batches(140, 2), b: batches(150, 1), extractor: network }
    const [passing, kept] = [
      await Failure.orThrow(Comparison.evaluate({ ...sides, count: 130, metrics: ["fid"] })),
      await Failure.orThrow(Comparison.evaluate({ ...sides, count: 130, metrics: ["fid", "kid"] })),
    ]
    const [a, b] = [passing.metrics.fid!, kept.metrics.fid!]
    expect((a.value as number) / (b.value as number)).toBeCloseTo(1, 9)
    expect({ ...a, ...b }).toEqual({
      ...b,
      ...a,
      value: b.value,
      meanTerm: b.meanTerm,
      traceA: b.traceA,
      traceB: b.traceB,
      traceRoot: b.traceRoot,
    })
    expect(Object.keys(a)).toEqual(Object.keys(b))
  })
})

describe("shards and files", () => {
  test("statistics of three shards, written, read and merged, equal one pass", async () => {
    const set = await Failure.orThrow(ImageSet.open(await folder("sharded", 14, 9)))
    const source = { kind: "images", set } as const
    const shards: FeatureSet.Summary[] = []
    for (const index of [0, 1, 2]) {
      const file = join(root, `shard${index}.safetensors`)
      await Failure.orThrow(
        FeatureFile.writeSummary(
          file,
          await Failure.orThrow(FeatureSet.summary(source, network, { shard: { index, of: 3 } })),
        ),
      )
      shards.push(await Failure.orThrow(FeatureFile.readSummary(file)))
    }
    const merged = Failure.orThrow(FeatureFile.merge(shards))
    const whole = await Failure.orThrow(FeatureSet.summary(source, network))
    expect(merged.origin.count).toBe(14)
    for (const [i, v] of merged.stats.scatter.data.entries()) expect(v).toBeCloseTo(whole.stats.scatter.data[i]!, 12)
    for (const [i, v] of merged.stats.mean.entries()) expect(v).toBeCloseTo(whole.stats.mean[i]!, 12)
    const other = await Failure.orThrow(FeatureSet.summary(source, network, { size: 8 }))
    expect(FeatureFile.merge([whole, other])).toMatchObject({ left: { _tag: "DifferentProtocols" } })
  })
  test("features are equal after writing and reading", async () => {
    const features = await Failure.orThrow(FeatureSet.of(batches(6, 1), network, { size: 8 }))
    await Failure.orThrow(FeatureFile.writeFeatures(join(root, "f.safetensors"), features))
    expect(await Failure.orThrow(FeatureFile.readFeatures(join(root, "f.safetensors")))).toEqual(features)
    expect(await left(FeatureFile.readSummary(join(root, "f.safetensors")))).toMatchObject({
      _tag: "BadArchive",
      path: "count",
    })
  })
})

describe("what is refused", () => {
  test("the Inception Score without logits: the message says what is missing", async () => {
    const mute = { ...network, hasLogits: false }
    const failure = await left(
      Comparison.evaluate({ a: batches(12, 1), b: batches(12, 2), extractor: mute, metrics: ["is"] }),
    )
    expect(failure._tag).toBe("NoLogits")
    expect(failure.message).toContain("class logits")
  })
  test("a comparison that is impossible is refused before an image is read", async () => {
    const unread: FeatureSet.Source = {
      kind: "batches",
      name: "unread",
      batches: {
        [Symbol.iterator]: () => {
          throw new Error("it was read")
        },
      },
    }
    const mute = { ...network, hasLogits: false }
    const a = { a: unread, b: unread, extractor: mute, metrics: ["is"] } as const
    expect(await left(Comparison.evaluate(a))).toMatchObject({ _tag: "NoLogits" })
    const { matrix, logits: _, ...provenance } = await Failure.orThrow(FeatureSet.of(batches(8, 1), network))
    const file = { ...GaussianStats.moments(await GaussianStats.of(matrix)), path: "stats.npz", provenance }
    expect(
      await left(Comparison.evaluate({ a: unread, b: file, extractor: network, metrics: ["fid", "kid"] })),
    ).toMatchObject({ _tag: "NeedsImages", file: "stats.npz" })
    expect(
      await left(Comparison.evaluate({ a: unread, b: file, extractor: network, metrics: ["fid"], size: 8 })),
    ).toMatchObject({ _tag: "DifferentProtocols", message: expect.stringContaining("size: 8 against none") })
  })
  test("one image, or fewer images than neighbours", async () => {
    const one = { a: batches(1, 1), b: batches(12, 2), extractor: network }
    for (const metric of ["fid", "kid", "prdc", "diversity"] as const)
      expect(await left(Comparison.evaluate({ ...one, metrics: [metric] }))).toMatchObject({ _tag: "TooFewImages" })
  })
  test("sides made differently", async () => {
    const [a, b] = [
      await Failure.orThrow(FeatureSet.of(batches(8, 1), network)),
      await Failure.orThrow(FeatureSet.of(batches(8, 2), network, { size: 8 })),
    ]
    expect(await left(Comparison.scores(a, b))).toMatchObject({
      _tag: "DifferentProtocols",
      message: expect.stringContaining("size: none against 8"),
    })
  })
  test("a NaN pixel, and a network whose features are not finite", async () => {
    const nan: FeatureSet.Source = {
      kind: "batches",
      name: "nan",
      batches: [NdArray.float32([1, 3, 4, 4], new Float32Array(48).fill(Number.NaN))],
    }
    expect(await left(FeatureSet.of(nan, network))).toMatchObject({ message: "a pixel is NaN", file: "nan" })
    const sick = {
      ...network,
      run: async () => ({ features: NdArray.float32([1, 128], new Float32Array(128).fill(Number.NaN)) }),
    }
    expect(await left(FeatureSet.of(batches(1, 1), sick))).toMatchObject({ _tag: "BadFeatures", file: "noise 1" })
  })
  test("missing weights: the message says what to do", async () => {
    const failure = await left(Extractor.open({ name: "inception", folders: [root] }))
    expect(failure._tag).toBe("MissingWeights")
    expect(failure.message).toContain("run `adafm weights fetch inception`, put inception-2015-12-05.safetensors or")
    expect(failure.message).toContain("pt_inception-2015-12-05-6726825d.pth")
    expect(failure.message, "that file ends before 2048 dimensions").not.toContain("to-mixed6e")
    expect(Extractor.best({ folders: [root] })).toBe("embedded")
    expect(Extractor.best({ weights: join(root, "inception-2015-12-05.safetensors") })).toBe("inception")
    expect(Extractor.best({ weights: join(root, "inception-2015-12-05-to-mixed6e.safetensors") })).toBe("inception-768")
    expect(await left(Extractor.open({ name: "resnet" }))).toMatchObject({ _tag: "UnknownExtractor" })
  })
})

describe("the embedded extractor", () => {
  test("has class logits; their score is named after the extractor", async () => {
    const report = await Failure.orThrow(
      Comparison.evaluate({ a: batches(20, 1), b: batches(20, 2), extractor: network, metrics: ["is"] }),
    )
    expect(Object.keys(report.metrics)).toEqual(["is-embedded"])
    expect(report.metrics["is-embedded"]!.label).toBe("class score of embedded (not comparable)")
    expect(report.metrics["is-embedded"]!.value).toBeGreaterThanOrEqual(1)
  })
  test("runs on the CPU if the provider is not usable, and every score says so", async () => {
    const other = await Failure.orThrow(Extractor.open({ name: "embedded", provider: "no-such-device" }))
    expect(other.provider).toBe("cpu")
    const report = await Failure.orThrow(Comparison.evaluate({ a: batches(8, 1), b: batches(8, 2), extractor: other }))
    expect(report.metrics.fid!.extractor).toMatchObject({ provider: "cpu" })
    expect(report.warnings.join()).toContain("the network ran on cpu, because no-such-device is not usable here")
    await other.close()
  })
  test("is smaller than 700 KB", async () => {
    expect((await stat(Embedded.FILE)).size).toBeLessThan(700_000)
  })
  test("has distances that grow with the noise on smooth pictures", async () => {
    const noisy = (seed: number, level: number): FeatureSet.Source => {
      const smooth = Rng.normal(Rng.at(seed, "test/smooth"), [64, 3, 4, 4], 0, 0.5).data
      const noise = Rng.normal(Rng.at(seed, "test/noise"), [64, 3, 32, 32]).data
      const data = noise.map((v, i) => {
        const [row, column] = [(i >> 5) & 31, i & 31]
        return Math.tanh(smooth[(i >> 10) * 16 + (row >> 3) * 4 + (column >> 3)]! + level * v)
      })
      return { kind: "batches", name: `noise ${level}`, batches: [NdArray.float32([64, 3, 32, 32], data)] }
    }
    const distances: number[] = []
    for (const level of [0.02, 0.1, 0.2, 0.4]) {
      const options = { extractor: network, metrics: ["fid"], bootstrap: 0 } as const
      const report = await Failure.orThrow(Comparison.evaluate({ a: noisy(2, level), b: noisy(1, 0), ...options }))
      distances.push(report.metrics.fid!.value as number)
    }
    expect(distances).toEqual(distances.toSorted((x, y) => x - y))
  })
})

describe("a user's model", () => {
  /** Mean colour of a 4×4 picture. */
  const write = async (
    name: string,
    declaration?: unknown,
    batch: number | Graph.Dim = { param: "N" },
  ): Promise<string> => {
    const g = Graph.builder()
    const x = g.input("pixels", "float32", [batch, 3, 4, 4])
    g.output("embedding", g.op("GlobalAveragePool", [x]), "float32", [batch, 3, 1, 1])
    await writeFile(join(root, `${name}.onnx`), Graph.encode(g.graph()))
    if (declaration !== undefined) await writeFile(join(root, `${name}.json`), JSON.stringify(declaration))
    return join(root, `${name}.onnx`)
  }
  const plain = { mean: [0, 0, 0], std: [1, 1, 1] }
  test.each([
    {
      name: "with a free batch and everything declared",
      batch: { param: "N" },
      declaration: { size: 4, dims: 3, ...plain },
    },
    { name: "for one image at a time, with the size from the graph", batch: 1, declaration: plain },
    { name: "for five images at a time", batch: 5, declaration: plain },
  ])("is an .onnx $name", async ({ batch, declaration }) => {
    const own = await Failure.orThrow(Extractor.open({ name: await write("own", declaration, batch) }))
    const images = NdArray.make(
      "uint8",
      [7, 3, 4, 4],
      Uint8Array.from({ length: 7 * 48 }, (_, i) => 5 * Math.floor(i / 16)),
    )
    const { matrix, extractor, resize } = await Failure.orThrow(
      FeatureSet.of({ kind: "batches", name: "x", batches: [images] }, own),
    )
    for (const [i, v] of matrix.data.entries()) expect(v).toBeCloseTo((5 * i) / 255, 6)
    expect([matrix.rows, matrix.cols]).toEqual([7, 3])
    expect(extractor).toMatchObject({ name: "own", dims: 3, comparable: true, provider: "cpu" })
    expect(resize).toContain("to 4 × 4")
    await own.close()
  })
  test.each([
    {
      name: "without a declaration",
      declaration: undefined,
      message: "absent.json must declare how images become the input",
    },
    { name: "of no size", declaration: { size: 0 }, message: "size" },
    { name: "of another size than the graph's", declaration: { size: 8 }, message: "8 × 8, but the graph's is 4 × 4" },
    {
      name: "of other dimensions",
      declaration: { dims: 5 },
      message: "5 dimensions are declared, but the output embedding has 3",
    },
    {
      name: "of an output that the graph lacks",
      declaration: { output: "pool" },
      message: "the graph has no output pool, only embedding",
    },
  ])("$name is refused", async ({ declaration, message }) => {
    const name = declaration === undefined ? "absent" : "wrong"
    expect(await left(Extractor.open({ name: await write(name, declaration) }))).toMatchObject({
      _tag: "BadExtractor",
      message: expect.stringContaining(message),
    })
  })
})

describe("statistics from a file", () => {
  const npz = async (): Promise<StatisticsNpz.Npz> => {
    const { matrix, logits: _, ...provenance } = await Failure.orThrow(FeatureSet.of(batches(60, 1), network))
    return { ...GaussianStats.moments(await GaussianStats.of(matrix)), provenance }
  }
  test("written and read again give the same FID as the images", async () => {
    await Failure.orThrow(StatisticsNpz.write(join(root, "stats.npz"), await npz()))
    const [a, b] = [
      await Failure.orThrow(FeatureSet.of(batches(60, 2), network)),
      await Failure.orThrow(FeatureSet.of(batches(60, 1), network)),
    ]
    const read = await Failure.orThrow(FeatureFile.readMoments(join(root, "stats.npz")))
    const [viaFile, direct] = [
      await Failure.orThrow(Comparison.scores(a, read, { metrics: ["fid"] })),
      await Failure.orThrow(Comparison.scores(a, b, { metrics: ["fid"] })),
    ]
    expect(viaFile.metrics.fid!.value).toBeCloseTo(direct.metrics.fid!.value as number, 6)
    expect(await left(Comparison.scores(a, read, { metrics: ["kid"] }))).toMatchObject({ _tag: "NeedsImages" })
    const small = await Failure.orThrow(FeatureSet.of(batches(8, 2), network, { size: 8 }))
    expect(await left(Comparison.scores(small, read, { metrics: ["fid"] }))).toMatchObject({
      _tag: "DifferentProtocols",
    })
  })
  test("of another dimension are refused", async () => {
    const a = await Failure.orThrow(FeatureSet.of(batches(8, 1), network))
    const two = {
      path: "two.npz",
      mean: new Float64Array(2),
      covariance: { rows: 2, cols: 2, data: new Float64Array(4) },
    }
    expect(await left(Comparison.scores(a, two, { metrics: ["fid"] }))).toMatchObject({
      _tag: "BadNpz",
      file: "two.npz",
    })
  })
})
