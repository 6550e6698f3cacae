/**
 * What CI runs: format, lint and import cycles, types, docs, tests, and the packages as npm users get them. The last line is
 * `N passed, N failed, N skipped`.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { check as checkPackages } from "./packages.mjs"

const run = (name, command, ...args) => {
  console.log(`\n── ${name}: ${command} ${args.join(" ")}`)
  const { status } = spawnSync(command, args, { stdio: "inherit", shell: process.platform === "win32" })
  return status === 0
}

const folder = mkdtempSync(join(tmpdir(), "adafm-check-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
const report = join(folder, "tests.json")
const stages = {
  "format, lint, import cycles": run("format, lint, import cycles", "biome", "ci", "."),
  types: run("types", "turbo", "run", "types", "--output-logs=errors-only"),
  "links of the docs": run("links of the docs", "node", "scripts/docs.mjs"),
  "docs of the API": run("docs of the API", "typedoc", "--logLevel", "Warn"),
  "docs site": run("docs site", "node", "scripts/site.mjs"),
  tests: run("tests", "vitest", "run", "--reporter=default", "--reporter=json", `--outputFile=${report}`),
}

/** Numbers of tests. A test file that failed to load counts as one failed test. */
const counted = () => {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(report, "utf8"))
    const broken = testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length
    return { passed: numPassedTests, failed: numFailedTests + broken, skipped: numPendingTests }
  } catch {
    return { passed: 0, failed: 1, skipped: 0 }
  }
}
console.log("\n── packages: scripts/packages.mjs")
const packages = await checkPackages()
const { tests: testsPassed, ...others } = stages
const tests = counted()
const passed = tests.passed + packages.passed + Object.values(others).filter(Boolean).length
const failed =
  Math.max(tests.failed, testsPassed ? 0 : 1) + packages.failed + Object.values(others).filter((ok) => !ok).length
for (const [name, ok] of Object.entries({ ...stages, packages: packages.failed === 0 }))
  console.log(`${ok ? "passed" : "FAILED"}  ${name}`)
console.log(`${passed} passed, ${failed} failed, ${tests.skipped + packages.skipped} skipped`)
process.exitCode = failed === 0 ? 0 : 1
