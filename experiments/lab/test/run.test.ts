import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Failure } from "@adafm/core"
import { Engines } from "@adafm/engine"
import { RunFolder } from "@adafm/gan"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { again, duration } from "../../run.ts"
import { load } from "../declare/Catalogue.ts"
import * as Cell from "../declare/Cell.ts"
import * as ResultsFile from "../judge/ResultsFile.ts"
import { run } from "../run/ExperimentRun.ts"
import * as TrainingRun from "../run/TrainingRun.ts"

const before = process.cwd()
let folder = ""

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-exp-"))
  process.chdir(folder)
})
afterAll(() => process.chdir(before))

const notes: string[] = []
const smoke = { profile: "smoke", onNote: (line: string) => void notes.push(line) } as const

const jsonOf = async ({ files }: { readonly files: readonly string[] }): Promise<ResultsFile.ResultsFile> =>
  ResultsFile.ResultsFile.parse(JSON.parse(await readFile(files[1]!, "utf8")))

describe("ablation-layers, smoke", () => {
  test("without a budget nothing runs, and every cell is listed as not run", async () => {
    const outcome = await run(await load("ablation-layers"), { ...smoke, budget: -1 }, "none")
    expect(outcome).toMatchObject({ done: 0, cells: 4, failed: 0 })
    const json = await jsonOf(outcome)
    expect(json.cells.map(({ status }) => status)).toEqual(Array(4).fill("not-run"))
    expect(json.claims.every(({ verdict }) => verdict === "not-tested")).toBe(true)
  })

  test("every cell runs and is scored with its provenance, and the page has its images", async () => {
    const outcome = await run(await load("ablation-layers"), smoke, "pnpm exp ablation-layers --profile smoke")
    expect(outcome).toMatchObject({ done: 4, cells: 4, failed: 0 })
    const json = await jsonOf(outcome)
    for (const cell of json.cells) {
      expect(cell).toMatchObject({ status: "done", steps: 6, size: 16, nf: 4, nfMax: 8 })
      expect(cell.metrics.kid).toMatchObject({
        extractor: { name: "embedded", comparable: false },
        counts: { a: 12, b: 12 },
      })
      expect(cell.curve.map(({ step }) => step)).toEqual([2, 4, 6])
      expect(cell.candidates!.map((c) => (c as { step: number }).step)).toEqual([4, 6])
      expect([4, 6]).toContain(cell.chosen)
    }
    const markdown = await readFile(outcome.files[0]!, "utf8")
    const pictures = [...markdown.matchAll(/\]\((figures\/[^)]+)\)/g)].map((m) => m[1]!)
    expect(pictures.length).toBeGreaterThanOrEqual(5)
    expect(pictures.every((file) => existsSync(join(outcome.files[0]!, "..", file)))).toBe(true)
    expect(markdown).toContain("Illustration, not evidence")
    expect(await readFile(outcome.files[3]!, "utf8")).toContain("</html>")
  })

  test("a second call finds every cell done and runs none", async () => {
    notes.length = 0
    const outcome = await run(await load("ablation-layers"), smoke, "again")
    expect(outcome.done).toBe(4)
    expect(notes[0]).toContain("4 cells, 0 to run")
  })

  test("another experiment finds the cells that the two share", async () => {
    notes.length = 0
    const outcome = await run(await load("convergence"), { ...smoke, budget: -1 }, "shared")
    expect(notes[0]).toContain("3 cells, 2 to run")
    const { cells } = await jsonOf(outcome)
    expect(cells.find(({ variant }) => variant === "scratch")?.status).toBe("done")
  })

  test("--pages shows the finished cells and runs nothing", async () => {
    const outcome = await run(await load("convergence"), { ...smoke, pages: true }, "pages")
    expect(outcome).toMatchObject({ done: 1, cells: 3, failed: 0 })
    expect((await jsonOf(outcome)).command).toBe("pages")
  })

  test("an interrupted cell continues at its checkpoint and has as many steps as an uninterrupted one", async () => {
    const experiment = await load("ablation-layers")
    const schedule = { ...experiment.profiles.smoke.schedule, steps: 9 }
    const smoke9 = { ...experiment.profiles.smoke, schedule, variants: ["scratch"] }
    const longer = { ...experiment, profiles: { ...experiment.profiles, smoke: smoke9 } }
    const { found } = await run(longer, { ...smoke, budget: -1 }, "wanted")
    const stats = join(TrainingRun.runOf(found.plan.entries[0]!.order.cell.training), "stats.jsonl")
    const cut = await run(longer, { ...smoke, shouldStop: () => existsSync(stats) }, "cut")
    expect(cut).toMatchObject({ done: 0, cells: 1, failed: 0 })
    const steps = async (): Promise<number> => (await readFile(stats, "utf8")).trim().split("\n").length
    expect(await steps()).toBeLessThan(9)
    expect(await run(longer, smoke, "on")).toMatchObject({ done: 1 })
    expect(await steps()).toBe(9)
  })

  test("with frozen random filters as many parameters train as with frozen copied ones", async () => {
    const outcome = await run(await load("ablation-layers"), { ...smoke, budget: -1 }, "pair")
    const { cells } = await jsonOf(outcome)
    const plans = ["g3d2-frozen", "low-random-frozen"].map((id) => cells.find(({ variant }) => variant === id)?.plan)
    expect(plans[0]?.trainable).toBe(plans[1]?.trainable)
    expect(plans[0]?.frozen).toBeGreaterThan(0)
  })
})

describe("the modulations of a draw branch from one checkpoint", () => {
  const order = async (every: number) => {
    const { found } = await run(await load("convergence"), { ...smoke, budget: -1 }, "plan")
    const { cell, source, places } = found.plan.entries.find(({ variant }) => variant.id === "adafm")!.order
    return { training: cell.training, source, train: places.train, every }
  }
  const state = async (training: Cell.Training) => {
    const read = await Failure.orThrow(RunFolder.readCheckpoint(TrainingRun.runOf(training), training.schedule.steps))
    return Object.fromEntries(Object.entries(read).map(([path, { data }]) => [path, Float32Array.from(data)]))
  }

  test("a modulation that begins later continues the run without it, and ends as if it had run alone", async () => {
    const engine = await Engines.open({ threads: 1 })
    const branched = await order(1)
    const { parent, at } = Cell.branch(branched.training)!
    expect(at).toBe(2)
    expect(await TrainingRun.ensure(branched, 6, engine)).toBe(true)
    // its curve begins at the same step as the others'
    const checkpoints = await Failure.orThrow(RunFolder.checkpoints(TrainingRun.runOf(branched.training)))
    expect(checkpoints).toEqual([1, 2, 3, 4, 5, 6])
    expect(existsSync(RunFolder.checkpointFile(TrainingRun.runOf(parent), at))).toBe(true)
    const shared = await state(branched.training)
    // the same training without a checkpoint at the branch, in another folder: it runs from the start
    const apart = await mkdtemp(join(tmpdir(), "adafm-exp-"))
    process.chdir(apart)
    const alone = await order(5)
    expect(alone.training).toEqual(branched.training)
    expect(await TrainingRun.ensure(alone, 6, engine)).toBe(true)
    expect(existsSync(TrainingRun.runOf(parent))).toBe(false)
    const own = await state(alone.training)
    process.chdir(folder)
    expect(Object.keys(shared).sort()).toEqual(Object.keys(own).sort())
    for (const [path, data] of Object.entries(own)) {
      const worst = data.reduce((most, v, i) => Math.max(most, Math.abs(v - shared[path]![i]!)), 0)
      expect(worst, path).toBeLessThan(1e-4)
    }
  })

  test("two callers that need the same training run it once", async () => {
    const engine = await Engines.open({ threads: 1 })
    const { parent } = Cell.branch((await order(2)).training)!
    const asked = { ...(await order(2)), training: { ...parent, seed: 77 } }
    const both = await Promise.all([TrainingRun.ensure(asked, 4, engine), TrainingRun.ensure(asked, 4, engine)])
    expect(both).toEqual([true, true])
    const lines = (await readFile(join(TrainingRun.runOf(asked.training), "stats.jsonl"), "utf8")).trim().split("\n")
    expect(lines.length).toBe(4)
  })
})

const HASH = "0".repeat(64)
const base = { source: HASH, data: HASH, seed: 0, surgery: {}, schedule: { steps: 10 } }

test("a training's name depends on its values, but not on the order of keys or on written-out defaults", () => {
  const name = (value: object): string => Cell.id(Cell.resolved(Cell.Training.parse({ ...base, ...value }), 32))
  expect(name({})).toMatch(/^[0-9a-f]{16}$/)
  expect(name({ schedule: { batch: 16, steps: 10 }, surgery: { head: "gp" } })).toBe(name({}))
  // the default is 10 · (32 / 128)², and without a modulation there is nothing to unfreeze
  expect(name({ schedule: { steps: 10, penalty: 0.625, unfreezeAt: 3 } })).toBe(name({}))
  expect(name({ schedule: { steps: 10, penaltyAt128: 20 } })).toBe(name({ schedule: { steps: 10, penalty: 1.25 } }))
  expect(name({ seed: 1 })).not.toBe(name({}))
  expect(name({ surgery: { generator: { keep: 1 } } })).not.toBe(name({}))
  expect(name({ data: "1".repeat(64) })).not.toBe(name({}))
  const modulated = { surgery: { generator: { keep: 1, moves: "modulated" } } }
  expect(name({ ...modulated, schedule: { steps: 10, unfreezeAt: 3 } })).not.toBe(name(modulated))
  expect(name({ surgery: { ...modulated.surgery, modulation: { kind: "adafm" } } })).toBe(name(modulated))
})

test.each([
  { text: "90s", seconds: 90 },
  { text: "20m", seconds: 1200 },
  { text: "1.5h", seconds: 5400 },
])("$text is $seconds seconds", ({ text, seconds }) => expect(duration(text)).toBe(seconds))

test("an unknown experiment or variant, and a profile without a source, are refused by name", async () => {
  await expect(load("nothing")).rejects.toThrow("nothing")
  await expect(load("../packages")).rejects.toThrow("no experiment")
  const experiment = await load("ablation-layers")
  await expect(run(experiment, { ...smoke, only: ["g9d9"] }, "")).rejects.toThrow("g9d9")
  await expect(run(experiment, { ...smoke, profile: "paper" }, "")).rejects.toThrow("--source")
})

/** What the command prints on stderr, and its exit code. */
const command = (...args: readonly string[]) => {
  const file = fileURLToPath(new URL("../../run.ts", import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, ["--import", import.meta.resolve("tsx"), file, ...args])
  return { status, stderr: stderr.toString() }
}

test.each([
  { args: ["nothing"], says: "error: no experiment is called nothing; the experiments are ablation-adafm, " },
  { args: [], says: "error: name an experiment; the experiments are ablation-adafm, " },
  { args: ["convergence", "--porfile", "smoke"], says: "error: unknown option '--porfile'" },
])("`pnpm exp $args` is refused with exit code 2", ({ args, says }) => {
  const { status, stderr } = command(...args)
  expect(stderr).toContain(says)
  expect(status).toBe(2)
})

test("a missing provider or extractor is refused once, before any cell starts", async () => {
  notes.length = 0
  const experiment = await load("ablation-layers")
  const refused = run(experiment, { ...smoke, provider: "abacus", jobs: 2 }, "")
  await expect(refused).rejects.toThrow("no provider abacus here")
  await expect(run(experiment, { ...smoke, extractor: "lens" }, "")).rejects.toThrow("no extractor lens")
  expect(notes.filter((line) => line.includes("failed"))).toEqual([])
})

test("the command on a page continues the run, without the flags that limited the call", () => {
  expect(again("exp:all", ["--profile", "standard", "--budget", "0s", "--jobs", "2"])).toBe(
    "pnpm exp:all --profile standard --jobs 2",
  )
  expect(again("exp", ["sources", "--budget=3h"])).toBe("pnpm exp sources")
  expect(again("exp:all", ["--pages", "--profile", "standard"])).toBe("pnpm exp:all --profile standard")
})

test("a variant overrides only the fields of a schedule or a lesson that it names", async () => {
  const { variants, profiles } = await load("finetuning")
  const schedule = (id: string) => ({ ...profiles.standard!.schedule, ...variants.find((v) => v.id === id)!.schedule })
  expect(schedule("adafm-long")).toEqual({ ...schedule("adafm"), steps: 9000, unfreezeAt: 500 })
  expect(schedule("adafm-plain-long")).toEqual({ ...schedule("adafm-long"), augment: [] })
  const lessons = (await load("augmentation")).variants
    .map(({ lesson }) => lesson)
    .filter((lesson) => lesson !== undefined)
  expect(lessons.some((lesson) => "steps" in lesson)).toBe(false)
})
