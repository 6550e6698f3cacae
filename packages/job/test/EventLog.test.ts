import { spawnSync } from "node:child_process"
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Leaf } from "@adafm/core"
import { Drawn } from "@adafm/data"
import { Engines } from "@adafm/engine"
import { Gan, ModelFolder } from "@adafm/gan"
import { afterAll, beforeAll, expect, test } from "vitest"
import * as Transfer from "../src/verbs/Transfer.ts"

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-events-"))
  const gan = Gan.of(Gan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, nf_max: 4, z_dim: 4 }))
  const networks = {
    generator: Leaf.initAll(gan.generator, 0, "generator"),
    discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
  }
  await Failure.orThrow(ModelFolder.write(join(folder, "source"), ModelFolder.describe(gan), networks))
  const engine = await Engines.open({ threads: 1 })
  for (const steps of [2, 12])
    await Failure.orThrow(
      Transfer.run(
        {
          source: join(folder, "source"),
          data: Drawn.flowers({ size: 16, count: 8, seed: 0 }).path,
          out: join(folder, "run"),
          surgery: { recipe: "g2d1", unfreezeAt: 1 },
          steps,
          every: steps,
          batch: 4,
          seed: 1,
          scoreCount: 4,
          extractor: "embedded",
          tensorboard: true,
        },
        engine,
      ),
    )
})
afterAll(() => rm(folder, { recursive: true }))

test("a run and its continuation write an event file each, with short tags and the labels as titles", async () => {
  const names = (await readdir(join(folder, "run"))).filter((name) => name.startsWith("events.out.tfevents.")).sort()
  expect(names).toHaveLength(2)
  const texts = await Promise.all(names.map((name) => readFile(join(folder, "run", name), "latin1")))
  for (const text of texts)
    for (const part of ["brain.Event:2", "training/g_loss", "scores/fid", "FID (embedded", "samples", "PNG"])
      expect(text).toContain(part)
  const { scored } = { scored: (await readFile(join(folder, "run", "metric.jsonl"), "utf8")).trimEnd().split("\n") }
  for (const line of scored) {
    const { labels, ...values } = JSON.parse(line) as { labels: Record<string, string> }
    expect(Object.keys(labels)).toEqual(["fid", "kid"])
    expect(values).toMatchObject({ fid: expect.any(Number), kid: expect.any(Number) })
    expect(labels.kid).toMatch(/^KID \(embedded/)
  }
})

/** Prints what TensorBoard itself reads: tag → steps. */
const READER = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
acc = EventAccumulator(sys.argv[1], size_guidance={"tensors": 0, "images": 0, "scalars": 0}); acc.Reload()
tags = acc.Tags()
print(json.dumps({"scalars": {t: [e.step for e in acc.Scalars(t)] for t in tags["scalars"]},
  "images": {t: [[e.step, e.width] for e in acc.Images(t)] for t in tags["images"]}}))`
const python = process.env.ADAFM_TENSORBOARD_PYTHON ?? "python3"
const hasTensorBoard = spawnSync(python, ["-c", "import tensorboard"]).status === 0
if (!hasTensorBoard) console.warn("skipped: no Python with TensorBoard (pip install tensorboard)")

test.skipIf(!hasTensorBoard)("TensorBoard itself reads both files as one run, each step once", () => {
  const { stdout, stderr } = spawnSync(python, ["-c", READER, join(folder, "run")], { encoding: "utf8" })
  expect(stdout, stderr).not.toBe("")
  const { scalars, images } = JSON.parse(stdout) as {
    scalars: Record<string, number[]>
    images: Record<string, [number, number][]>
  }
  expect(scalars["scores/fid"]).toEqual([0, 2, 12])
  expect(scalars["training/g_loss"]).toEqual([1, 3, 10])
  expect(images.samples!.map(([step]) => step)).toEqual([0, 2, 12])
  expect(images.samples![0]![1]).toBeGreaterThan(16)
})
