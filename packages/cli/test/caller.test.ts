/** The command as `pnpm -s adafm` starts it in another folder than the clone's: paths are those of that folder, also in processes that it starts. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, expect, test } from "vitest"

const root = fileURLToPath(new URL("../../../", import.meta.url))
const folder = mkdtempSync(join(tmpdir(), "adafm caller-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What pnpm runs, with the variables that it sets. */
const adafm = (...args: readonly string[]) => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly scripts: { readonly adafm: string }
  }
  const [, ...words] = scripts.adafm.split(" ")
  const env = { ...process.env, npm_lifecycle_event: "adafm", INIT_CWD: folder }
  return spawnSync(process.execPath, [...words, ...args], { cwd: root, env, encoding: "utf8" })
}

const sweep = [
  "transfer",
  ...["--source", "builtin:cifar32-small", "--data", "drawn:flowers?count=40", "--seeds", "0-1"],
  ...["--steps", "1", "--batch", "2", "--score-count", "0"],
]

test("runs of a sweep in processes of their own are in the folder of the caller", () => {
  const { status, stderr } = adafm(...sweep, "--jobs", "2", "--out", "runs/two")
  expect(status, stderr).toBe(0)
  expect(readdirSync(join(folder, "runs", "two"))).toEqual(
    expect.arrayContaining(["seed-0", "seed-1", "sweep.json", "report.html"]),
  )
}, 300_000)

test("a job array for Slurm says its folder, and finds its modules from there", () => {
  const { status, stderr, stdout } = adafm(...sweep, "--on", "slurm", "--dry-run", "--out", "runs/anna's $x")
  expect(status, stderr).toBe(0)
  expect(stdout).toContain(`report 'runs/anna'\\''s $x' --out`)
  const script = readFileSync(join(folder, "runs", "anna's $x", "sweep.sh"), "utf8")
  // the shell gives the words back
  const [program] = script.split("\n").slice(-2)
  const words = spawnSync("sh", ["-c", `printf '%s\\n' ${program}`], { encoding: "utf8" }).stdout.split("\n")
  expect(words).toContain(join("runs", "anna's $x", "sweep.json"))
  expect(script).toContain(`#SBATCH --chdir=${JSON.stringify(folder)}\n`)
  const modules = [...script.matchAll(/--import (\S+)/g)].map(([, module]) => module)
  expect(modules.length).toBeGreaterThan(1)
  for (const module of modules) expect(module).toMatch(/^file:/)
}, 120_000)
