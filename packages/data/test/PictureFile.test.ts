import { spawnSync } from "node:child_process"
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, NdArray } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import sharp from "sharp"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import type * as Image from "../src/Image.ts"
import * as PictureFile from "../src/PictureFile.ts"

let folder = ""
const at = (name: string): string => join(folder, name)
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-pictures-"))
})
afterAll(() => rm(folder, { recursive: true }))
afterEach(() => {
  delete process.env.ADAFM_FFMPEG
})

/** A picture of one colour. */
const solid = (height: number, width: number, ...colour: readonly number[]): Image.Rgb =>
  NdArray.make(
    "uint8",
    [height, width, 3],
    Uint8Array.from({ length: height * width * 3 }, (_, i) => colour[i % 3]!),
  )

/** An independent reader: the frames of a file, as their first pixels. */
const frames = async (file: string): Promise<readonly (readonly number[])[]> => {
  const { pages = 1, pageHeight = 0 } = await sharp(file, { animated: true }).metadata()
  const { data, info } = await sharp(file, { animated: true }).removeAlpha().raw().toBuffer({ resolveWithObject: true })
  const height = pages === 1 ? info.height : pageHeight
  return Array.from({ length: pages }, (_, k) => [...data.subarray(k * height * info.width * 3).subarray(0, 3)])
}
const failure = async (
  task: () => Promise<E.Either<Failure.Failure, unknown>>,
): Promise<Failure.Failure | undefined> => {
  const outcome = await task()
  return E.isLeft(outcome) ? outcome.left : undefined
}

const [RED, GREEN, BLUE] = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
] as const

describe("a picture is written in the format that its name says", () => {
  test.each([
    { name: "a.png", format: "png" },
    { name: "a.PNG", format: "png" },
    { name: "a.jpg", format: "jpeg" },
    { name: "a.jpeg", format: "jpeg" },
    { name: "a.webp", format: "webp" },
    { name: "a.tif", format: "tiff" },
    { name: "a.avif", format: "heif" },
  ])("$name is $format", async ({ name, format }) => {
    await Failure.orThrow(PictureFile.write(at(name), solid(8, 12, 200, 100, 50)))
    const found = await sharp(at(name)).metadata()
    expect([found.format, found.width, found.height]).toEqual([format, 12, 8])
    const [[r, g, b] = []] = await frames(at(name))
    expect(Math.max(Math.abs(r! - 200), Math.abs(g! - 100), Math.abs(b! - 50))).toBeLessThanOrEqual(2)
  })

  test.each(["a.gif", "a.mp4", "a.xyz", "a", "dir.png/a"])("%s is refused, and nothing is written", async (name) => {
    const refused = await failure(PictureFile.write(at(`refused-${name}`), solid(2, 2, 0, 0, 0)))
    expect(refused).toMatchObject({ _tag: "UnknownFormat", file: at(`refused-${name}`) })
    expect((await readdir(folder)).filter((file) => file.startsWith("refused"))).toEqual([])
  })
})

describe("an animation", () => {
  test.each([".gif", ".webp"])("as %s has its frames, their times, and repeats for ever", async (ending) => {
    const file = at(`walk${ending}`)
    const pictures = [RED, GREEN, BLUE].map((colour) => solid(6, 10, ...colour))
    await Failure.orThrow(PictureFile.animate(file, { frames: pictures, fps: 20, rest: 500 }))
    const { pages, pageHeight, width, delay, loop, format } = await sharp(file, { animated: true }).metadata()
    expect({ pages, pageHeight, width, delay, loop, format }).toEqual({
      pages: 3,
      pageHeight: 6,
      width: 10,
      delay: [50, 50, 550],
      loop: 0,
      format: ending.slice(1),
    })
    expect(await frames(file)).toEqual([RED, GREEN, BLUE])
  })

  test("under another name is refused", async () => {
    for (const name of ["a.png", "a.avi", "a.MOV"]) {
      expect(() => PictureFile.isAnimation(name), name).toThrow(/written as .gif, .webp, .mp4 or .webm/)
      const refused = await failure(PictureFile.animate(at(name), { frames: [solid(2, 2, 0, 0, 0)], fps: 1 }))
      expect(refused, name).toMatchObject({ _tag: "UnknownFormat" })
    }
    expect(["pictures", "runs/v1.2", "a.gif", "b.WebM"].map(PictureFile.isAnimation)).toEqual([
      false,
      false,
      true,
      true,
    ])
  })

  test("as video says how to install ffmpeg where it is missing", async () => {
    process.env.ADAFM_FFMPEG = at("no-such-program")
    const refused = await failure(PictureFile.animate(at("none.mp4"), { frames: [solid(2, 2, 0, 0, 0)], fps: 1 }))
    expect(refused).toMatchObject({ _tag: "NoFfmpeg", file: at("none.mp4"), message: expect.stringContaining(".gif") })
  })

  test.skipIf(process.platform === "win32")(
    "as video hands ffmpeg every frame, and leaves nothing after a failure",
    async () => {
      const program = at("ffmpeg")
      // the last argument is the file to write
      await writeFile(program, '#!/bin/sh\nfor last; do :; done\necho "$@" > "$last"\ncat | wc -c >> "$last"\n', {
        mode: 0o755,
      })
      process.env.ADAFM_FFMPEG = program
      const pictures = Array.from({ length: 50 }, () => solid(64, 64, 1, 2, 3))
      await Failure.orThrow(PictureFile.animate(at("fed.webm"), { frames: pictures, fps: 24 }))
      const { stdout } = spawnSync("cat", [at("fed.webm")], { encoding: "utf8" })
      expect(stdout).toMatch(/-f rawvideo -pix_fmt rgb24 -s 64x64 -r 24 -i - .*libvpx-vp9/)
      expect(stdout.trim().split("\n").at(-1)!.trim()).toBe(String(50 * 64 * 64 * 3))
      await writeFile(program, '#!/bin/sh\nfor last; do :; done\necho half > "$last"\necho no codec >&2\nexit 3\n')
      const refused = await failure(PictureFile.animate(at("failed.mp4"), { frames: pictures, fps: 24 }))
      expect(refused).toMatchObject({ _tag: "FfmpegFailed", message: "ffmpeg ended with code 3: no codec" })
      expect((await readdir(folder)).filter((file) => file.startsWith("failed"))).toEqual([])
    },
  )
})
