/** Memory over many steps of a small training, in a process of its own. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { Trial } from "./Ledger.ts"

const main = fileURLToPath(new URL("./LongTraining.ts", import.meta.url))
/** Megabytes that the second half of a run may grow by. */
const GROWTH = 60

export const trial = async (number: number, steps: number): Promise<Trial> => {
  const row = `memory over ${steps.toLocaleString("en")} steps`
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--expose-gc",
    "--import",
    "tsx",
    main,
    String(steps),
  ])
  const { half, end } = JSON.parse(stdout.trim().split("\n").at(-1)!) as { readonly half: number; readonly end: number }
  const detail = `${half} MB after half of the steps, ${end} MB at the end`
  return { row, number, verdict: end - half > GROWTH ? "memory" : "unchanged", detail }
}
