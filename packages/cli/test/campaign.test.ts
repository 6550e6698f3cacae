/** The short form of `pnpm campaign`: every format damaged a few times. Long campaigns are run by hand (docs/reliability.md). */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Mutation } from "@adafm/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Damage from "../campaign/Damage.ts"
import * as Hostile from "../campaign/Hostile.ts"
import * as Server from "../campaign/Server.ts"
import * as Verdict from "../campaign/Verdict.ts"

let folder = ""
let bench: Damage.Bench
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-campaign-"))
  bench = Damage.open(folder, 0)
})
afterAll(async () => {
  bench.close()
  await rm(folder, { recursive: true, force: true })
})

/** Trials of each format. */
const TRIALS = 6

test.each(Damage.rows)("damage of a %s is refused by name, or harmless", async (row) => {
  for (let number = 0; number < TRIALS; number++) {
    const { verdict, detail } = await bench.trial(row, number)
    expect.soft(Verdict.isFault(verdict), `${verdict}: ${detail}`).toBe(false)
  }
})

test("pickles that would run a command in Python are refused by name, and none runs", async () => {
  for (let number = 0; number < 300; number++) {
    const { verdict, detail } = await Hostile.trial(0, number, join(folder, "pickles"))
    expect.soft(verdict, detail).toBe("refused")
  }
})

test.each([...Server.names.entries()])("server %i, %s, is refused in words", async (number) => {
  const { verdict, detail } = await Server.trial(number, join(folder, "downloads"))
  expect(verdict, detail).toBe("refused")
})

describe("the campaign itself", () => {
  const whole = Buffer.from("a file of some bytes that is damaged again and again")
  test("damages a copy, the same in every campaign of a seed, in every way", () => {
    const all = Array.from({ length: 200 }, (_, n) => Damage.of(whole, 3, "x", n))
    expect(whole.toString()).toBe("a file of some bytes that is damaged again and again")
    expect(Damage.of(whole, 3, "x", 7)).toEqual(all[7])
    expect(new Set(all.map(({ kind }) => kind))).toEqual(new Set(Mutation.KINDS))
    expect(new Set(all.map(({ bytes }) => Buffer.from(bytes).toString("hex"))).size).toBeGreaterThan(150)
  })
  test.each([
    { outcome: { digest: "w", megabytes: 9 }, verdict: "unchanged" },
    { outcome: { digest: "x", megabytes: 9 }, verdict: "unnoticed" },
    { outcome: { digest: "w", megabytes: 9999 }, verdict: "memory" },
    { outcome: { failure: { _tag: "BadTensor", message: "", file: "f" }, megabytes: 9 }, verdict: "refused" },
    { outcome: { failure: { _tag: "BadTensor", message: "" }, megabytes: 9 }, verdict: "unnamed" },
    { outcome: { failure: { _tag: "Unexpected", message: "", file: "f" }, megabytes: 9 }, verdict: "unexpected" },
  ])("calls $outcome $verdict where there are checksums", ({ outcome, verdict }) => {
    expect(Verdict.of(outcome, "w", true)).toBe(verdict)
  })
})
