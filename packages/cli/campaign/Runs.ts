/** Trainings that are killed, that run out of disk, that many steps grow: is anything lost? */
import { execFile, spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { accessSync, constants, existsSync, watch } from "node:fs"
import { mkdir, readdir, readFile, rm } from "node:fs/promises"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Rng } from "@adafm/core"
import type { Trial } from "./Ledger.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const STEPS = 24

const ARGS = `pretrain --arch gpgan --size 16 --nf 2 --nf-max 4 --z-dim 4 --batch 4 --every 4 --score-count 4 --extractor embedded --threads 1 --data drawn:flowers?count=8&size=16`

interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly text: string
}

interface Disturbance {
  /** Milliseconds until `kill -9`. */
  readonly killAfter?: number
  /** Changes in the folder of the run until `kill -9`: the process is writing then. */
  readonly killAtChange?: number
  /** Largest file in units of 1024 bytes, as `ulimit -f` sets it: a disk that is full at that size. */
  readonly blocks?: number
  /** Bytes of memory of the process, swap included; the system ends it when it takes more. */
  readonly memory?: number
  /** Folder of the caches. */
  readonly cache?: string
}

const MEMORY = "/sys/fs/cgroup/memory"

/** What is put before a command so that the system limits it. */
const limits = ({ blocks, memory }: Disturbance): readonly string[] => {
  if (blocks !== undefined) return ["bash", "-c", `ulimit -f ${blocks}; exec "$@"`, "run"]
  if (memory === undefined) return []
  const group = join(MEMORY, `adafm-campaign-${process.pid}`)
  const set = `mkdir -p ${group} && echo ${memory} > ${group}/memory.limit_in_bytes && echo $$ > ${group}/tasks`
  return ["bash", "-c", `${set} || exit 99; exec "$@"`, "run"]
}

/** Calls `then` once after so many changes in a folder and below, which may not exist yet. */
const afterChanges = (folder: string, changes: number, then: () => void): (() => void) => {
  const watched = join(folder, "..")
  let seen = 0
  const watcher = watch(watched, { recursive: true }, (_, name) => {
    if (name?.startsWith(basename(folder)) && ++seen === changes) then()
  })
  return () => watcher.close()
}

const run = (out: string, steps: number, disturbance: Disturbance = {}) =>
  new Promise<Ended>((resolve) => {
    const { killAfter, killAtChange, cache } = disturbance
    const own = [...ARGS.split(" "), "--steps", String(steps), "--out", out, "--json"]
    const [command, ...args] = [...limits(disturbance), process.execPath, "--import", "tsx", main, ...own]
    const child = spawn(command!, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ADAFM_CACHE: cache ?? join(out, "..", "cache") },
    })
    let text = ""
    for (const stream of [child.stdout, child.stderr])
      stream.on("data", (chunk) => {
        text += chunk
      })
    const kill = (): boolean => child.kill("SIGKILL")
    const timer = killAfter === undefined ? undefined : setTimeout(kill, killAfter)
    const unwatch = killAtChange === undefined ? undefined : afterChanges(out, killAtChange, kill)
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      unwatch?.()
      resolve({ code, signal, text })
    })
  })

/** The final state, the pictures and the scores of a run. */
const remains = async (out: string): Promise<string> => {
  const hash = createHash("sha256")
  const names = (await readdir(out)).filter((name) => name.endsWith(".png")).sort()
  const best = ["metric.jsonl", "best.safetensors"]
  for (const name of [...names, ...best, join("checkpoints", `${String(STEPS).padStart(8, "0")}.safetensors`)])
    hash.update(name).update(await readFile(join(out, name)))
  return hash.digest("hex")
}

const orphans = async (out: string): Promise<readonly string[]> =>
  (await readdir(out, { recursive: true })).filter((name) => name.includes(".tmp-"))

const execute = promisify(execFile)

/** Changes in the folder of the unbroken run, about. */
const CHANGES = 120
/** Blocks of 4096 bytes that the unbroken run takes, about. */
const DISK = 120
/** Memory in which the unbroken run may fail and may not. */
const MEGABYTES = { least: 80, range: 400 }

const isWritable = (path: string): boolean => {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

/** What this machine and user allow: a disk of limited size needs root, limited memory a hierarchy of control groups, version 1. */
export const possible = { tmpfs: process.getuid?.() === 0, starve: isWritable(MEMORY) }

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
  const fresh = async (name: string): Promise<string> => {
    unbroken ??= whole()
    await unbroken
    const out = join(folder, name)
    await rm(out, { recursive: true, force: true })
    return out
  }
  const named = (text: string): boolean => /"file":"/.test(text) && !text.includes('"Unexpected"')
  return {
    /** Ended at a random moment and resumed: the result must be that of the unbroken run, bit for bit. */
    kill: async (number: number): Promise<Trial> => {
      const out = await fresh("killed")
      const killAfter = Math.round((await unbroken!).milliseconds * share(seed, "campaign/kill", number))
      await run(out, STEPS, { killAfter })
      return compared("a run killed at a random moment", number, out, `killed after ${killAfter} ms`)
    },
    /** Ended while it writes: most moments of a short run are before its first file. */
    killWriting: async (number: number): Promise<Trial> => {
      const out = await fresh("killed-writing")
      const killAtChange = 1 + Math.floor(CHANGES * share(seed, "campaign/write", number))
      await run(out, STEPS, { killAtChange })
      return compared("a run killed while it writes", number, out, `killed at change ${killAtChange}`)
    },
    /** A limit of file sizes: the failure names the file, and without it the run resumes. */
    fill: async (number: number): Promise<Trial> => {
      const out = await fresh("filled")
      const blocks = Math.round(64 * share(seed, "campaign/disk", number))
      const { code, text } = await run(out, STEPS, { blocks })
      const row = "a limit of file sizes"
      const detail = `at ${blocks} KiB`
      if (code !== 0 && !named(text))
        return { row, number, verdict: "unnamed", detail: `${detail}: ${text.slice(0, 500)}` }
      if (!existsSync(out)) return { row, number, verdict: "refused", detail }
      return compared(row, number, out, detail)
    },
    /** A disk in memory that is full at a random size, caches included: the failure names the file, and with room the run resumes. */
    tmpfs: async (number: number): Promise<Trial> => {
      const mounted = await fresh("tmpfs")
      await mkdir(mounted, { recursive: true })
      const size = 4096 * (1 + Math.round(DISK * share(seed, "campaign/tmpfs", number)))
      const mount = (options: string) => execute("mount", ["-t", "tmpfs", "-o", options, "none", mounted])
      await mount(`size=${size}`)
      const row = "a full disk"
      const detail = `of ${size} bytes`
      try {
        const [out, cache] = [join(mounted, "run"), join(mounted, "cache")]
        const { code, text } = await run(out, STEPS, { cache })
        if (code !== 0 && !named(text))
          return { row, number, verdict: "unnamed", detail: `${detail}: ${text.slice(0, 500)}` }
        if (!existsSync(out)) return { row, number, verdict: "refused", detail }
        await mount("remount,size=64m")
        return await compared(row, number, out, detail)
      } finally {
        await execute("umount", [mounted])
      }
    },
    /** Too little memory: the system ends the process at its own moment, and with more the run resumes. */
    starve: async (number: number): Promise<Trial> => {
      const out = await fresh("starved")
      const memory = Math.round((MEGABYTES.least + MEGABYTES.range * share(seed, "campaign/memory", number)) * 1e6)
      const { code, signal, text } = await run(out, STEPS, { memory })
      const row = "too little memory"
      const detail = `${Math.round(memory / 1e6)} MB, ended with ${signal ?? code}`
      if (code === 99) throw new Error(`no group of limited memory: ${text}`)
      if (!existsSync(out)) return { row, number, verdict: "refused", detail }
      return compared(row, number, out, detail)
    },
  }
}
