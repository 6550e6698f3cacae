import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, expect, test } from "vitest"
import * as OutputFolder from "../src/files/OutputFolder.ts"

let root = ""
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "adafm-output-"))
})
afterEach(() => rm(root, { recursive: true }))

test("an earlier folder of the same files is replaced as a whole, and no temporary folder remains", async () => {
  const out = join(root, "new", "model")
  expect(await OutputFolder.write(out, { a: "1", b: "1" })()).toMatchObject({ _tag: "Right" })
  expect(await OutputFolder.write(out, { a: "2", b: "2", c: "2" })()).toMatchObject({ _tag: "Right" })
  expect(await readdir(out)).toEqual(["a", "b", "c"])
  expect(await readFile(join(out, "b"), "utf8")).toBe("2")
  expect(await readdir(join(root, "new"))).toEqual(["model"])
})

test("a folder with any other file is refused and stays unchanged", async () => {
  const out = join(root, "thesis")
  await mkdir(out)
  await writeFile(join(out, "thesis.tex"), "years of work")
  expect(await OutputFolder.write(out, { a: "1" })()).toMatchObject({ left: { _tag: "OutputExists", file: out } })
  expect(await readdir(out)).toEqual(["thesis.tex"])
})

test("content that fails on the way leaves the earlier folder unchanged", async () => {
  const out = join(root, "model")
  await OutputFolder.write(out, { a: "1" })()
  const failing = function* (): Generator<Uint8Array> {
    yield Uint8Array.of(1)
    throw new Error("the source broke off")
  }
  expect(await OutputFolder.write(out, { a: failing() })()).toMatchObject({ _tag: "Left" })
  expect(await readFile(join(out, "a"), "utf8")).toBe("1")
  expect(await readdir(root)).toEqual(["model"])
})
