/** A FastGAN from nothing to a transfer with AdaFM: its own loss, optimiser and penalty, and runs that resume to the bit. */
import { createHash } from "node:crypto"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, NdArray } from "@adafm/core"
import { Drawn } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { Engines } from "@adafm/engine"
import { FastGan, ModelFolder, RunFolder } from "@adafm/gan"
import { afterAll, beforeAll, expect, test } from "vitest"
import { RunConfig } from "../src/run/RunConfig.ts"
import * as Pretrain from "../src/verbs/Pretrain.ts"
import * as Transfer from "../src/verbs/Transfer.ts"

let folder = ""
let engine: Engine.Engine
const at = (name: string): string => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-fastgan-"))
  engine = await Engines.open({ threads: 1 })
})
afterAll(() => rm(folder, { recursive: true }))

const common = () => ({
  data: Drawn.flowers({ size: 32, count: 8, seed: 0 }).path,
  batch: 2,
  seed: 1,
  scoreCount: 0,
  scoreStart: false,
})

const hash = async (out: string, step: number): Promise<string> => {
  const state = await Failure.orThrow(RunFolder.readCheckpoint(at(out), step))
  const digest = createHash("sha256")
  for (const path of Object.keys(state).sort()) digest.update(path).update(NdArray.toBytes(state[path]!))
  return digest.digest("hex")
}

test("is trained by its authors' settings, and a transfer of it continues with them", async () => {
  const config = FastGan.Config.parse({ architecture: "fastgan", resolution: 32, ngf: 2, ndf: 2, decoder: 1, z_dim: 4 })
  await Failure.orThrow(Pretrain.run({ ...common(), out: at("source"), config, steps: 1, every: 1 }, engine))
  const transfer = (out: string, steps: number): Promise<Transfer.Outcome> =>
    Failure.orThrow(
      Transfer.run(
        {
          ...common(),
          source: at("source"),
          out: at(out),
          surgery: { recipe: "g2d1-adafm", unfreezeAt: 0 },
          steps,
          every: 2,
        },
        engine,
      ),
    )
  await transfer("whole", 2)
  await transfer("parts", 1)
  await transfer("parts", 2)
  expect(await hash("parts", 2)).toBe(await hash("whole", 2))
  for (const out of ["source", "whole"]) {
    const run = await Failure.orThrow(ModelFolder.readJson(RunConfig, at(`${out}/config.json`)))
    expect(run, out).toMatchObject({
      batch: 2,
      learningRate: { generator: 2e-4, discriminator: 2e-4 },
      betas: [0.5, 0.999],
      penalty: { mode: "none" },
      loss: { kind: "hinge" },
      augment: ["color", "translation"],
    })
  }
  const [before, after] = [
    await Failure.orThrow(RunFolder.readCheckpoint(at("source"), 1)),
    await Failure.orThrow(RunFolder.readCheckpoint(at("whole"), 2)),
  ]
  // frozen, trained, modulated
  expect(after["generator/to_big.weight"]).toEqual(before["generator_ema/to_big.weight"])
  expect(after["generator/feat_8.1.weight"]).not.toEqual(before["generator_ema/feat_8.1.weight"])
  expect(after["generator/feat_32.1.weight"]).toEqual(before["generator_ema/feat_32.1.weight"])
  expect(after["generator/feat_32.1.adafm.gamma"]!.data.some((v) => v !== 1)).toBe(true)
}, 600_000)
