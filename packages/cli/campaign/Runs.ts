/** Trainings that are killed, that run out of disk, that many steps grow: is anything lost? */
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdir, readdir, readFile, rm } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { Rng } from "@adafm/core"
import type { Trial } from "./Ledger.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const STEPS = 24

const ARGS = `pretrain --arch gpgan --size 16 --nf 2 --nf-max 4 --z-dim 4 --batch 4 --every 4 --score-count 0 --threads 1 --data drawn:flowers?count=8&size=16`

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly text: string
}

/** @param blocks largest file in units of 1024 bytes, as `ulimit -f` sets it: a disk that is full at that size */
const run = (out: string, steps: number, options: { readonly killAfter?: number; readonly blocks?: number } = {}) =>
  new Promise<Ended>((resolve) => {
    const command = [
      process.execPath,
      "--import",
      "tsx",
      main,
      ...ARGS.split(" "),
      "--steps",
      String(steps),
      "--out",
      out,
      "--json",
    ]
    const limited =
      options.blocks === undefined
        ? command
        : ["bash", "-c", `ulimit -f ${options.blocks}; exec "$@"`, "run", ...command]
    const child = spawn(limited[0]!, limited.slice(1), { stdio: ["ignore", "pipe", "pipe"] })
    let text = ""
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => {
        text += chunk
      })
    const timer =
      options.killAfter === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), options.killAfter)
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, text })
    })
  })

/** The final state and the pictures of a run. */
const remains = async (out: string): Promise<string> => {
  const hash = createHash("sha256")
  const names = (await readdir(out)).filter((name) => name.endsWith(".png")).sort()
  for (const name of [...names, join("checkpoints", `${String(STEPS).padStart(8, "0")}.safetensors`)])
    hash.update(name).update(await readFile(join(out, name)))
  return hash.digest("hex")
}

const orphans = async (out: string): Promise<readonly string[]> =>
  (await readdir(out, { recursive: true })).filter((name) => name.includes(".tmp-"))

const share = (seed: number, what: string, number: number): number =>
  Rng.uniform(Rng.at(seed, what, number), [1]).data[0]!

/** @param folder for the runs; the unbroken one is trained once */
export const open = (folder: string, seed: number) => {
  let unbroken: Promise<{ readonly digest: string; readonly milliseconds: number }> | undefined
  const whole = async () => {
    const [out, began] = [join(folder, "unbroken"), performance.now()]
    await rm(out, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    const { code, text } = await run(out, STEPS)
    if (code !== 0) throw new Error(`the unbroken run failed: ${text}`)
    return { digest: await remains(out), milliseconds: performance.now() - began }
  }
  const compared = async (row: string, number: number, out: string, detail: string): Promise<Trial> => {
    const { code, text } = await run(out, STEPS)
    const { digest } = await unbroken!
    const left = await orphans(out)
    if (code !== 0)
      return { row, number, verdict: "unexpected", detail: `${detail}; it does not resume: ${text.slice(0, 500)}` }
    if (left.length > 0) return { row, number, verdict: "unnoticed", detail: `${detail}; left ${left.join(", ")}` }
    return { row, number, verdict: (await remains(out)) === digest ? "unchanged" : "unnoticed", detail }
  }
  return {
    /** Ended at a random moment and resumed: the result must be that of the unbroken run, bit for bit. */
    kill: async (number: number): Promise<Trial> => {
      unbroken ??= whole()
      const { milliseconds } = await unbroken
      const out = join(folder, "killed")
      await rm(out, { recursive: true, force: true })
      const killAfter = Math.round(milliseconds * share(seed, "campaign/kill", number))
      await run(out, STEPS, { killAfter })
      return compared("a run killed at a random moment", number, out, `killed after ${killAfter} ms`)
    },
    /** A disk that is full at a random size: the failure names the file, and with room the run resumes. */
    fill: async (number: number): Promise<Trial> => {
      unbroken ??= whole()
      await unbroken
      const out = join(folder, "filled")
      await rm(out, { recursive: true, force: true })
      const blocks = Math.round(64 * share(seed, "campaign/disk", number))
      const { code, text } = await run(out, STEPS, { blocks })
      const row = "a full disk"
      const detail = `at ${blocks} KiB`
      const named = /"file":"/.test(text) && !text.includes('"Unexpected"')
      if (code !== 0 && !named) return { row, number, verdict: "unnamed", detail: `${detail}: ${text.slice(0, 500)}` }
      if (!existsSync(out)) return { row, number, verdict: "refused", detail }
      return compared(row, number, out, detail)
    },
  }
}
