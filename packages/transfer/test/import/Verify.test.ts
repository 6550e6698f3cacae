import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure } from "@adafm/core"
import { afterAll, beforeAll, expect, test } from "vitest"
import * as Import from "../../src/import/Import.ts"

let root = ""
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "adafm-verify-"))
})
afterAll(() => rm(root, { recursive: true }))

test("a graph that only ONNX Runtime refuses is a failure with the file's name, and --no-verify imports it", async () => {
  const whole = await readFile(join(import.meta.dirname, "../fixtures/graphs/pixelnorm-g.onnx"))
  const file = join(root, "damaged.onnx")
  // an attribute that no operator has; the operators' own default is the value that it had
  const damaged = Buffer.from(whole.toString("latin1").replaceAll("dilations", "dilatiOns"), "latin1")
  expect(damaged.equals(whole)).toBe(false)
  await writeFile(file, damaged)
  const imported = Import.importModel({ generator: file, out: join(root, "model") })
  await expect(Failure.orThrow(imported)).rejects.toMatchObject({
    failure: { _tag: "NotVerified", file, message: expect.stringContaining("--no-verify") },
  })
  const { verified } = await Failure.orThrow(
    Import.importModel({ generator: file, out: join(root, "model"), verify: false }),
  )
  expect(verified).toBe(null)
})
