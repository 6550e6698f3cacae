import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as E from "fp-ts/lib/Either.js"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import * as Files from "../src/files/Files.ts"

let root = ""
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "adafm-files-"))
})
afterEach(() => rm(root, { recursive: true }))

describe("a folder", () => {
  test("is created with its missing parents, also by several callers at once, and an existing one is kept", async () => {
    const deep = join(root, "a", "b", "c")
    await Promise.all([Files.folder(deep), Files.folder(deep), Files.folder(join(root, "a", "d"))])
    await writeFile(join(deep, "kept"), "")
    await Files.folder(deep)
    expect(await readdir(deep)).toEqual(["kept"])
    expect(await readdir(join(root, "a"))).toEqual(["b", "d"])
  })

  test("is refused where a file has its name or its parent's", async () => {
    await writeFile(join(root, "file"), "")
    await expect(Files.folder(join(root, "file"))).rejects.toMatchObject({ code: "EEXIST" })
    await expect(Files.folder(join(root, "file", "below"))).rejects.toMatchObject({ code: "ENOTDIR" })
  })

  test.skipIf(process.platform !== "linux")("is refused at once where the system allows none", async () => {
    await expect(Files.folder("/proc/adafm/run")).rejects.toMatchObject({ code: "ENOENT" })
  })
})

describe("a file", () => {
  test("replaces an earlier one completely", async () => {
    const file = join(root, "new", "file")
    for (const text of ["first", "second"]) expect(E.isRight(await Files.write(file, text)())).toBe(true)
    expect(await readFile(file, "utf8")).toBe("second")
    expect(await readdir(join(root, "new"))).toEqual(["file"])
  })

  test("that cannot be renamed into place is named in the failure, and no temporary file is left", async () => {
    const taken = join(root, "taken")
    await mkdir(join(taken, "full"), { recursive: true })
    const failed = await Files.write(taken, "text")()
    expect(E.isLeft(failed) && failed.left.file).toBe(taken)
    expect(await readdir(root)).toEqual(["taken"])
  })
})
