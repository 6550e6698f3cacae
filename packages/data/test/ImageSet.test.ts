import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { Failure, NdArray, Safetensors } from "@adafm/core"
import { Shared } from "@adafm/testkit"
import * as E from "fp-ts/lib/Either.js"
import type * as TE from "fp-ts/lib/TaskEither.js"
import sharp from "sharp"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as DecodeMany from "../src/DecodeMany.ts"
import * as FolderFiles from "../src/FolderFiles.ts"
import * as ImageSet from "../src/ImageSet.ts"
import * as Limits from "../src/Limits.ts"
import { zip } from "./zip.ts"

let root = ""
const sets: ImageSet.ImageSet[] = []
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "adafm-data-"))
})
afterAll(async () => {
  for (const set of sets) await set.close()
  await rm(root, { recursive: true, force: true })
})

const left = async <L>(task: TE.TaskEither<L, unknown>): Promise<L> => {
  const either = await task()
  if (E.isRight(either)) throw new Error("expected a failure")
  return either.left
}

/** Opens a set, which is closed after the tests. */
const opened = async (path: string): Promise<ImageSet.ImageSet> => {
  const set = await Failure.orThrow(ImageSet.open(path))
  sets.push(set)
  return set
}

const solid = (r: number, g: number, b: number, height = 6, width = 8): Promise<Buffer> =>
  sharp({ create: { height, width, channels: 3, background: { r, g, b } } })
    .png()
    .toBuffer()

const folder = async (name: string, files: Readonly<Record<string, Uint8Array | string>>): Promise<string> => {
  for (const [file, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(root, name, file)), { recursive: true })
    await writeFile(join(root, name, file), bytes)
  }
  return join(root, name)
}

describe("names and classes", () => {
  test("sub-folders are classes in byte order; hidden files, text and __MACOSX are skipped", async () => {
    const png = await solid(1, 2, 3)
    const path = await folder("classes", {
      "b/1.png": png,
      "a/10.png": png,
      "a/9.PNG": png,
      "a/.hidden.png": png,
      "__MACOSX/a/9.png": png,
      "readme.txt": "x",
    })
    const set = await opened(path)
    expect(set.names).toEqual(["a/10.png", "a/9.PNG", "b/1.png"])
    expect(set.classes).toEqual(["a", "b"])
    expect([...set.labels]).toEqual([0, 0, 1])
  })

  test.skipIf(process.platform === "win32")(
    "a link to a picture is one; pipes, devices and links to them are left out and named",
    async () => {
      const path = await folder("special", { "a.png": await solid(1, 2, 3) })
      await symlink(join(path, "a.png"), join(path, "b.png"))
      execFileSync("mkfifo", [join(path, "c.png")])
      await symlink(join(path, "c.png"), join(path, "d.png"))
      await symlink("/dev/zero", join(path, "e.png"))
      await symlink("/dev/zero", join(path, "notes.txt"))
      const set = await opened(path)
      expect(set.names).toEqual(["a.png", "b.png"])
      expect(set.leftOut?.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
        { name: "c.png", reason: "a pipe" },
        { name: "d.png", reason: "a link to a pipe" },
        { name: "e.png", reason: "a link to a device" },
      ])
      expect(ImageSet.advice(set)).toContain("e.png (a link to a device)")
      for (const alone of ["c.png", "d.png", "e.png"])
        expect(await left(ImageSet.open(join(path, alone)))).toMatchObject({ file: join(path, alone) })
    },
  )

  describe.skipIf(process.platform === "win32")("links to folders", () => {
    test("are classes like other folders", async () => {
      const png = await solid(1, 2, 3)
      const store = await folder("store", { "dogs/1.png": png, "dogs/deep/2.png": png })
      const mixed = await folder("mixed", { "cats/1.png": png })
      const links = await folder("links", {})
      await mkdir(links)
      await symlink(join(store, "dogs"), join(mixed, "dogs"))
      for (const name of ["cats", "dogs"]) await symlink(join(mixed, name), join(links, name))
      for (const path of [mixed, links]) {
        const set = await opened(path)
        expect(set.names).toEqual(["cats/1.png", "dogs/1.png", "dogs/deep/2.png"])
        expect([set.classes, [...set.labels]]).toEqual([
          ["cats", "dogs"],
          [0, 1, 1],
        ])
        expect((await Failure.orThrow(set.decode(2))).data[0]).toBe(1)
      }
    })

    test("that lead back to a folder above them are left out and named", async () => {
      const path = await folder("looped", { "cats/1.png": await solid(1, 2, 3) })
      await symlink(path, join(path, "cats", "all"))
      await symlink(join(path, "cats"), join(path, "cats", "self"))
      await symlink(join(path, "b"), join(path, "a"))
      await symlink(join(path, "a"), join(path, "b"))
      const set = await opened(path)
      expect(set.names).toEqual(["cats/1.png"])
      expect(set.leftOut?.map(({ name }) => name).sort()).toEqual(["cats/all", "cats/self"])
    })

    test("are refused where a few of them make very many folders", async () => {
      // each of 7 folders holds two links to the next: 2^7 paths
      const path = await folder("many-links", { "7/1.png": await solid(1, 2, 3) })
      for (let level = 0; level < 7; level++) {
        await mkdir(join(path, String(level)))
        for (const name of ["a", "b"]) await symlink(join(path, String(level + 1)), join(path, String(level), name))
      }
      await expect(FolderFiles.list(join(path, "0"), 100)).rejects.toMatchObject({ failure: { _tag: "TooManyLinks" } })
      expect((await FolderFiles.list(join(path, "0"))).names.length).toBe(128)
    })
  })

  test("a folder around all others is not a class, and a flat folder has one class", async () => {
    const png = await solid(0, 0, 0)
    const wrapped = await opened(await folder("wrapped", { "all/x/1.png": png, "all/y/1.png": png }))
    expect(wrapped.classes).toEqual(["x", "y"])
    const flat = await opened(await folder("flat", { "1.png": png, "2.png": png }))
    expect(flat.classes).toEqual(["all"])
  })

  test("a zip, stored or deflated, and a folder of the same files have equal names, hash and pixels", async () => {
    const files = { "a/1.png": await solid(9, 8, 7), "b/2.png": await solid(1, 2, 3) }
    const entries = Object.entries(files).map(([name, bytes], i) => ({ name, bytes, deflate: i === 0 }))
    await writeFile(join(root, "same.zip"), zip(entries))
    const [a, b] = [await opened(await folder("same", files)), await opened(join(root, "same.zip"))]
    expect(b.names).toEqual(a.names)
    expect(await Failure.orThrow(ImageSet.hash(b))).toBe(await Failure.orThrow(ImageSet.hash(a)))
    expect((await Failure.orThrow(b.decode(0))).data).toEqual((await Failure.orThrow(a.decode(0))).data)
  })

  test("dataset.json gives the labels, folders give the classes' names", async () => {
    const png = await solid(0, 0, 0)
    const json = JSON.stringify({
      labels: [
        ["cat/1.png", 1],
        ["dog/1.png", 0],
      ],
    })
    await writeFile(
      join(root, "d.zip"),
      zip([
        { name: "cat/1.png", bytes: png },
        { name: "dog/1.png", bytes: png },
        { name: "dataset.json", bytes: Buffer.from(json) },
      ]),
    )
    const set = await opened(join(root, "d.zip"))
    expect([...set.labels]).toEqual([1, 0])
    expect(set.classes).toEqual(["dog", "cat"])
  })

  test.each([
    ["png", "png"],
    ["jfif", "jpeg"],
    ["gif", "gif"],
    ["TIFF", "tiff"],
    ["avif", "avif"],
  ] as const)("a single .%s is a set of one, whatever lies beside it", async (extension, format) => {
    const picture = await sharp(await solid(9, 9, 9))
      .toFormat(format)
      .toBuffer()
    const path = await folder(`single-${extension}`, { [`b.${extension}`]: picture, "a.png": "no picture" })
    const set = await opened(join(path, `b.${extension}`))
    expect([set.names, [...set.labels], set.classes]).toEqual([[`b.${extension}`], [0], ["all"]])
    expect((await Failure.orThrow(set.decode(0))).shape).toEqual([6, 8, 3])
  })

  test("a picked set keeps its classes and has a hash of its images alone", async () => {
    const set = await Failure.orThrow(
      ImageSet.open(await folder("picked", { "a/1.png": await solid(1, 1, 1), "b/1.png": await solid(2, 2, 2) })),
    )
    const one = ImageSet.pick(set, [1])
    expect([one.names, [...one.labels], one.classes]).toEqual([["b/1.png"], [1], ["a", "b"]])
    expect((await Failure.orThrow(one.decode(0))).data[0]).toBe(2)
    expect(await Failure.orThrow(ImageSet.hash(one))).not.toBe(await Failure.orThrow(ImageSet.hash(set)))
  })
})

describe("safetensors", () => {
  test("float images in [-1, 1] are quantised, labels are read", async () => {
    const path = join(root, "t.safetensors")
    const images = NdArray.float32([2, 3, 1, 1], [-1, 0, 1, -0.5, 2, -2])
    await Failure.orThrow(Safetensors.write(path, { images, labels: NdArray.int32([2], [1, 0]) }))
    const set = await opened(path)
    expect([...(await Failure.orThrow(set.decode(0))).data]).toEqual([0, 128, 255])
    expect([...(await Failure.orThrow(set.decode(1))).data]).toEqual([64, 255, 0])
    expect([[...set.labels], set.classes]).toEqual([
      [1, 0],
      ["0", "1"],
    ])
  })

  test.each([
    { name: "the largest of 32 bits", y: NdArray.int32([2], [0, 2_147_483_647]) },
    { name: "2^32, which is 0 in 32 bits", y: NdArray.make("int64", [2], BigInt64Array.of(0n, 2n ** 32n)) },
    { name: "one more than the limit", y: NdArray.int32([2], [0, 1_000_001]) },
    { name: "negative", y: NdArray.int32([2], [0, -1]) },
    { name: "a fraction", y: NdArray.float32([2], [0, 1.5]) },
    { name: "NaN", y: NdArray.float32([2], [0, Number.NaN]) },
    { name: "missing", y: NdArray.int32([1], [0]) },
  ])("a label that is $name is refused at once, and the file is closed", async ({ y }) => {
    const path = join(root, "labels.safetensors")
    const images = NdArray.make("uint8", [2, 1, 1, 1], Uint8Array.of(0, 1))
    for (const key of ["labels", "y"]) {
      await Failure.orThrow(Safetensors.write(path, { images, [key]: y }))
      expect(await left(ImageSet.open(path))).toMatchObject({ _tag: "BadTensor", path: "labels", file: path })
    }
    if (process.platform !== "linux") return
    const targets = await Promise.all(
      (await readdir("/proc/self/fd")).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")),
    )
    expect(targets).not.toContain(path)
  })

  test("a flipped bit is refused on opening", async () => {
    const path = join(root, "flipped.safetensors")
    await Failure.orThrow(Safetensors.write(path, { images: NdArray.float32([1, 1, 1, 1], [0]) }))
    const bytes = await readFile(path)
    bytes[bytes.length - 1]! ^= 2
    await writeFile(path, bytes)
    expect(await left(ImageSet.open(path))).toMatchObject({ _tag: "BadChecksum", path: "images", file: path })
  })

  test("a file without images, with a wrong shape or with NaN is refused", async () => {
    const path = join(root, "bad.safetensors")
    await Failure.orThrow(Safetensors.write(path, { x: NdArray.float32([1], [0]) }))
    expect(await left(ImageSet.open(path))).toMatchObject({ _tag: "NoImages", file: path })
    await Failure.orThrow(Safetensors.write(path, { images: NdArray.float32([1, 2, 1, 1], [0, 0]) }))
    expect(await left(ImageSet.open(path))).toMatchObject({ _tag: "BadTensor", path: "images" })
    await Failure.orThrow(Safetensors.write(path, { images: NdArray.float32([1, 1, 1, 1], [Number.NaN]) }))
    expect((await left((await opened(path)).decode(0))).message).toContain("NaN")
  })
})

describe("refusals name the file and the place", () => {
  test("a missing path, an empty folder, a folder without images, a zip without images", async () => {
    expect(await left(ImageSet.open(join(root, "absent")))).toMatchObject({
      _tag: "System.ENOENT",
      file: join(root, "absent"),
    })
    await mkdir(join(root, "empty"))
    expect(await left(ImageSet.open(join(root, "empty")))).toMatchObject({
      _tag: "NoImages",
      file: join(root, "empty"),
    })
    expect(await left(ImageSet.open(await folder("text", { "a.txt": "x" })))).toMatchObject({ _tag: "NoImages" })
    await writeFile(join(root, "none.zip"), zip([{ name: "a.txt", bytes: Buffer.from("x") }]))
    expect(await left(ImageSet.open(join(root, "none.zip")))).toMatchObject({ _tag: "NoImages" })
  })

  test("pictures in unsupported formats are counted and named, with the command that converts them", async () => {
    const files = { "a.png": await solid(5, 5, 5), "IMG_1.HEIC": "x", "sub/b.bmp": "x", "c.txt": "x" }
    const set = await opened(await folder("phone", files))
    expect(set.names).toEqual(["a.png"])
    expect(set.foreign).toEqual(["IMG_1.HEIC", "sub/b.bmp"])
    expect(ImageSet.advice(set)).toMatch(
      /^skipped 2 files: IMG_1\.HEIC, sub\/b\.bmp \(HEIC and BMP are not supported\); convert to JPEG first: `magick mogrify/,
    )
    expect(ImageSet.advice({ foreign: [] })).toBeUndefined()
    const none = await left(ImageSet.open(await folder("only", { "IMG_1.HEIC": "x" })))
    expect(none.message).toMatch(/among 1 file; skipped 1 file: IMG_1\.HEIC \(HEIC is not supported\); convert/)
  })

  test("a file that is not a zip, a truncated zip, a wrong CRC, a name that leaves the folder", async () => {
    const png = await solid(5, 5, 5)
    const whole = zip([{ name: "1.png", bytes: png }])
    const write = async (bytes: Uint8Array): Promise<string> => {
      await writeFile(join(root, "x.zip"), bytes)
      return join(root, "x.zip")
    }
    expect(await left(ImageSet.open(await write(Buffer.from("hello"))))).toMatchObject({ _tag: "BadZip" })
    expect(await left(ImageSet.open(await write(whole.subarray(0, whole.length - 30))))).toMatchObject({
      _tag: "BadZip",
    })
    const damaged = Buffer.from(whole)
    damaged[60]! ^= 1
    const set = await opened(await write(damaged))
    expect(await left(set.decode(0))).toMatchObject({ _tag: "BadZip", path: "1.png" })
    expect(await left(ImageSet.open(await write(zip([{ name: "../1.png", bytes: png }]))))).toMatchObject({
      _tag: "BadZip",
    })
  })

  /** Names and bytes as a set gives them; a picture that cannot be read is its failure. */
  const contentOf = async (path: string): Promise<string> => {
    const opening = await ImageSet.open(path)()
    if (E.isLeft(opening)) return `refused: ${opening.left._tag}`
    const set = opening.right
    const parts: string[] = []
    for (const [i, name] of set.names.entries()) {
      const read = await set.read(i)()
      parts.push(
        `${name} ${set.classes[set.labels[i]!]} ${E.isRight(read) ? Buffer.from(read.right).toString("hex") : "broken"}`,
      )
    }
    await set.close()
    return parts.join("\n")
  }

  test("no flipped bit of a zip loses, renames or changes a picture in silence", { timeout: 120_000 }, async () => {
    const whole = zip([
      { name: "cat/1.png", bytes: Buffer.from("one") },
      { name: "dög/2.png", bytes: Buffer.from("second second"), deflate: true },
    ])
    const path = join(root, "flips.zip")
    await writeFile(path, whole)
    const right = (await contentOf(path)).split("\n")
    expect(right.length).toBe(2)
    /** Refused, or every picture is there as it was, or known to be broken. */
    const isKnown = (found: string): boolean => {
      const lines = found.split("\n")
      const same = (line: string, i: number) => line === right[i] || line === right[i]?.replace(/\S+$/, "broken")
      return found.startsWith("refused") || (lines.length === right.length && lines.every(same))
    }
    const silent: number[] = []
    for (let bit = 0; bit < 8 * whole.length; bit++) {
      const flipped = Buffer.from(whole)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      await writeFile(path, flipped)
      if (!isKnown(await contentOf(path))) silent.push(bit)
    }
    expect(silent).toEqual([])
  })

  test("a zip may have names as archivers of Windows, macOS and Linux write them", async () => {
    const [one, two, three] = ["1", "2", "3"].map((text) => Buffer.from(text))
    const entries = [
      { name: "./cats/1.png", bytes: one! },
      { name: "dogs\\2.png", bytes: two! },
      { name: "dogs/", bytes: Buffer.alloc(0) },
    ]
    const path = join(root, "names.zip")
    await writeFile(path, zip(entries))
    expect((await opened(path)).names).toEqual(["cats/1.png", "dogs/2.png"])
    // without the flag of UTF-8, names are in code page 437, where ö is 0x94
    const old = zip([{ name: "dXg/3.png", bytes: three! }])
    for (const [at, flags] of [
      [old.indexOf("PK\x03\x04") + 6, 0],
      [old.indexOf("PK\x01\x02") + 8, 0],
    ] as const)
      old.writeUInt16LE(flags, at)
    for (let at = old.indexOf("dXg"); at >= 0; at = old.indexOf("dXg", at + 1)) old[at + 1] = 0x94
    await writeFile(path, old)
    expect((await opened(path)).names).toEqual(["dög/3.png"])
  })

  test("an entry that is too large, encrypted or packed in another way is broken, and the others are read", async () => {
    const path = join(root, "others.zip")
    const whole = zip([
      { name: "1.png", bytes: Buffer.from("one") },
      { name: "2.png", bytes: Buffer.alloc(Limits.BYTES + 1), deflate: true },
      { name: "3.png", bytes: Buffer.from("three") },
    ])
    // the third entry becomes one of method 12, bzip2
    const headers = ["PK\x03\x04", "PK\x01\x02"].map((mark) => whole.lastIndexOf(mark))
    whole.writeUInt16LE(12, headers[0]! + 8)
    whole.writeUInt16LE(12, headers[1]! + 10)
    await writeFile(path, whole)
    const set = await opened(path)
    const before = process.memoryUsage().rss
    expect(await Promise.all([0, 1, 2].map(async (i) => (await set.read(i)())._tag))).toEqual(["Right", "Left", "Left"])
    expect(await left(set.read(1))).toMatchObject({
      _tag: "BadZip",
      path: "2.png",
      message: expect.stringContaining("limit"),
    })
    expect(process.memoryUsage().rss - before).toBeLessThan(50_000_000)
  })

  test("a file that is too large is broken", async () => {
    const path = await folder("large", { "1.png": await solid(0, 0, 0), "2.png": "" })
    await truncate(join(path, "2.png"), Limits.BYTES + 1)
    const set = await opened(path)
    expect(await left(set.decode(1))).toMatchObject({ _tag: "TooLarge", path: "2.png" })
  })

  test.each([
    { name: "invalid JSON", json: "{", message: "not JSON" },
    { name: "a wrong structure", json: '{"labels": [["1.png"]]}', message: "expected" },
    { name: "a negative label", json: '{"labels": [["1.png", -1]]}', message: "expected" },
    { name: "an image without a label", json: '{"labels": [["2.png", 0]]}', message: "there is no label for 1.png" },
  ])("dataset.json with $name", async ({ name, json, message }) => {
    const failure = await left(
      ImageSet.open(await folder(`json ${name}`, { "1.png": await solid(0, 0, 0), "dataset.json": json })),
    )
    expect(failure).toMatchObject({ _tag: "BadDatasetJson", path: "dataset.json" })
    expect(failure.message).toContain(message)
  })
})

describe("broken images", () => {
  const seen = async (path: string): Promise<readonly [readonly number[], readonly DecodeMany.Broken[]]> => {
    const places: number[] = []
    const broken = await Failure.orThrow(DecodeMany.forEach(await opened(path), ({ place }) => void places.push(place)))
    return [places, broken]
  }
  const set = async (name: string, good: number, bad: number): Promise<string> => {
    const png = await solid(1, 1, 1)
    const files = Array.from(
      { length: good + bad },
      (_, i) => [`${String(i).padStart(3, "0")}.png`, i < bad ? png.subarray(0, 40) : png] as const,
    )
    return folder(name, Object.fromEntries(files))
  }
  test("a few are skipped, counted and named", async () => {
    const [places, broken] = await seen(await set("few", 38, 2))
    expect(places.length).toBe(38)
    expect(broken.map(({ name }) => name)).toEqual(["000.png", "001.png"])
  })
  test("more than five per cent fail with the name of the first", async () => {
    const failure = await left(DecodeMany.forEach(await opened(await set("many", 37, 3)), () => {}))
    expect(failure).toMatchObject({ _tag: "BrokenImages", path: "000.png", file: join(root, "many") })
  })
  test.skipIf(process.platform === "win32")("an unreadable image is skipped, and changes the hash", async () => {
    const path = await set("dangling", 3, 0)
    await symlink(join(path, "nowhere.png"), join(path, "003.png"))
    const [places, broken] = await seen(path)
    expect([places, broken.map(({ name }) => name)]).toEqual([[0, 1, 2], ["003.png"]])
    const all = await opened(path)
    const whole = ImageSet.pick(all, [0, 1, 2])
    const digests = await Promise.all([0, 1, 2].map((i) => Failure.orThrow(whole.digest(i))))
    expect(await Failure.orThrow(ImageSet.hash(whole))).toBe(ImageSet.hashOf(whole.names, digests))
    expect(await Failure.orThrow(ImageSet.hash(all))).toBe(ImageSet.hashOf(all.names, [...digests, "unreadable"]))
  })
  test("a set whose only image is broken fails", async () => {
    expect(await left(DecodeMany.forEach(await opened(await set("only", 0, 1)), () => {}))).toMatchObject({
      _tag: "BrokenImages",
    })
  })
})

const FLOWERS = "data/flowers/flowers.zip"
const FEATURES = "data/inception/flowers160-features.expected.safetensors"
describe.skipIf(Shared.missing(FLOWERS, FEATURES))("real photographs", () => {
  test("flowers.zip has its classes, and its JPEGs decode to Pillow's pixels", async () => {
    const set = await opened(Shared.path(FLOWERS)!)
    expect(set.classes).toEqual(["daisy", "dandelion", "roses", "sunflowers", "tulips"])
    expect(set.classes.map((_, k) => set.labels.filter((l) => l === k).length)).toEqual([633, 409, 641, 302, 390])
    const { metadata } = await Failure.orThrow(Safetensors.read(Shared.path(FEATURES)!))
    const [names, hashes] = [JSON.parse(metadata.names!) as string[], JSON.parse(metadata.sha256_rgb!) as string[]]
    for (const [i, name] of names.entries()) {
      const image = await Failure.orThrow(set.decode(set.names.indexOf(name)))
      expect(createHash("sha256").update(image.data).digest("hex"), name).toBe(hashes[i])
    }
  })
})

describe("labels", () => {
  const labelled = async (name: string, prefix: string, numbers: readonly number[]) => {
    const names = numbers.map((_, i) => `${i}.png`)
    const json = JSON.stringify({ labels: names.map((file, i) => [file, numbers[i]]) })
    const picture = await solid(9, 9, 9)
    const files = Object.fromEntries(names.map((file) => [`${prefix}${file}`, picture]))
    return opened(await folder(name, { ...files, [`${prefix}dataset.json`]: json }))
  }
  test.each([
    { name: "from 1", numbers: [1, 2, 2], classes: ["1", "2"], labels: [0, 1, 1] },
    { name: "with gaps", numbers: [5, 0, 1_000_000], classes: ["0", "5", "1000000"], labels: [1, 0, 2] },
  ])("$name make no class without images: dataset.json and tensors", async ({ name, numbers, classes, labels }) => {
    const set = await labelled(`labels ${name}`, "", numbers)
    expect([set.classes, [...set.labels]]).toEqual([classes, labels])
    const file = join(root, `labels ${name}.safetensors`)
    const images = NdArray.make("uint8", [3, 3, 1, 1], new Uint8Array(9))
    await Failure.orThrow(Safetensors.write(file, { images, labels: NdArray.int32([3], numbers) }))
    const tensors = await opened(file)
    expect([tensors.classes, [...tensors.labels]]).toEqual([classes, labels])
  })
  test("of a dataset.json next to the images of a zipped folder are read; one elsewhere is not theirs", async () => {
    expect((await labelled("inside", "mine/", [0, 1])).classes).toEqual(["0", "1"])
    const picture = await solid(9, 9, 9)
    const other = '{"labels": [["a.png", 3]]}'
    const set = await opened(
      await folder("elsewhere", { "x/a.png": picture, "y/b.png": picture, "x/dataset.json": other }),
    )
    expect(set.classes).toEqual(["x", "y"])
  })
})
