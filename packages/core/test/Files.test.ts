import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as E from "fp-ts/lib/Either.js"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import * as Files from "../src/files/Files.ts"
import * as Durable from "../src/platform/Durable.ts"

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

describe.skipIf(process.platform === "win32")("what is read as a file", () => {
  test("is a regular file or a link to one; a pipe, a device and a folder are refused at once, also behind links", async () => {
    const [file, pipe] = [join(root, "file"), join(root, "pipe")]
    await writeFile(file, "text")
    expect(spawnSync("mkfifo", [pipe]).status).toBe(0)
    for (const [name, target] of Object.entries({ file, pipe, zero: "/dev/zero", folder: root }))
      await symlink(target, join(root, `link to ${name}`))
    for (const path of [file, join(root, "link to file")]) expect(await Files.readText(path)()).toEqual(E.right("text"))
    for (const read of [Files.read, Files.sha256, Files.readText, Files.readJson])
      for (const [path, what] of [
        [pipe, "a pipe"],
        [join(root, "link to pipe"), "a pipe"],
        ["/dev/zero", "a device"],
        [join(root, "link to zero"), "a device"],
      ] as const)
        expect(await read(path)()).toMatchObject({
          left: { _tag: "NotAFile", file: path, message: expect.stringContaining(what) },
        })
    expect(await Files.read(join(root, "link to folder"))()).toMatchObject({ left: { _tag: "System.EISDIR" } })
  })

  test("has at most as many bytes as the caller allows", async () => {
    await writeFile(join(root, "file"), "12345")
    expect(await Files.read(join(root, "file"), 4)()).toMatchObject({ left: { _tag: "TooLarge" } })
    expect(await Files.read(join(root, "file"), 5)()).toMatchObject({ right: { length: 5 } })
  })

  test("is named if it is not JSON", async () => {
    await writeFile(join(root, "file"), "{")
    expect(await Files.readJson(join(root, "file"))()).toMatchObject({
      left: { _tag: "BadJson", file: join(root, "file") },
    })
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

const FULL = "/dev/full"

test.skipIf(!existsSync(FULL))(
  "an append to a full disk names the file, which the system's error does not",
  async () => {
    await expect(Durable.appendFile(FULL, "text")).rejects.toMatchObject({ code: "ENOSPC", path: FULL })
    await Durable.appendFile(join(root, "log"), "one\n")
    await Durable.appendFile(join(root, "log"), "two\n")
    expect(await readFile(join(root, "log"), "utf8")).toBe("one\ntwo\n")
  },
)
