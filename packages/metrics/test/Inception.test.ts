import { readFileSync } from "node:fs"
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, NdArray, Rng, Safetensors } from "@adafm/core"
import { ImageSet } from "@adafm/data"
import { Close, Shared } from "@adafm/testkit"
import { describe, expect, test } from "vitest"
import * as Comparison from "../src/Comparison.ts"
import * as Extractor from "../src/extractors/Extractor.ts"
import * as FeatureSet from "../src/FeatureSet.ts"
import * as Matrix from "../src/linalg/Matrix.ts"
import * as Fid from "../src/scores/Fid.ts"
import * as Kid from "../src/scores/Kid.ts"

/** Of an image's feature vector, relative to its length. */
const TOLERANCE = 1e-5

const [WEIGHTS, EXPECTED, FLOWERS, FEATURES, FID] = [
  "data/inception/inception-2015-12-05-to-mixed6e.safetensors",
  "data/inception/flowers160-features.expected.safetensors",
  "data/flowers/flowers.zip",
  "data/inception/daisy-roses-600-features.safetensors",
  "data/inception/fid.expected.json",
]

describe.skipIf(Shared.missing(WEIGHTS, EXPECTED, FLOWERS, FEATURES, FID))("features of 32 photographs", () => {
  const extractor = (dims: number) =>
    Failure.orThrow(Extractor.open({ name: `inception-${dims}`, folders: [Shared.path("data/inception")!] }))

  test.each([64, 192, 768] as const)("at %d dimensions within 1e-4 relative of PyTorch", async (dims) => {
    const { tensors, metadata } = await Failure.orThrow(Safetensors.read(Shared.path(EXPECTED)!))
    const all = await Failure.orThrow(ImageSet.open(Shared.path(FLOWERS)!))
    const names = JSON.parse(metadata.names!) as readonly string[]
    const set = ImageSet.pick(
      all,
      names.map((name) => all.names.indexOf(name)),
    )
    const network = await extractor(dims)
    const got = await Failure.orThrow(FeatureSet.of({ kind: "images", set }, network))
    const want = Matrix.of(tensors[`features.${dims}`] as NdArray.NdArray<"float32">)
    expect([got.matrix.rows, got.matrix.cols]).toEqual([32, dims])
    // relative to the length of an image's feature vector, and for each element relative to the largest feature
    for (let i = 0; i < 32; i++) {
      const [a, b] = [got.matrix, want].map((m) => m.data.subarray(i * dims, (i + 1) * dims)) as [
        Float64Array,
        Float64Array,
      ]
      const error = Math.sqrt(a.reduce((s, v, k) => s + (v - b[k]!) ** 2, 0) / b.reduce((s, v) => s + v * v, 0))
      expect(error).toBeLessThan(TOLERANCE)
    }
    const largest = want.data.reduce((m, v) => Math.max(m, Math.abs(v)), 0)
    expect(got.matrix.data.reduce((m, v, k) => Math.max(m, Math.abs(v - want.data[k]!)), 0) / largest).toBeLessThan(
      1e-4,
    )
    const halves = [0, 16].map((from) =>
      Matrix.rows(
        got.matrix,
        Array.from({ length: 16 }, (_, i) => from + i),
      ),
    ) as [Matrix.Matrix, Matrix.Matrix]
    const fid = { 64: 7.333044047137459, 192: 35.822765852213635, 768: 1.9233483818264505 }[dims] // fid.expected.json
    expect((await Fid.fromFeatures(...halves)).value / fid).toBeCloseTo(1, 3)
    await network.close()
    await all.close()
  })

  /** `mistakes` of fid.expected.json: the median relative change of the features by each of ten wrong implementations. */
  test("the tolerance of these features is far below the change by any of the ten known mistakes", () => {
    const { mistakes } = JSON.parse(readFileSync(Shared.path(FID)!, "utf8")) as {
      readonly mistakes: Readonly<Record<string, string | Readonly<Record<"64" | "192" | "768", number>>>>
    }
    const changes = Object.values(mistakes).flatMap((change) => (typeof change === "string" ? [] : [change["768"]]))
    expect(changes).toHaveLength(10)
    expect(Math.min(...changes)).toBeGreaterThan(1000 * TOLERANCE)
  })

  test("300 daisies and 300 roses from their JPEGs: features, FID and KID of the reference", {
    timeout: 1_200_000,
  }, async () => {
    const network = await extractor(768)
    const all = await Failure.orThrow(ImageSet.open(Shared.path(FLOWERS)!))
    const { tensors } = await Failure.orThrow(Safetensors.read(Shared.path(FEATURES)!))
    const side = async (kind: string): Promise<FeatureSet.Features> => {
      const places = all.names.flatMap((name, i) => (name.startsWith(`${kind}/`) ? [i] : [])).slice(0, 300)
      return Failure.orThrow(FeatureSet.of({ kind: "images", set: ImageSet.pick(all, places) }, network))
    }
    const [daisy, roses] = [await side("daisy"), await side("roses")]
    for (const [kind, { matrix }] of [
      ["daisy", daisy],
      ["roses", roses],
    ] as const)
      expect(Close.relative(matrix.data, NdArray.toFloat64(tensors[`${kind}.768`]!).data), kind).toBeLessThan(1e-4)
    const golden = JSON.parse(readFileSync(Shared.path(FID)!, "utf8")).flowers160.daisy_vs_roses["768"]
    const { metrics } = await Failure.orThrow(
      Comparison.scores(daisy, roses, { metrics: ["fid", "kid"], bootstrap: 0 }),
    )
    const blocks = await Kid.blocks(daisy.matrix, roses.matrix, golden.kid.block)
    for (const [got, want] of [
      [metrics.fid!.value as number, golden.fid],
      [metrics.kid!.value as number, golden.mmd2_unbiased],
      [blocks.mean, golden.kid.mean],
      [blocks.deviation, golden.kid.std_population],
    ])
      expect(Math.abs(got / want - 1)).toBeLessThan(1e-3)
    console.info(
      `300 + 300: FID ${metrics.fid!.value} of ${golden.fid}, KID ${metrics.kid!.value} of ${golden.mmd2_unbiased}`,
    )
    await network.close()
    await all.close()
  })

  test("the graph is built once and kept by the hash of the weights; a damaged one is built again", async () => {
    const cache = await mkdtemp(join(tmpdir(), "adafm-graphs-"))
    const options = { name: "inception-64", folders: [Shared.path("data/inception")!], cache }
    const image = NdArray.float32([1, 3, 299, 299], Rng.normal(Rng.at(0, "test/graph"), [3 * 299 * 299]).data)
    const features = async (): Promise<unknown> => {
      const network = await Failure.orThrow(Extractor.open(options))
      const { features } = await network.run(image)
      await network.close()
      return features
    }
    const first = await features()
    const [name, ...others] = await readdir(join(cache, "graphs"))
    expect(others).toEqual([`${name}.sha256`])
    expect(name).toMatch(/^fid-64-v\d+-c6d0188d[0-9a-f]{56}\.onnx$/)
    const file = join(cache, "graphs", name!)
    const { mtimeMs } = await stat(file)
    expect(await features()).toEqual(first)
    expect((await stat(file)).mtimeMs).toBe(mtimeMs)
    await writeFile(file, "no graph")
    expect(await features()).toEqual(first)
    expect((await stat(file)).size).toBeGreaterThan(10_000)
    await rm(cache, { recursive: true })
  })
})
