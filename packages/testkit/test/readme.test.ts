/** Every TypeScript example of every package's README runs unchanged, with its package's dependencies and in an empty folder. */
import { execFile } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describe, expect, test } from "vitest"

const packages = fileURLToPath(new URL("../../", import.meta.url))
const tsx = fileURLToPath(import.meta.resolve("tsx"))
const examples = readdirSync(packages).flatMap((name) => {
  const readme = `${packages}${name}/README.md`
  if (!existsSync(readme)) return []
  const blocks = [...readFileSync(readme, "utf8").matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!)
  return blocks.map((code, i) => ({ name, i, code }))
})

describe("the README examples run", () => {
  test.each(examples)("$name, example $i", async ({ name, i, code }) => {
    // imports resolve from the package; the example writes into a temporary folder, so nothing is left in the checkout
    const file = join(packages, name, `readme-example-${i}.tmp.mts`)
    const cwd = await mkdtemp(join(tmpdir(), "adafm-readme-"))
    await writeFile(file, code)
    try {
      const { stderr } = await promisify(execFile)(process.execPath, ["--import", tsx, file], { cwd })
      expect(stderr).not.toMatch(/Error/)
    } finally {
      await rm(file)
      await rm(cwd, { recursive: true })
    }
  })
})
