/** Gives a test run one temporary folder, which its workers and their child processes inherit, and removes it at the end. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import "./weights.mjs"

/** What `os.tmpdir()` reads, on Unix and on Windows. */
const VARIABLES = ["TMPDIR", "TEMP", "TMP"]

export const setup = () => {
  const before = tmpdir()
  const folder = mkdtempSync(join(before, "adafm-tests-"))
  for (const name of VARIABLES) process.env[name] = folder
  return () => {
    for (const name of VARIABLES) process.env[name] = before
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  }
}
