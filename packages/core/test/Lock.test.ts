import { type ChildProcess, spawn } from "node:child_process"
import { mkdir, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import * as Lock from "../src/files/Lock.ts"

let root = ""
const file = (): string => join(root, "lock")
const children: ChildProcess[] = []
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "adafm-lock-"))
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL")
  await rm(root, { recursive: true })
})

const attempt = (): Promise<string> =>
  Lock.within(
    root,
    async () => "ran",
    async () => "in use",
  )

const MODULE = JSON.stringify(new URL("../src/files/Lock.ts", import.meta.url).href)

/** A process that runs `code` with the lock's functions. Its lines on stdout are collected. */
const start = (
  code: string,
): { readonly child: ChildProcess; readonly lines: readonly string[]; ended: Promise<number> } => {
  const child = spawn(
    process.execPath,
    ["--import", "tsx", "--input-type=module", "-e", `import * as Lock from ${MODULE}; ${code}`],
    { stdio: ["ignore", "pipe", "inherit"] },
  )
  children.push(child)
  const lines: string[] = []
  child.stdout!.on("data", (text: Buffer) => lines.push(...text.toString().split("\n").filter(Boolean)))
  return { child, lines, ended: new Promise((resolve) => child.on("exit", (code) => resolve(code ?? -1))) }
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10))
}

const HOLD = (folder: string): string =>
  `await Lock.within(${JSON.stringify(folder)}, async () => { console.log("inside"); await new Promise((r) => setTimeout(r, 1e9)) }, async () => "in use")`

test("one caller at a time works in a folder, and the lock is removed afterwards", async () => {
  expect(await Lock.within(root, attempt, async () => "")).toBe("in use")
  expect(await readdir(root)).toEqual([])
  await expect(
    Lock.within(
      root,
      async () => Promise.reject(new Error("failed")),
      async () => undefined,
    ),
  ).rejects.toThrow("failed")
  expect(await attempt()).toBe("ran")
})

describe("a file that no process holds locks nothing", () => {
  test.each([
    { name: "of a living process", content: `${process.pid}\nhere` },
    { name: "that is empty", content: "" },
    { name: "that is damaged", content: "\0\0\0" },
  ])("$name, whatever its age", async ({ content }) => {
    for (const days of [-1, 0, 1]) {
      await writeFile(file(), content)
      const then = new Date(Date.now() + days * 86_400_000)
      await utimes(file(), then, then)
      expect(await attempt()).toBe("ran")
    }
  })
})

describe("a look at a lock", () => {
  test("tells whether it is held, and neither makes a file nor changes it", async () => {
    expect(await Lock.isHeld(root)).toBe(false)
    expect(await readdir(root)).toEqual([])
    await writeFile(file(), "1\nhere")
    expect(await Lock.isHeld(root)).toBe(false)
    expect(await readFile(file(), "utf8")).toBe("1\nhere")
    const looks = async (): Promise<readonly boolean[]> => [await Lock.isHeld(root), await Lock.isHeld(root, "other")]
    expect(await Lock.within(root, looks, async () => [])).toEqual([true, false])
  })
  test("keeps nobody out", async () => {
    const { lines } = start(
      `for (;;) { await Lock.isHeld(${JSON.stringify(root)}); console.log("looked"); await new Promise((r) => setTimeout(r, 1)) }`,
    )
    await until(() => lines.length > 0)
    for (let round = 0; round < 50; round++) expect(await attempt()).toBe("ran")
  })
})

describe("a lock that another process holds", () => {
  test("counts while that process lives or is stopped, whatever the file's age, and ends when it is killed", async () => {
    const { child, lines, ended } = start(HOLD(root))
    await until(() => lines.includes("inside"))
    expect(await readFile(file(), "utf8")).toContain(String(child.pid))
    expect(await attempt()).toBe("in use")
    child.kill("SIGSTOP")
    for (const days of [-1000, 1]) {
      const then = new Date(Date.now() + days * 86_400_000)
      await utimes(file(), then, then)
      expect(await attempt()).toBe("in use")
    }
    child.kill("SIGKILL")
    await ended
    expect(await attempt()).toBe("ran")
  })

  test("stays that process's if its folder is renamed, and does not lock a new folder at the old path", async () => {
    const folder = join(root, "run")
    const { lines } = start(HOLD(folder))
    await until(() => lines.includes("inside"))
    await rename(folder, join(root, "aside"))
    await mkdir(folder)
    const enter = (path: string) =>
      Lock.within(
        path,
        async () => "ran",
        async () => "in use",
      )
    expect(await enter(folder)).toBe("ran")
    expect(await enter(join(root, "aside"))).toBe("in use")
  })
})

test("of eight processes that race for a lock left by a killed one, never two are inside at once", {
  timeout: 120_000,
}, async () => {
  const ROUNDS = 25
  // each round: the file of a killed process is there; all enter, and each looks for another one inside
  const code = `
    import { mkdir, rmdir, writeFile } from "node:fs/promises"
    const folder = ${JSON.stringify(root)}
    let clashes = 0
    const enter = (body) => Lock.within(folder, body, async () => "busy")
    for (let round = 0; round < ${ROUNDS}; round++) {
      const visit = async () => {
        await mkdir(folder + "/inside").catch(() => clashes++)
        await new Promise((r) => setTimeout(r, 2))
        await rmdir(folder + "/inside").catch(() => clashes++)
        // what a killed process leaves
        if (round % 3 === 0) await writeFile(folder + "/lock", "1\\nelsewhere")
      }
      while ((await enter(visit)) === "busy") await new Promise((r) => setTimeout(r, 1))
    }
    console.log("clashes " + clashes)`
  const racers = Array.from({ length: 8 }, () => start(code))
  expect(await Promise.all(racers.map(({ ended }) => ended))).toEqual(racers.map(() => 0))
  expect(racers.flatMap(({ lines }) => lines)).toEqual(racers.map(() => "clashes 0"))
})
