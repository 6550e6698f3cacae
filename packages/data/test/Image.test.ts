import { crc32, gzipSync } from "node:zlib"
import { Failure, Layout, NdArray } from "@adafm/core"
import * as E from "fp-ts/lib/Either.js"
import type * as TE from "fp-ts/lib/TaskEither.js"
import sharp, { type CreateRaw } from "sharp"
import { describe, expect, test } from "vitest"
import * as Image from "../src/Image.ts"
import * as Limits from "../src/Limits.ts"
import { tiff } from "./tiff.ts"

const left = async <L>(task: TE.TaskEither<L, unknown>): Promise<L> => {
  const either = await task()
  if (E.isRight(either)) throw new Error("expected a failure")
  return either.left
}

const solid = (r: number, g: number, b: number, height = 6, width = 8): Promise<Buffer> =>
  sharp({ create: { height, width, channels: 3, background: { r, g, b } } })
    .png()
    .toBuffer()

describe("decoding", () => {
  const pixel = async (bytes: Uint8Array): Promise<readonly number[]> => [
    ...(await Failure.orThrow(Image.decode(bytes))).data.slice(0, 3),
  ]
  const from = (channels: 1 | 2 | 3 | 4, values: readonly number[]) =>
    sharp(
      Uint8Array.from({ length: channels * 4 }, (_, i) => values[i % channels]!),
      { raw: { width: 2, height: 2, channels } },
    )

  test("grey becomes RGB", async () => {
    expect(await pixel(await from(1, [77]).png().toBuffer())).toEqual([77, 77, 77])
    expect(await pixel(await from(1, [77]).toColourspace("b-w").png().toBuffer())).toEqual([77, 77, 77])
  })
  test("transparent pixels become white, also with a palette and in grey", async () => {
    expect(await pixel(await from(4, [10, 20, 30, 0]).png().toBuffer())).toEqual([255, 255, 255])
    expect(await pixel(await from(4, [0, 0, 0, 128]).png().toBuffer())).toEqual([127, 127, 127])
    expect(await pixel(await from(4, [10, 20, 30, 0]).png({ palette: true }).toBuffer())).toEqual([255, 255, 255])
    expect(await pixel(await from(2, [50, 0]).toColourspace("b-w").png().toBuffer())).toEqual([255, 255, 255])
  })
  test("with alpha transparency stays as a fourth channel, and is 255 where the file has none", async () => {
    const four = async (bytes: Uint8Array) => {
      const { shape, data } = await Failure.orThrow(Image.decode(bytes, true))
      return [...shape, ...data.slice(0, 4)]
    }
    expect(await four(await from(4, [10, 20, 30, 40]).png().toBuffer())).toEqual([2, 2, 4, 10, 20, 30, 40])
    expect(await four(await from(3, [10, 20, 30]).png().toBuffer())).toEqual([2, 2, 4, 10, 20, 30, 255])
    expect(await four(await from(2, [50, 60]).toColourspace("b-w").png().toBuffer())).toEqual([2, 2, 4, 50, 50, 50, 60])
    expect(await four(tiff(2, 2, 4, new Float32Array(16).fill(0.5)))).toEqual([2, 2, 4, 128, 128, 128, 128])
    expect(await four(tiff(2, 2, 1, new Float32Array(4).fill(0.5)))).toEqual([2, 2, 4, 128, 128, 128, 255])
  })

  test.each([
    { name: "grey, 0 to 1", channels: 1, values: [0, 0.25, 0.5, 1], red: [0, 64, 128, 255] },
    { name: "grey, 0 to 255", channels: 1, values: [0, 64, 127.6, 255], red: [0, 64, 128, 255] },
    { name: "RGB, 0 to 1", channels: 3, values: [0.5, 0, 0, 1, 0.25, 0], red: [128, 255] },
    { name: "RGBA, 0 to 1, on white", channels: 4, values: [0.5, 0, 0, 1, 0, 0, 0, 0], red: [128, 255] },
  ] as const)("floating-point pixels: $name", async ({ channels, values, red }) => {
    const image = await Failure.orThrow(
      Image.decode(tiff(values.length / channels, 1, channels, Float32Array.from(values))),
    )
    expect([...image.data].filter((_, i) => i % 3 === 0)).toEqual(red)
  })
  test.each([
    { name: "NaN", samples: Float32Array.of(0, Number.NaN, 0, 0), message: /NaN; convert/ },
    { name: "numbers below 0", samples: Float32Array.of(-1, 0, 1, 1), message: /from -1 to 1; expected 0 to 1, or/ },
    { name: "numbers beyond 255", samples: Float32Array.of(0, 0, 0, 1000), message: /from 0 to 1000/ },
    { name: "integers of 32 bits", samples: Uint32Array.of(0, 1, 2, 3), message: /type uint, which is not read/ },
    { name: "signed integers", samples: Int16Array.of(0, 1, 2, 3), message: /type short, which is not read/ },
  ])("a TIFF of $name is refused with what was found", async ({ samples, message }) => {
    expect(await left(Image.decode(tiff(2, 2, 1, samples)))).toMatchObject({
      _tag: "BadImage",
      message: expect.stringMatching(message),
    })
  })
  test("a floating-point file is reported as one", async () => {
    expect(await Image.oddities(tiff(2, 2, 1, new Float32Array(4)))).toEqual(["floating"])
  })

  test("of 16 bits the upper eight are kept, in colour and in grey", async () => {
    const colour = sharp(
      Uint16Array.from({ length: 12 }, (_, i) => [0x12ff, 0x8000, 0xff00][i % 3]!),
      {
        raw: { width: 2, height: 2, channels: 3, depth: "ushort" } as CreateRaw,
      },
    )
    expect(await pixel(await colour.toColourspace("rgb16").png().toBuffer())).toEqual([0x12, 0x80, 0xff])
    const grey = sharp(new Uint16Array(4).fill(0x4567), {
      raw: { width: 2, height: 2, channels: 1, depth: "ushort" } as CreateRaw,
    })
    expect(await pixel(await grey.toColourspace("grey16").png().toBuffer())).toEqual([0x45, 0x45, 0x45])
  })
  test("CMYK becomes RGB, not its complement", async () => {
    const [r, g, b] = await pixel(await from(3, [250, 5, 5]).toColourspace("cmyk").jpeg({ quality: 95 }).toBuffer())
    expect(r).toBeGreaterThan(180)
    expect(Math.max(g!, b!)).toBeLessThan(90)
  })
  test("EXIF orientation is applied", async () => {
    const turned = await sharp(await solid(1, 2, 3, 4, 9))
      .withExif({})
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer()
    expect((await Failure.orThrow(Image.decode(turned))).shape).toEqual([9, 4, 3])
  })
  test("of an animation the first frame is decoded", async () => {
    const frames = sharp(
      Uint8Array.from({ length: 2 * 4 * 3 }, (_, i) => (i < 12 ? 200 : 20)),
      { raw: { width: 2, height: 4, channels: 3, pageHeight: 2 } as CreateRaw },
    )
    const webp = await frames.webp({ lossless: true, loop: 0, delay: [100, 100] }).toBuffer()
    const gif = await frames.gif({ delay: [100, 100] }).toBuffer()
    expect((await Failure.orThrow(Image.decode(webp))).shape).toEqual([2, 2, 3])
    expect(await pixel(webp)).toEqual([200, 200, 200])
    expect((await Failure.orThrow(Image.decode(gif))).shape).toEqual([2, 2, 3])
  })
  test("properties that other programs decode differently are found in the header", async () => {
    const plain = await solid(1, 2, 3)
    const deep = sharp(new Uint16Array(12).fill(300), {
      raw: { width: 2, height: 2, channels: 3, depth: "ushort" } as CreateRaw,
    })
    const frames = sharp([plain, await solid(9, 9, 9)], { join: { animated: true } })
    const files = {
      "": plain,
      turned: await sharp(plain).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
      transparent: await from(4, [1, 2, 3, 4]).png().toBuffer(),
      deep: await deep.toColourspace("rgb16").png().toBuffer(),
      cmyk: await from(3, [250, 5, 5]).toColourspace("cmyk").jpeg().toBuffer(),
      animated: await frames.webp({ lossless: true, loop: 0, delay: [100, 100] }).toBuffer(),
    }
    for (const [name, bytes] of Object.entries(files))
      expect(await Image.oddities(bytes), name).toEqual(name === "" ? [] : [name])
    expect(await Image.oddities(Buffer.from("no image"))).toEqual([])
  })
  test("a truncated JPEG or PNG is a failure, and so is text", async () => {
    const noise = sharp(
      Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * 7919) % 251),
      { raw: { width: 64, height: 64, channels: 3 } },
    )
    for (const bytes of [await noise.clone().jpeg().toBuffer(), await noise.clone().png().toBuffer()])
      expect(await left(Image.decode(bytes.subarray(0, bytes.length * 0.6)))).toMatchObject({ _tag: "BadImage" })
    expect(await left(Image.decode(Buffer.from("no image")))).toMatchObject({ _tag: "BadImage" })
  })
  test("the reason for an unsupported file follows from its bytes, not from its name", async () => {
    const message = async (text: string) => (await left(Image.decode(Buffer.from(text, "latin1")))).message
    expect(await message("")).toBe("the file is empty")
    expect(await message("\0\0\0\x1cftypheic\0\0\0\0mif1heic")).toBe(
      "this is a HEIC file, which is not supported; convert it to JPEG",
    )
    expect(await message("<html>404 Not Found</html>")).toBe("the content is not PNG, JPEG, WebP, GIF, TIFF or AVIF")
  })
  const SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>'
  test.each([
    { name: "SVG", text: SVG },
    { name: "SVG after an XML declaration", text: `<?xml version="1.0"?>\n${SVG}` },
    { name: "SVG after spaces", text: `\n\n  ${SVG}` },
    { name: "SVG after the mark of GIF", text: `GIF89a${SVG}` },
    { name: "SVG after the mark of WebP", text: `RIFF0000WEBP${SVG}` },
    { name: "compressed SVG", text: gzipSync(SVG).toString("latin1") },
    { name: "PPM", text: "P3 1 1 255 1 2 3\n" },
    { name: "Radiance", text: "#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 1 +X 1\n0000" },
    { name: "PDF", text: "%PDF-1.4\n" },
    { name: "BMP", text: `BM${"\0".repeat(60)}` },
  ])("$name is refused before it is decoded", async ({ text }) => {
    const bytes = Buffer.from(text, "latin1")
    expect(await left(Image.decode(bytes))).toMatchObject({ _tag: "BadImage" })
    expect(await Image.oddities(bytes)).toEqual([])
    expect(await Image.pixels(bytes)).toBe(0)
  })
  test("an SVG that would take minutes to draw is refused at once", async () => {
    // each level draws the one before ten times
    const levels = Array.from({ length: 9 }, (_, i) => `<g id="l${i + 1}">${`<use href="#l${i}"/>`.repeat(10)}</g>`)
    const bomb = `<svg xmlns="http://www.w3.org/2000/svg"><defs><g id="l0"><circle r="9"/></g>${levels.join("")}</defs><use href="#l9"/></svg>`
    expect((await left(Image.decode(Buffer.from(bomb)))).message).toBe(
      "the content is not PNG, JPEG, WebP, GIF, TIFF or AVIF",
    )
  })
  test.each(["png", "jpeg", "webp", "gif", "tiff", "avif"] as const)(
    "%s is decoded, and its pixels are known",
    async (format) => {
      const bytes = await sharp(await solid(200, 100, 50))
        .toFormat(format)
        .toBuffer()
      expect((await Failure.orThrow(Image.decode(bytes))).shape).toEqual([6, 8, 3])
      expect(await Image.pixels(bytes)).toBe(48)
    },
  )
  test("big-endian TIFF and BigTIFF are decoded", async () => {
    const image = sharp(await solid(200, 100, 50))
    for (const bytes of [
      await image.clone().tiff({ bigtiff: true }).toBuffer(),
      await image.clone().tiff({ compression: "deflate" }).toBuffer(),
    ])
      expect((await Failure.orThrow(Image.decode(bytes))).shape).toEqual([6, 8, 3])
  })
  test("a picture of more pixels than the limit is refused by its header", async () => {
    const png = await solid(1, 2, 3)
    // IHDR: width and height at bytes 16 to 23, its CRC-32 at 29
    png.writeUInt32BE(20_000, 16)
    png.writeUInt32BE(20_000, 20)
    png.writeUInt32BE(crc32(png.subarray(12, 29)) >>> 0, 29)
    expect((await left(Image.decode(png))).message).toBe(
      `the picture has more than ${Limits.PIXELS} pixels, which is the limit`,
    )
  })
  test("damaged files decoded in parallel: each failure names a reason, once", async () => {
    const whole = await solid(10, 20, 30, 200, 200)
    const failures = await Promise.all(
      Array.from({ length: 40 }, (_, i) => left(Image.decode(whole.subarray(0, (whole.length * (50 + i)) / 100)))),
    )
    for (const { message } of failures) {
      expect(message).not.toBe("Unknown error")
      expect(message.split("; ")).toEqual([...new Set(message.split("; "))])
    }
  })
  test("a PNG file that is written and read gives an equal picture", async () => {
    const image = NdArray.make(
      "uint8",
      [2, 3, 3],
      Uint8Array.from({ length: 18 }, (_, i) => i * 14),
    )
    expect(await Failure.orThrow(Image.decode(await Failure.orThrow(Image.png(image))))).toEqual(image)
  })
})

describe("contact sheets and batches", () => {
  test("rows first, white gaps, small pictures enlarged", () => {
    const dot = (v: number) => NdArray.make("uint8", [1, 1, 3], Uint8Array.of(v, v, v))
    const sheet = Image.sheet([dot(1), dot(2), dot(3)], { columns: 2, gap: 1, scale: 2 })
    expect(sheet.shape).toEqual([5, 5, 3])
    const at = (y: number, x: number) => sheet.data[(y * 5 + x) * 3]
    expect([at(0, 0), at(1, 1), at(0, 2), at(0, 3), at(3, 0), at(4, 4)]).toEqual([1, 1, 255, 2, 3, 255])
    expect(() => Image.sheet([])).toThrow("at least one")
  })
  test("NCHW and NHWC give equal pictures, one channel becomes grey, four show on white", () => {
    const nchw = NdArray.float32([1, 3, 1, 2], [-1, 1, 0, 0, 1, -1])
    const nhwc = NdArray.float32([1, 1, 2, 3], [-1, 0, 1, 1, 0, -1])
    expect(Image.fromNchw(nchw)).toEqual(Image.fromNchw(Layout.imagesToFile(nhwc)))
    expect([...Image.fromNchw(nchw)[0]!.data]).toEqual([0, 128, 255, 255, 128, 0])
    expect([...Image.fromNchw(NdArray.float32([1, 1, 1, 1], [1]))[0]!.data]).toEqual([255, 255, 255])
    expect(() => Image.fromNchw(NdArray.float32([1, 2, 1, 1], [0, 0]))).toThrow(
      "expected images [N, 1, 3 or 4, H, W], got [1, 2, 1, 1]",
    )
    const rgba = NdArray.float32([1, 4, 1, 1], [-1, 0, 1, 0])
    expect([...Image.fromNchw(rgba, true)[0]!.data]).toEqual([0, 128, 255, 128])
    expect([...Image.fromNchw(rgba)[0]!.data]).toEqual([127, 191, 255])
  })
})
