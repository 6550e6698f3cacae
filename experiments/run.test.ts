import { existsSync } from "node:fs"
import { mkdtemp, readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Cell from "./Cell.ts"
import * as Results from "./Results.ts"
import * as Runner from "./Runner.ts"
import { duration, load, run } from "./run.ts"

const before = process.cwd()
let folder = ""

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-exp-"))
  process.chdir(folder)
})
afterAll(() => process.chdir(before))

const notes: string[] = []
const smoke = { profile: "smoke", jobs: 1, onNote: (line: string) => void notes.push(line) } as const

describe("ablation-layers, smoke", () => {
  test("a budget of nothing runs nothing and says so for every cell", async () => {
    const outcome = await run(await load("ablation-layers"), { ...smoke, budget: 0 }, "none")
    expect(outcome).toMatchObject({ done: 0, cells: 4, failed: 0 })
    const json = Results.Results.parse(JSON.parse(await readFile(outcome.files[1]!, "utf8")))
    expect(json.cells.map(({ status }) => status)).toEqual(Array(4).fill("not-run"))
    expect(json.claims.every(({ verdict }) => verdict === "not-tested")).toBe(true)
  })

  test("every cell runs, is scored with its provenance, and its pictures lie beside the table", async () => {
    const outcome = await run(await load("ablation-layers"), smoke, "pnpm exp:ablation-layers --profile smoke")
    expect(outcome).toMatchObject({ done: 4, cells: 4, failed: 0 })
    const json = Results.Results.parse(JSON.parse(await readFile(outcome.files[1]!, "utf8")))
    for (const cell of json.cells) {
      expect(cell).toMatchObject({ status: "done", steps: 2, size: 16, nf: 4, nfMax: 8 })
      expect(cell.metrics.kid).toMatchObject({
        extractor: { name: "embedded", comparable: false },
        counts: { a: 12, b: 12 },
      })
    }
    const markdown = await readFile(outcome.files[0]!, "utf8")
    const pictures = [...markdown.matchAll(/\]\((figures\/[^)]+)\)/g)].map((m) => m[1]!)
    expect(pictures.length).toBeGreaterThanOrEqual(5)
    expect(pictures.every((file) => existsSync(join(outcome.files[0]!, "..", file)))).toBe(true)
    expect(markdown).toContain("Illustration, not evidence")
    expect(await readFile(outcome.files[2]!, "utf8")).toContain("</html>")
  })

  test("a second call finds every cell done and runs none", async () => {
    notes.length = 0
    const outcome = await run(await load("ablation-layers"), { ...smoke, budget: 0 }, "again")
    expect(outcome.done).toBe(4)
    expect(notes[0]).toContain("4 cells, 0 to run")
  })

  test("a cell that is cut off goes on at its checkpoint and is as long as one that was not", async () => {
    const experiment = await load("ablation-layers")
    const schedule = { ...experiment.profiles.smoke.schedule, steps: 6 }
    const smoke6 = { ...experiment.profiles.smoke, schedule, variants: ["scratch"] }
    const longer = { ...experiment, profiles: { ...experiment.profiles, smoke: smoke6 } }
    let asked = 0
    const cut = await run(longer, { ...smoke, shouldStop: () => ++asked > 3 }, "cut")
    expect(cut).toMatchObject({ done: 0, cells: 1, failed: 0 })
    const { cells } = Results.Results.parse(JSON.parse(await readFile(cut.files[1]!, "utf8")))
    const steps = async (): Promise<number> => {
      const file = join(Runner.folderOf(cells[0]!.id), "run", "stats.jsonl")
      return (await readFile(file, "utf8")).trim().split("\n").length
    }
    expect(await steps()).toBeLessThan(6)
    expect(await run(longer, smoke, "on")).toMatchObject({ done: 1 })
    expect(await steps()).toBe(6)
  })

  test("frozen and shuffled or random filters leave as many parameters to train as copied ones", async () => {
    const experiment = await load("ablation-layers")
    const only = ["g3d2-frozen", "low-random-frozen"]
    const { files } = await run(experiment, { ...smoke, only, budget: 0 }, "pair")
    const { cells } = Results.Results.parse(JSON.parse(await readFile(files[1]!, "utf8")))
    const [copied, random] = await Promise.all(cells.map(({ id }) => Runner.read(id)))
    expect(random?.plan.trainable).toBe(copied?.plan.trainable)
    expect(random?.plan.frozen).toBeGreaterThan(0)
    expect(cells[0]!.id).not.toBe(cells[1]!.id)
  })
})

const HASH = "0".repeat(64)
const base = { source: HASH, data: HASH, heldOut: HASH, seed: 0, score: {}, surgery: {}, schedule: { steps: 10 } }

test("a cell's name follows from its values: defaults and the order of keys do not count, everything else does", () => {
  const name = Cell.id(Cell.Cell.parse(base))
  expect(name).toMatch(/^[0-9a-f]{16}$/)
  const spelled = { schedule: { batch: 16, steps: 10 }, surgery: { head: "gp" }, ...{ score: {}, seed: 0 } } as const
  expect(Cell.id(Cell.Cell.parse({ ...spelled, heldOut: HASH, data: HASH, source: HASH }))).toBe(name)
  expect(Cell.id(Cell.Cell.parse({ ...base, seed: 1 }))).not.toBe(name)
  expect(Cell.id(Cell.Cell.parse({ ...base, surgery: { generator: { keep: 1 } } }))).not.toBe(name)
  expect(Cell.id(Cell.Cell.parse({ ...base, data: "1".repeat(64) }))).not.toBe(name)
})

test.each([
  { text: "90s", seconds: 90 },
  { text: "20m", seconds: 1200 },
  { text: "1.5h", seconds: 5400 },
])("$text are $seconds seconds", ({ text, seconds }) => expect(duration(text)).toBe(seconds))

test("an unknown experiment, variant or a profile without a source is refused by name", async () => {
  await expect(load("nothing")).rejects.toThrow("nothing")
  await expect(load("../packages")).rejects.toThrow("no experiment")
  const experiment = await load("ablation-layers")
  await expect(run(experiment, { ...smoke, only: ["g9d9"] }, "")).rejects.toThrow("g9d9")
  await expect(run(experiment, { ...smoke, profile: "paper" }, "")).rejects.toThrow("--source")
})
