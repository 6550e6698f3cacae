/** Every TypeScript example of every package's README runs as it stands, from inside its package. */
import { execFile } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { rm, writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { describe, expect, test } from "vitest"

const packages = fileURLToPath(new URL("../../", import.meta.url))
const examples = readdirSync(packages).flatMap((name) => {
  const readme = `${packages}${name}/README.md`
  if (!existsSync(readme)) return []
  const blocks = [...readFileSync(readme, "utf8").matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code!)
  return blocks.map((code, i) => ({ name, i, code }))
})

describe("the README examples run", () => {
  test.each(examples)("$name, example $i", async ({ name, i, code }) => {
    const file = `${packages}${name}/readme-example-${i}.tmp.mts`
    await writeFile(file, code)
    try {
      const { stderr } = await promisify(execFile)("npx", ["tsx", file], { cwd: `${packages}${name}` })
      expect(stderr).not.toMatch(/Error/)
    } finally {
      await rm(file)
    }
  })
})
