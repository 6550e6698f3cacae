/** What a command leaves outside the folders that it is given, and whether it opens a connection. */
import { execFileSync } from "node:child_process"
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { spawned } from "./command.ts"
import * as Pictures from "./pictures.ts"

let folder = ""
const at = (...path: readonly string[]): string => join(folder, ...path)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-traces-"))
  for (const name of ["home", "tmp"]) await mkdir(at(name))
  await Pictures.write(at("pictures"), 8, 20)
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** Writes every Internet socket that the process has had to the file `$SOCKETS`: those of /proc/self/fd that the tables of TCP and UDP list. */
const WATCH = `
import { appendFileSync, readFileSync, readdirSync, readlinkSync } from "node:fs"
const look = () => {
  const held = readdirSync("/proc/self/fd").flatMap((fd) => {
    try { return [/^socket:\\[(\\d+)\\]$/.exec(readlinkSync("/proc/self/fd/" + fd))?.[1] ?? []].flat() } catch { return [] }
  })
  for (const table of ["tcp", "tcp6", "udp", "udp6"])
    for (const row of readFileSync("/proc/self/net/" + table, "utf8").split("\\n").slice(1))
      if (held.includes(row.trim().split(/\\s+/)[9])) appendFileSync(process.env.SOCKETS, table + row + "\\n")
}
setInterval(look, 10).unref()
process.on("exit", look)
`
const NODE_OPTIONS = `--import=data:text/javascript;base64,${Buffer.from(WATCH).toString("base64")}`
const noProc = process.platform !== "linux"
if (noProc) console.warn("skipped: the sockets of a process are read from Linux's /proc")

const env = (): Readonly<Record<string, string | undefined>> => ({
  HOME: at("home"),
  TMPDIR: at("tmp"),
  XDG_CACHE_HOME: undefined,
  ADAFM_CACHE: undefined,
  ORT_DISABLE_TELEMETRY: undefined,
  ...(noProc ? {} : { NODE_OPTIONS, SOCKETS: at("sockets") }),
})

test("a run leaves files only in --out and in the documented cache, and opens no socket", async () => {
  const args = "--source builtin:cifar32-small --steps 1 --batch 4 --score-count 8 --extractor embedded --threads 1"
  const { code, stderr } = await spawned(
    ["transfer", ...args.split(" "), "--data", at("pictures"), "--out", at("run")],
    undefined,
    env(),
  )
  expect(code, stderr).toBe(0)
  const left = await readdir(folder, { recursive: true })
  const foreign = left.filter(
    (name) =>
      !/^(home|tmp|sockets|home\/\.cache|home\/\.cache\/adafm)$/.test(name) &&
      // the compiled modules of the loader that runs TypeScript from a clone
      !/^tmp\/tsx-/.test(name) &&
      !/^(run|pictures|home\/\.cache\/adafm\/references)(\/|$)/.test(name),
  )
  expect(foreign).toEqual([])
  expect(await readFile(at("sockets"), "utf8").catch(() => "")).toBe("")
})

test.skipIf(noProc)("the watch above notices a socket", async () => {
  const open = `import { createServer } from "node:net"; const s = createServer().listen(0, "127.0.0.1", () => setTimeout(() => s.close(), 100))`
  execFileSync(process.execPath, ["--input-type=module", "-e", open], {
    env: { ...process.env, NODE_OPTIONS, SOCKETS: at("noticed") },
  })
  expect(await readFile(at("noticed"), "utf8")).toMatch(/^tcp/)
})
