/** Runs the command: in this process, or in its own as users do. */
import { type ChildProcess, spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import * as Program from "../src/Program.ts"

const root = new URL("../../../", import.meta.url)
const { scripts } = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as { scripts: { adafm: string } }
/** `pnpm adafm` of the repository: a program, its arguments, the file. */
export const script = scripts.adafm.split(" ")
const [main = "", ...before] = script.slice(1).reverse()
/** Node's arguments before those of the command. */
export const flags = [...before.reverse(), fileURLToPath(new URL(main, root))]

export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** The one document on stdout. */
  readonly json: () => Record<string, unknown>
}

const ran = (code: number | null, stdout: string, stderr: string): Ran => ({
  code,
  stdout,
  stderr,
  json: () => {
    try {
      return JSON.parse(stdout) as Record<string, unknown>
    } catch {
      throw new Error(`no JSON document on stdout: ${stdout.slice(0, 500)}\n${stderr.slice(-2000)}`)
    }
  },
})

export const adafm = async (args: readonly string[]): Promise<Ran> => {
  let [stdout, stderr] = ["", ""]
  const code = await Program.run(args, {
    out: async (text) => {
      stdout += text
    },
    err: (text) => {
      stderr += text
    },
  })
  return ran(code, stdout, stderr)
}

/**
 * @param watch is called with the process and its stderr so far
 * @param env further variables
 */
export const spawned = (
  args: readonly string[],
  watch?: (child: ChildProcess, stderr: string) => void,
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...flags, ...args], {
      env: { ...process.env, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
    })
    let [stdout, stderr] = ["", ""]
    child.stdout.on("data", (chunk) => {
      stdout += chunk
    })
    child.stderr.on("data", (chunk) => {
      stderr += chunk
      watch?.(child, stderr)
    })
    child.on("error", reject)
    child.on("close", (code) => resolve(ran(code, stdout, stderr)))
  })
