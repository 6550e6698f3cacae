import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { Failure } from "@adafm/core"
import { afterAll, beforeAll, expect, test } from "vitest"
import * as BundledDigests from "../src/run/BundledDigests.ts"
import * as BundledModels from "../src/run/BundledModels.ts"

let root = ""
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "adafm-bundled-"))
})
afterAll(() => rm(root, { recursive: true }))

test("every file that a bundled model is read from has its checksum", async () => {
  expect(BundledModels.names().length).toBeGreaterThan(0)
  for (const name of BundledModels.names()) {
    const folder = BundledModels.resolve(`builtin:${name}`)
    const read = (await readdir(folder)).filter((file) => /\.(json|safetensors)$/.test(file)).sort()
    expect(Object.keys(BundledDigests.DIGESTS[name] ?? {}).sort()).toEqual(read)
    await BundledDigests.verify(folder)
  }
})

test.each(["model.json", "generator.safetensors", "discriminator.safetensors"])(
  "a flipped bit in %s of a bundled model is refused by the file's name",
  async (name) => {
    const whole = BundledModels.resolve("builtin:cifar32-small")
    const folder = join(root, name, basename(whole))
    await cp(whole, folder, { recursive: true })
    const file = join(folder, name)
    const bytes = await readFile(file)
    for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
      await writeFile(file, bytes.with(at, bytes[at]! ^ 1))
      const { failure } = await BundledDigests.verify(folder).then(
        () => expect.fail("it is accepted"),
        (thrown) => ({ failure: Failure.fromThrown(thrown) }),
      )
      expect(failure).toMatchObject({
        _tag: "BadChecksum",
        file,
        message: expect.stringContaining("install the package @adafm/job again"),
      })
    }
  },
)
