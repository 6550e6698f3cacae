import { spawnSync } from "node:child_process"
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import * as Lock from "../src/files/Lock.ts"

let root = ""
const file = (): string => join(root, "lock")
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "adafm-lock-"))
})
afterEach(async () => {
  vi.restoreAllMocks()
  await rm(root, { recursive: true })
})

const attempt = (): Promise<string> =>
  Lock.within(
    root,
    async () => "ran",
    async () => "in use",
  )
/** What this process writes into a lock. */
const own = async (): Promise<string> =>
  Lock.within(
    root,
    () => readFile(file(), "utf8"),
    async () => "",
  )
const placeOf = (lock: string): string => lock.slice(lock.indexOf("\n"))
/** The id of a process that has ended. */
const gone = (): number => spawnSync(process.execPath, ["--version"]).pid

test("one caller at a time works in a folder, and the lock is removed afterwards", async () => {
  expect(await Lock.within(root, attempt, async () => "")).toBe("in use")
  expect(await readdir(root)).toEqual([])
})

describe("a lock that was refreshed just now", () => {
  test("is ignored if its process has ended", async () => {
    await writeFile(file(), `${gone()}${placeOf(await own())}`)
    expect(await attempt()).toBe("ran")
  })

  test("counts if its process belongs to another user", async () => {
    await writeFile(file(), await own())
    vi.spyOn(process, "kill").mockImplementation(() => {
      throw Object.assign(new Error("not permitted"), { code: "EPERM" })
    })
    expect(await attempt()).toBe("in use")
  })

  test.each([
    { name: "of another host", lock: (pid: number, place: string) => `${pid}${place.replace("\n", "\nanother-")}` },
    { name: "of another container", lock: (pid: number, place: string) => `${pid}${place}0` },
    { name: "without the place of its process", lock: (pid: number) => String(pid) },
    { name: "that is being written", lock: () => "" },
  ])("counts for three minutes: one $name", async ({ lock }) => {
    await writeFile(file(), lock(gone(), placeOf(await own())))
    expect(await attempt()).toBe("in use")
    const threeMinutesAgo = new Date(Date.now() - 181_000)
    await utimes(file(), threeMinutesAgo, threeMinutesAgo)
    expect(await attempt()).toBe("ran")
  })
})
