/**
 * `pnpm bench:metrics [images] [weights folder]`: extraction, FID, KID and PRDC at the sizes that are published, in one run.
 * With `ADAFM_BENCH_PYTHON=python3` the same covariances go through SciPy's `sqrtm` for a ratio.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NdArray, Rng } from "@adafm/core"
import { ImageSet } from "@adafm/data"
import * as E from "fp-ts/lib/Either.js"
import type * as TE from "fp-ts/lib/TaskEither.js"
import { Extractor, Features, Fid, Kid, Matrix, Npz, Prdc, Stats } from "../src/index.ts"

const right = async <A>(task: TE.TaskEither<unknown, A>): Promise<A> => {
  const either = await task()
  if (E.isLeft(either)) throw new Error(JSON.stringify(either.left))
  return either.right
}
const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}
const print = (what: string, value: string): void => console.log(`${what.padEnd(58)} ${value}`)

/** Features with a decaying spectrum. */
const made = (n: number, d: number, seed: number): Matrix.Matrix => {
  const x = Matrix.of(Rng.normal(Rng.at(seed, "bench"), [n, d]))
  for (let i = 0; i < x.data.length; i++) x.data[i]! /= 1 + (i % d) / 20
  return x
}

const [images = "../shared/data/flowers/flowers.zip", folder = "../shared/data/inception"] = process.argv.slice(2)
for (const name of [Extractor.best({ folders: [folder] }), "random-conv"]) {
  const set = await right(ImageSet.open(images))
  const network = await right(Extractor.open({ name, folders: [folder] }))
  const source: Features.Source = { kind: "images", set }
  await right(Features.of(source, network, { count: 16 }))
  const s = await seconds(() => right(Features.of(source, network, { count: 120 })))
  const batch = NdArray.zeros("float32", [8, 3, ...network.size])
  const bare = await seconds(async () => {
    for (let i = 0; i < 15; i++) await network.run(batch)
  })
  print(
    `${name}: decode + resize + network`,
    `${(120 / s).toFixed(1)} images/s, network alone ${(bare / s).toFixed(2)} of it`,
  )
  await network.close()
  await set.close()
}

const [a, b] = [made(4096, 2048, 1), made(4096, 2048, 2)]
const [ma, mb] = [Stats.moments(await Stats.of(a)), Stats.moments(await Stats.of(b))]
const fid = await seconds(() => Fid.fromMoments(ma, mb))
print("FID from two 2048-d statistics", `${fid.toFixed(2)} s`)
const python = process.env.ADAFM_BENCH_PYTHON
if (python !== undefined) {
  const root = mkdtempSync(join(tmpdir(), "adafm-bench-"))
  await right(Npz.write(join(root, "a.npz"), ma))
  await right(Npz.write(join(root, "b.npz"), mb))
  const program =
    "import sys,time,numpy as np;from scipy import linalg;a,b=[np.load(f)['sigma'] for f in sys.argv[1:]];" +
    "t=time.time();linalg.sqrtm(a.dot(b));print(time.time()-t)"
  const scipy = Number(execFileSync(python, ["-c", program, join(root, "a.npz"), join(root, "b.npz")]).toString())
  print("… over SciPy's sqrtm", `${(fid / scipy).toFixed(2)} (${scipy.toFixed(2)} s)`)
  rmSync(root, { recursive: true })
}
const few = [made(500, 768, 1), made(500, 768, 2)] as const
print("FID 500 + 500 images, 768-d, few-image route", `${(await seconds(() => Fid.fromFeatures(...few))).toFixed(2)} s`)
print(
  "KID 500 + 500, 768-d, with 200 resamples",
  `${(await seconds(async () => [await Kid.unbiased(...few), await Kid.bootstrap(...few)])).toFixed(2)} s`,
)
const many = [made(10_000, 2048, 3), made(10_000, 2048, 4)] as const
print("KID 10,000 + 10,000, 2048-d", `${(await seconds(() => Kid.unbiased(...many))).toFixed(2)} s`)
print("PRDC 10,000 + 10,000, 2048-d", `${(await seconds(() => Prdc.of(...many))).toFixed(2)} s`)
print("largest memory", `${(process.resourceUsage().maxRSS / 1024 / 1024).toFixed(2)} GB`)
