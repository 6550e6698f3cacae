import { existsSync } from "node:fs"
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Leaf, NdArray } from "@adafm/core"
import { Drawn } from "@adafm/data"
import { Engines } from "@adafm/engine"
import { Gan, ModelFolder, RunFolder } from "@adafm/gan"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as BestCheckpoint from "../src/run/BestCheckpoint.ts"
import * as Model from "../src/run/Model.ts"
import * as RunCheckpoint from "../src/run/RunCheckpoint.ts"
import type * as Scorer from "../src/run/Scorer.ts"
import * as Report from "../src/verbs/Report.ts"
import * as Transfer from "../src/verbs/Transfer.ts"

let folder = ""
const at = (name: string): string => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-best-"))
})
afterAll(() => rm(folder, { recursive: true }))

const about: Scorer.About = {
  count: 4,
  extractor: "embedded",
  extractorSha256: "e",
  mode: "pytorch-fid",
  size: 16,
  seed: 0,
  referenceSeed: 0,
  reference: "photos",
  referenceSha256: "r",
}
const KID = "KID (embedded)"
const line = (step: number, value: number, more: Partial<Scorer.About> = {}): Scorer.Line => ({
  step,
  [KID]: value,
  // a lower FID must not count where there is a KID
  "FID (embedded)": 1 / (1 + step),
  ...about,
  ...more,
})

/** A run whose checkpoints hold nothing but their step. */
const checkpoint = (run: string, step: number): Promise<void> =>
  Failure.orThrow(
    RunFolder.writeCheckpoint(at(run), step, { "generator/w": NdArray.float32([1], Float32Array.of(step)) }),
  )

/** Opens the keeper of a run with these scores on record. */
const open = (run: string, lines: readonly Scorer.Line[] = [], more: Partial<BestCheckpoint.Options> = {}) =>
  BestCheckpoint.open({
    folder: at(run),
    lines,
    about,
    score: () => Promise.reject(new Error("nothing has to be scored again")),
    ...more,
  })

const stored = async (run: string): Promise<number | undefined> =>
  (await Failure.orThrow(RunFolder.readBest(at(run))))["generator/w"]?.data[0]

describe("the best checkpoint", () => {
  test("is that of the lowest KID, the earlier of two equal ones, and never that of an untrained model", async () => {
    const keeper = await open("kid")
    expect(keeper.best()).toBeUndefined()
    const scores = [
      [0, 0.01],
      [1, 0.5],
      [2, 0.3],
      [3, 0.4],
      [4, 0.3],
    ] as const
    for (const [step, value] of scores) {
      if (step > 0) await checkpoint("kid", step)
      await keeper.consider(line(step, value))
    }
    await keeper.consider({ ...line(5, 0), [KID]: Number.NaN, "FID (embedded)": Number.NaN })
    expect(keeper.best()).toEqual({ step: 2, label: KID, value: 0.3 })
    expect([await stored("kid"), await Failure.orThrow(RunFolder.best(at("kid")))]).toEqual([2, 2])
  })

  test("stays when its own checkpoint is removed, and leaves no other file behind", async () => {
    const keeper = await open("pruned")
    for (const [step, value] of [
      [1, 0.2],
      [2, 0.1],
      [3, 0.3],
    ] as const) {
      await checkpoint("pruned", step)
      await keeper.consider(line(step, value))
      // a second time, as after a kill between the score and its line
      await keeper.consider(line(step, value))
    }
    await Failure.orThrow(RunFolder.keepBest(at("pruned"), 2))
    await Failure.orThrow(RunFolder.prune(at("pruned"), { last: 1 }))
    expect(await stored("pruned")).toBe(2)
    expect(await readdir(at("pruned"))).toEqual(["best.safetensors", "checkpoints"])
    expect(await Failure.orThrow(RunFolder.checkpoints(at("pruned")))).toEqual([3])
  })

  test("is the same after an interruption, and the first one of a run that kept none", async () => {
    for (const step of [1, 2]) await checkpoint("resumed", step)
    const lines = [line(1, 0.2), line(2, 0.3)]
    const [first] = lines
    await (await open("resumed")).consider(first!)
    const again = await open("resumed", lines)
    expect(again.best()).toMatchObject({ step: 1, value: 0.2 })
    await again.consider(lines[1]!)
    expect(await stored("resumed")).toBe(1)

    await checkpoint("older", 2)
    const older = await open("older", lines)
    expect(older.best()).toBeUndefined()
    await older.consider(lines[1]!)
    expect(await stored("older")).toBe(2)
  })

  test("is scored again when scores compare with something else, and does not compete by an old score", async () => {
    for (const step of [1, 2]) await checkpoint("others", step)
    await (await open("others")).consider(line(1, 0.2))
    const now = { ...about, referenceSha256: "other" }
    const keeper = await open("others", [line(1, 0.2)], { about: now, score: async () => line(1, 0.6, now) })
    expect(keeper.best()).toMatchObject({ step: 1, value: 0.6 })
    await keeper.consider(line(2, 0.1))
    expect(keeper.best()).toMatchObject({ step: 1 })
    await keeper.consider(line(2, 0.5, now))
    expect(keeper.best()).toMatchObject({ step: 2, value: 0.5 })
  })

  test("that is damaged is named and replaced, and does not stop the run", async () => {
    await checkpoint("damaged", 2)
    await writeFile(RunFolder.bestFile(at("damaged")), "half of it")
    const notes: string[] = []
    const keeper = await open("damaged", [], { onNote: (note) => notes.push(note) })
    expect(notes.join()).toContain("the next one with a score replaces it")
    await keeper.consider(line(2, 0.5))
    expect(await stored("damaged")).toBe(2)
  })
})

describe("a checkpoint of a run", () => {
  const prepared = async (run: string): Promise<void> => {
    const keeper = await open(run)
    for (const [step, value] of [
      [1, 0.1],
      [2, 0.2],
      [3, 0.4],
    ] as const) {
      await checkpoint(run, step)
      await keeper.consider(line(step, value))
      await Failure.orThrow(RunFolder.append(at(run), "metric", [line(step, value)]))
    }
    await rm(RunFolder.checkpointFile(at(run), 1))
  }

  test("is the last one, the best one or that of a step; a better one is named", async () => {
    await prepared("three")
    const read = async (wanted?: RunCheckpoint.Wanted) => {
      const { state, chosen } = await RunCheckpoint.read(at("three"), wanted)
      return [state["generator/w"]?.data[0], chosen.which, chosen.score?.value, chosen.better?.step]
    }
    expect(await read()).toEqual([3, "last", 0.4, 1])
    expect(await read("last")).toEqual([3, "last", 0.4, 1])
    expect(await read("best")).toEqual([1, "best", 0.1, undefined])
    expect(await read(2)).toEqual([2, "step", 0.2, 1])
    // only the best checkpoint has it
    expect(await read(1)).toEqual([1, "step", 0.1, undefined])
    await expect(RunCheckpoint.read(at("three"), 7)).rejects.toThrow(
      "this run has no checkpoint of step 7; it has those of the steps 1, 2, 3",
    )
  })

  test("can be the best one where the last is missing, which is said", async () => {
    await prepared("bereft")
    for (const step of [2, 3]) await rm(RunFolder.checkpointFile(at("bereft"), step))
    await expect(RunCheckpoint.read(at("bereft"))).rejects.toThrow(
      "the last checkpoint is missing; the best one, of step 1, is there: --checkpoint best",
    )
    expect((await RunCheckpoint.read(at("bereft"), "best")).chosen).toMatchObject({ step: 1, which: "best" })
  })

  test("is not called better if the two scores compare with different things", async () => {
    await prepared("apart")
    await Failure.orThrow(RunFolder.append(at("apart"), "metric", [line(3, 0.4, { extractor: "inception-768" })]))
    expect((await RunCheckpoint.read(at("apart"))).chosen.better).toBeUndefined()
  })

  test("is missing in a run without scores; a damaged best one stops only those who ask for it", async () => {
    await checkpoint("unscored", 4)
    await expect(RunCheckpoint.read(at("unscored"), "best")).rejects.toThrow("keeps no best checkpoint")
    await expect(RunCheckpoint.read(at("nothing"))).rejects.toThrow("no checkpoint yet")
    await writeFile(RunFolder.bestFile(at("unscored")), "half of it")
    expect((await RunCheckpoint.read(at("unscored"))).chosen.step).toBe(4)
    await expect(RunCheckpoint.read(at("unscored"), "best")).rejects.toMatchObject({
      failure: { file: RunFolder.bestFile(at("unscored")) },
    })
  })
})

test("a transfer keeps its best checkpoint, through a kill too; the model, the report and the answer offer it", async () => {
  const gan = Gan.of(
    Gan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, nf_max: 4, z_dim: 4, embed: 2, nlabels: 3 }),
  )
  const networks = {
    generator: Leaf.initAll(gan.generator, 0, "generator"),
    discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
  }
  await Failure.orThrow(ModelFolder.write(at("source"), ModelFolder.describe(gan), networks))
  const engine = await Engines.open({ threads: 1 })
  const options: Transfer.Options = {
    source: at("source"),
    data: Drawn.flowers({ size: 16, count: 8, seed: 0 }).path,
    out: at("run"),
    surgery: { recipe: "finetune" },
    steps: 4,
    every: 1,
    batch: 4,
    seed: 1,
    learningRate: 0.01,
    scoreCount: 4,
    scoreStart: true,
  }
  // ends between the best checkpoint and the line of its score
  await Failure.orThrow(Transfer.run({ ...options, steps: 1 }, engine))
  await rm(join(at("run"), "metric.jsonl"))
  const { best, metrics } = await Failure.orThrow(Transfer.run(options, engine))
  const scores = metrics.filter(({ step }) => step > 0).map((score) => ({ step: score.step, value: Number(score.kid) }))
  expect(scores.map(({ step }) => step)).toEqual([1, 2, 3, 4])
  const lowest = scores.reduce((a, b) => (b.value < a.value ? b : a))
  expect(best).toMatchObject({ ...lowest, file: join(at("run"), "best.safetensors") })
  expect(best!.label).toMatch(/^KID/)
  const model = await Failure.orThrow(Model.open(at("run"), { checkpoint: "best" }))
  expect(model).toMatchObject({ step: lowest.step, checkpoint: { which: "best", score: lowest } })
  const { runs } = await Failure.orThrow(Report.run({ folders: [at("run")], out: at("report.html") }))
  expect(runs[0]!.best).toMatchObject(lowest)

  // from another run: its weights are those of that step
  await Failure.orThrow(Transfer.run({ ...options, out: at("short"), steps: lowest.step, keepBest: false }, engine))
  expect(existsSync(RunFolder.bestFile(at("short")))).toBe(false)
  const short = await Failure.orThrow(Model.open(at("short")))
  expect(short.generator).toEqual(model.generator)
  await expect(Failure.orThrow(Model.open(at("source"), { checkpoint: "best" }))).rejects.toThrow("no checkpoints")
})
