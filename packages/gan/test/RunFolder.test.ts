import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure } from "@adafm/core"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import * as RunFolder from "../src/folders/RunFolder.ts"

let folder = ""
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-folder-"))
  await mkdir(join(folder, "checkpoints"))
})
afterEach(() => rm(folder, { recursive: true }))

const BYTES = 10
const write = (step: number): Promise<void> => writeFile(RunFolder.checkpointFile(folder, step), new Uint8Array(BYTES))
const steps = (): Promise<readonly number[]> => Failure.orThrow(RunFolder.checkpoints(folder))
const upTo = (last: number): readonly number[] => Array.from({ length: last }, (_, i) => i + 1)

describe("of the checkpoints of a run", () => {
  test.each([
    { name: "the last one stays without a budget", kept: { last: 1 }, left: [8] },
    { name: "the last two stay", kept: { last: 2 }, left: [7, 8] },
    { name: "multiples stay, whatever the budget", kept: { last: 1, every: 3 }, left: [3, 6, 8] },
    { name: "all stay that the budget holds", kept: { last: 1, bytes: 7 * BYTES }, left: upTo(8) },
    { name: "a byte too few costs one", kept: { last: 1, bytes: 7 * BYTES - 1 }, left: upTo(8).slice(1) },
    { name: "half a checkpoint keeps none", kept: { last: 1, bytes: BYTES / 2 }, left: [8] },
    { name: "three are spread evenly", kept: { last: 1, bytes: 3 * BYTES }, left: [2, 4, 6, 8] },
    { name: "multiples do not use the budget", kept: { last: 1, every: 3, bytes: BYTES }, left: [3, 5, 6, 8] },
  ])("$name", async ({ kept, left }) => {
    for (const step of upTo(8)) await write(step)
    expect(await Failure.orThrow(RunFolder.prune(folder, kept))).toBe(8 - left.length)
    expect(await steps()).toEqual(left)
  })

  test("a budget that is filled while the run goes on leaves gaps within a factor of three", async () => {
    const kept = { last: 1, bytes: 4 * BYTES }
    for (const step of upTo(100)) {
      await write(step)
      await Failure.orThrow(RunFolder.prune(folder, kept))
      const found = await steps()
      expect(found.length).toBe(Math.min(step, 5))
      expect(found.at(-1)).toBe(step)
      const gaps = found.slice(0, -1).map((at, i) => at - (found[i - 1] ?? 0))
      if (step > 5) expect(Math.max(...gaps) / Math.min(...gaps)).toBeLessThanOrEqual(3)
    }
  })
})
