/**
 * `pnpm bench:metrics [extraction|fid|sets] [images] [weights folder]`: the time of extraction, FID, KID and PRDC at published
 * sizes; all three parts by default. With `ADAFM_BENCH_TORCH=python3` (a Python with PyTorch) the same graph also runs in PyTorch
 * on two threads, and with `ADAFM_BENCH_SCIPY=python3` SciPy's `sqrtm` takes the same covariances. The ratios are ours over theirs
 * in one run: below 1, ours is faster.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { cpus, loadavg, tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Flat, NdArray, Rng, Safetensors } from "@adafm/core"
import { ImageSet } from "@adafm/data"
import {
  Embedded,
  Extractor,
  FeatureSet,
  Fid,
  GaussianStats,
  Inception,
  InceptionWeights,
  Kid,
  Matrix,
  Prdc,
  StatisticsNpz,
} from "../src/index.ts"
import * as Torch from "./torch.ts"

const THREADS = 2
const BATCH = 8

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}
const print = (what: string, value: string): void => console.log(`${what.padEnd(52)} ${value}`)
const memory = (): string => `${(process.resourceUsage().maxRSS / 1024 / 1024).toFixed(2)} GB at most so far`

/** Features with a decaying spectrum. */
const made = (n: number, d: number, seed: number): Matrix.Matrix => {
  const x = Matrix.of(Rng.normal(Rng.at(seed, "bench"), [n, d]))
  for (let i = 0; i < x.data.length; i++) x.data[i]! /= 1 + (i % d) / 20
  return x
}

/** Images of the timed run, and of the warm-up: enough for worker threads to be used. */
const [IMAGES, WARM] = [320, 64]

const extraction = async (images: string, folder: string): Promise<void> => {
  const best = Extractor.best({ folders: [folder] })
  for (const name of new Set([best, Embedded.NAME])) {
    const options = { name, folders: [folder], threads: THREADS }
    const set = await Failure.orThrow(ImageSet.open(images))
    const network = await Failure.orThrow(Extractor.open(options))
    const source: FeatureSet.Source = { kind: "images", set }
    const { preprocessing, ...plain } = network
    await preprocessing?.ready()
    for (const warm of [network, plain]) await Failure.orThrow(FeatureSet.of(source, warm, { count: WARM }))
    const batch = NdArray.zeros("float32", [BATCH, 3, ...network.size])
    const bare = async (): Promise<number> => {
      let least = Number.POSITIVE_INFINITY
      for (let k = 0; k < 3; k++) least = Math.min(least, (await seconds(() => network.run(batch))) / BATCH)
      return least
    }
    const before = await bare()
    const [threaded, alone] = [
      (await seconds(() => Failure.orThrow(FeatureSet.of(source, network, { count: IMAGES })))) / IMAGES,
      (await seconds(() => Failure.orThrow(FeatureSet.of(source, plain, { count: IMAGES })))) / IMAGES,
    ]
    const python = process.env.ADAFM_BENCH_TORCH
    const file = Extractor.findWeights(options)
    const torch =
      python !== undefined && file?.endsWith(".safetensors")
        ? Torch.infer(python, await trunk(file, name), THREADS, BATCH)
        : undefined
    const ours = Math.min(before, await bare())
    print(`${name}: the network alone`, `${(1000 * ours).toFixed(1)} ms an image`)
    print(
      "… with decoding and resizing in worker threads",
      `${(1000 * threaded).toFixed(1)} ms, ${(threaded / ours).toFixed(2)}`,
    )
    print(
      "… with decoding and resizing in the same thread",
      `${(1000 * alone).toFixed(1)} ms, ${(alone / ours).toFixed(2)}`,
    )
    if (torch !== undefined)
      print(
        `… over PyTorch ${torch.version}, ${THREADS} threads each`,
        `${(ours / torch.seconds).toFixed(2)} (${(1000 * torch.seconds).toFixed(1)} ms an image)`,
      )
    await network.close()
    await set.close()
  }
}

/** The graph up to the features, which PyTorch runs too. */
const trunk = async (file: string, name: string): Promise<Uint8Array> => {
  const weights = Failure.orThrow(InceptionWeights.fold((await Failure.orThrow(Safetensors.read(file))).tensors))
  const convolutions = Flat.filter(weights, (path) => !path.startsWith("fc."))
  return Failure.orThrow(Inception.model(convolutions, name === "inception" ? 2048 : 768, "fid"))
}

const fid = async (): Promise<void> => {
  const [a, b] = [made(4096, 2048, 1), made(4096, 2048, 2)]
  const [ma, mb] = [GaussianStats.moments(await GaussianStats.of(a)), GaussianStats.moments(await GaussianStats.of(b))]
  const time = await seconds(() => Fid.fromMoments(ma, mb))
  print("FID from two 2048-d statistics", `${time.toFixed(2)} s`)
  const python = process.env.ADAFM_BENCH_SCIPY
  if (python !== undefined) {
    const root = mkdtempSync(join(tmpdir(), "adafm-bench-"))
    await Failure.orThrow(StatisticsNpz.write(join(root, "a.npz"), ma))
    await Failure.orThrow(StatisticsNpz.write(join(root, "b.npz"), mb))
    const scipy = Torch.root(python, join(root, "a.npz"), join(root, "b.npz"))
    print(
      `… over sqrtm of SciPy ${scipy.version}`,
      `${(time / scipy.seconds).toFixed(2)} (${scipy.seconds.toFixed(2)} s)`,
    )
    rmSync(root, { recursive: true })
  }
  const few = [made(500, 768, 1), made(500, 768, 2)] as const
  print("FID, 500 + 500 × 768, by singular values", `${(await seconds(() => Fid.fromFeatures(...few))).toFixed(2)} s`)
  const interval = await seconds(() => Fid.bootstrap(...few, { resamples: 10 }))
  print("… one resample of its bootstrap", `${(interval / 10).toFixed(2)} s`)
  const resampled = await seconds(async () => [await Kid.unbiased(...few), await Kid.bootstrap(...few)])
  print("KID, 500 + 500 × 768, with 200 resamples", `${resampled.toFixed(2)} s`)
}

const sets = async (): Promise<void> => {
  const many = [made(10_000, 2048, 3), made(10_000, 2048, 4)] as const
  print("KID, 10,000 + 10,000 × 2048", `${(await seconds(() => Kid.unbiased(...many))).toFixed(2)} s, ${memory()}`)
  print("PRDC, 10,000 + 10,000 × 2048", `${(await seconds(() => Prdc.of(...many))).toFixed(2)} s, ${memory()}`)
}

console.log(`${cpus().length} × ${cpus()[0]?.model}, load ${loadavg()[0]!.toFixed(1)}, Node ${process.versions.node}`)

const PARTS = ["extraction", "fid", "sets"] as const
const args = process.argv.slice(2)
const part = PARTS.find((name) => name === args[0])
const [images = "../shared/data/flowers/flowers.zip", folder = "../shared/data/inception"] =
  part === undefined ? args : args.slice(1)
if (part === undefined || part === "extraction") await extraction(images, folder)
if (part === undefined || part === "fid") await fid()
if (part === undefined || part === "sets") await sets()
