import { Failure } from "@adafm/core"
import { expect, test } from "vitest"
import * as Drawn from "../src/Drawn.ts"
import * as Heads from "../src/drawn/Heads.ts"
import * as ImageSet from "../src/ImageSet.ts"
import * as Subset from "../src/Subset.ts"

const digests = (set: ImageSet.ImageSet): Promise<readonly string[]> =>
  Promise.all(set.names.map((_, i) => Failure.orThrow(set.digest(i))))

test("a picture depends on the seed, the split and its number, not on the size of the set", async () => {
  const few = Drawn.flowers({ count: 10, seed: 1 })
  const many = Drawn.flowers({ count: 40, seed: 1 })
  const [a, b] = [await digests(few), await digests(many)]
  few.names.forEach((name, i) => {
    expect(a[i]).toBe(b[many.names.indexOf(name)])
  })
  expect(await digests(Drawn.flowers({ count: 10, seed: 2 }))).not.toContain(a[0])
})

test("no two pictures are equal, within a split or between splits", async () => {
  const train = await digests(Drawn.flowers({ count: 300 }))
  const held = await digests(Drawn.flowers({ count: 300, split: "held-out" }))
  expect(new Set([...train, ...held]).size).toBe(600)
})

test("pictures have the given size, and their middle differs from their corner", async () => {
  for (const size of [16, 32, 65]) {
    const set = Drawn.flowers({ count: 5, size })
    for (let i = 0; i < 5; i++) {
      const { shape, data } = await Failure.orThrow(set.decode(i))
      expect(shape).toEqual([size, size, 3])
      const middle = (Math.floor(size / 2) * size + Math.floor(size / 2)) * 3
      const apart = [0, 1, 2].reduce((sum, k) => sum + Math.abs(data[middle + k]! - data[k]!), 0)
      expect(apart).toBeGreaterThan(20)
    }
  }
})

test("the path of a set opens an equal set", async () => {
  const set = Drawn.flowers({ count: 7, size: 24, seed: 5, split: "held-out", species: ["tulip", "daisy"] })
  const again = await Failure.orThrow(Drawn.open(set.path))
  expect(again.names).toEqual(set.names)
  expect(again.classes).toEqual(["daisy", "tulip"])
  expect(await Failure.orThrow(ImageSet.hash(again))).toBe(await Failure.orThrow(ImageSet.hash(set)))
})

test("the species are the classes, equally large, in byte order", () => {
  const set = Drawn.flowers({ count: 23 })
  expect(set.classes).toEqual([...Heads.SPECIES])
  expect(Subset.take(set, { limit: 10 }).labels).toEqual(Int32Array.of(0, 0, 1, 1, 2, 2, 3, 3, 4, 4))
  expect([...set.names].sort()).toEqual(set.names)
})

test.each([
  { path: "drawn:cats", says: /drawn:flowers/ },
  { path: "drawn:flowers?count=0", says: /count/ },
  { path: "drawn:flowers?colour=red", says: /colour/ },
  { path: "drawn:flowers?species=oak", says: /species/ },
])("$path is refused with a reason", async ({ path, says }) => {
  const opened = await Drawn.open(path)()
  expect(opened).toMatchObject({ _tag: "Left", left: { message: expect.stringMatching(says) } })
})
