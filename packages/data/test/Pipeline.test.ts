import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, NdArray, Safetensors } from "@adafm/core"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as ImageSet from "../src/ImageSet.ts"
import * as Pipeline from "../src/Pipeline.ts"
import * as Subset from "../src/Subset.ts"

let root = ""
let set: ImageSet.ImageSet
/** Ten 4×4 images with alternating labels; image i is black, except for red = 10·i in its left column. */
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "adafm-pipeline-"))
  const images = NdArray.make(
    "uint8",
    [10, 3, 4, 4],
    Uint8Array.from({ length: 480 }, (_, at) => (at % 48 < 16 && at % 4 === 0 ? 10 * Math.floor(at / 48) : 0)),
  )
  const labels = NdArray.int32(
    [10],
    Array.from({ length: 10 }, (_, i) => i % 2),
  )
  await Failure.orThrow(Safetensors.write(join(root, "set.safetensors"), { images, labels }))
  set = await Failure.orThrow(ImageSet.open(join(root, "set.safetensors")))
})
afterAll(async () => {
  await set.close()
  await rm(root, { recursive: true, force: true })
})

describe("order", () => {
  test("an epoch shows every image at most once, drops what does not fill a batch, and is shuffled independently", () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 99 }),
        (count, batch, seed) => {
          const of = Pipeline.order(count, batch, seed)
          const perEpoch = Math.floor(count / batch)
          const first = Array.from({ length: perEpoch }, (_, step) => [...of(step)]).flat()
          expect(new Set(first).size).toBe(perEpoch * batch)
          expect(of(5)).toEqual(Pipeline.order(count, batch, seed)(5))
        },
      ),
    ))
  test("a set smaller than a batch is repeated evenly", () => {
    const of = Pipeline.order(3, 7, 1)
    const shown = [...of(0), ...of(1), ...of(2)]
    expect([0, 1, 2].map((i) => shown.filter((s) => s === i).length)).toEqual([7, 7, 7])
  })
})

describe("batches", () => {
  const options = { size: 4, batch: 4, seed: 3 }
  test("are grey as Pillow's mode L for a network of one channel", async () => {
    const grey = await Failure.orThrow(
      Pipeline.open(set, { ...options, batch: 10, channels: 1, flip: false, dither: false }),
    )
    const { x } = await grey.batch(0)
    expect(x.shape).toEqual([10, 4, 4, 1])
    const left = Array.from({ length: 10 }, (_, i) => Math.round((x.data[i * 16]! + 1) * 127.5)).sort((a, b) => a - b)
    // Image.new("RGB", (1, 1), (red, 0, 0)).convert("L").getpixel((0, 0)) for red 0, 10, …, 90
    expect(left).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 24, 27])
  })
  test("a step's batch depends only on (seed, step): in any order, resumed, cached or decoded again", async () => {
    const [a, b] = [
      await Failure.orThrow(Pipeline.open(set, options)),
      await Failure.orThrow(Pipeline.open(set, { ...options, cacheBytes: 0 })),
    ]
    const forward = [await a.batch(0), await a.batch(1), await a.batch(2)]
    const backward = [await b.batch(2), await b.batch(1), await b.batch(0)].reverse()
    expect(backward).toEqual(forward)
    expect(await (await Failure.orThrow(Pipeline.open(set, { ...options, seed: 4 }))).batch(0)).not.toEqual(forward[0])
  })
  test("x is NHWC in [-1, 1] plus a dither below 1/128, y is the class", async () => {
    const { x, y } = await (await Failure.orThrow(Pipeline.open(set, { ...options, batch: 10 }))).batch(0)
    expect([x.shape, y.shape, y.dtype]).toEqual([[10, 4, 4, 3], [10], "int32"])
    for (let i = 0; i < 10; i++) {
      const red = Math.max(x.data[i * 48]!, x.data[i * 48 + 9]!)
      const level = Math.round(Math.floor((red + 1) * 127.5) / 10)
      expect(y.data[i]).toBe(level % 2)
      for (let k = 0; k < 48; k++) if (k % 3 !== 0) expect(x.data[i * 48 + k]).toBeGreaterThanOrEqual(-1)
      for (let k = 0; k < 48; k++) if (k % 3 !== 0) expect(x.data[i * 48 + k]).toBeLessThan(-1 + 1 / 128)
    }
  })
  test("a batch has the channels that the network has: Pillow's luma, or RGBA of opaque pictures", async () => {
    const plain = { ...options, flip: false, dither: false }
    const of = async (channels: 1 | 3 | 4) =>
      (await Failure.orThrow(Pipeline.open(set, { ...plain, channels }))).batch(2)
    const [grey, colour, transparent] = [(await of(1)).x, (await of(3)).x, (await of(4)).x]
    expect([grey.shape, transparent.shape]).toEqual([
      [4, 4, 4, 1],
      [4, 4, 4, 4],
    ])
    for (let i = 0; i < 64; i++) {
      const red = Math.round((colour.data[3 * i]! + 1) * 127.5)
      // the pictures have red alone
      expect(Math.round((grey.data[i]! + 1) * 127.5)).toBe((red * 19595 + 0x8000) >> 16)
      expect([...transparent.data.slice(4 * i, 4 * i + 4)]).toEqual([...colour.data.slice(3 * i, 3 * i + 3), 1])
    }
  })
  test("about half of the images are mirrored, and none without flip", async () => {
    const flipped = await Failure.orThrow(Pipeline.open(set, { ...options, batch: 10, dither: false }))
    const plain = await Failure.orThrow(Pipeline.open(set, { ...options, batch: 10, dither: false, flip: false }))
    let [mirrored, seen] = [0, 0]
    for (let step = 0; step < 40; step++) {
      const [a, b] = [await flipped.batch(step), await plain.batch(step)]
      for (let i = 0; i < 10; i++) {
        if (b.x.data[i * 48] === -1) continue
        seen++
        expect(b.x.data[i * 48 + 9]).toBe(-1)
        if (a.x.data[i * 48] === -1) mirrored++
      }
    }
    expect(mirrored / seen).toBeGreaterThan(0.4)
    expect(mirrored / seen).toBeLessThan(0.6)
  })
})

describe("subsets", () => {
  test("are balanced over the classes, nested, and determined by the seed", () =>
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 60 }),
        fc.nat(),
        (labels, limit, seed) => {
          const of = (n: number) =>
            Subset.places({ labels: Int32Array.from(labels), classes: ["a", "b", "c", "d"] }, { limit: n, seed })
          const chosen = of(limit)
          expect(new Set(chosen).size).toBe(Math.min(limit, labels.length))
          expect(of(limit + 5).slice(0, chosen.length)).toEqual(chosen)
          const left = [0, 1, 2, 3].filter(
            (k) => labels.filter((l) => l === k).length > chosen.filter((i) => labels[i] === k).length,
          )
          const counts = left.map((k) => chosen.filter((i) => labels[i] === k).length)
          if (left.length > 1) expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
        },
      ),
    ))
  test("perClass limits every class", () => {
    expect(Subset.take(set, { perClass: 2 }).labels.toSorted()).toEqual(Int32Array.of(0, 0, 1, 1))
    expect(Subset.take(set, {})).toBe(set)
  })
})

test("a subset of very many classes takes one image of each, and one large class among them costs nothing", () => {
  const count = 200_000
  const one = Int32Array.from({ length: count }, (_, i) => i)
  const classes = Array.from(one, String)
  expect(Subset.places({ labels: one, classes }, { limit: 3 })).toEqual([0, 1, 2])
  // the first class has half of all images
  const uneven = Int32Array.from({ length: 2 * count }, (_, i) => Math.max(0, i - count))
  const chosen = Subset.places({ labels: uneven, classes }, {})
  expect(chosen).toHaveLength(2 * count)
  expect(new Set(chosen).size).toBe(2 * count)
  expect(chosen.slice(1, 4)).toEqual([count + 1, count + 2, count + 3])
})
