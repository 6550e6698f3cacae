import { Drawn } from "@adafm/data"
import { Shared } from "@adafm/testkit"
import { expect, test } from "vitest"
import * as Target from "./Target.ts"

/** 300 images of two classes, three by each photographer. */
const set = {
  names: Array.from({ length: 300 }, (_, i) => `${i < 200 ? "a" : "b"}/${String(i).padStart(3, "0")}.jpg`),
  labels: Int32Array.from({ length: 300 }, (_, i) => (i < 200 ? 0 : 1)),
  classes: ["a", "b"],
}
const by = (name: string): string => String(Number(name.slice(2, 5)) % 100)

test("a split puts every image on one side and no photographer on both", () => {
  const { pool, heldOut } = Target.split(set, by)
  expect([...pool, ...heldOut].sort()).toEqual(set.names)
  const judges = new Set(heldOut.map(by))
  expect(pool.some((name) => judges.has(by(name)))).toBe(false)
  // 30 % of each class; a group of three may miss the mark by two
  for (const [letter, size] of [
    ["a", 200],
    ["b", 100],
  ] as const) {
    const count = heldOut.filter((name) => name.startsWith(letter)).length
    expect(Math.abs(count - 0.3 * size)).toBeLessThanOrEqual(3)
  }
})

test("photographers are read from a licence file, other lines are left alone", () => {
  const text =
    "All images …\n\ndaisy/1.jpg CC-BY by A B - https://x.org/1/\nroses/2.jpg CC-BY by A - B - https://x.org/2\nx/3.jpg CC-BY https://x.org/p/ - by C  D\n"
  expect([...Target.photographers(text)]).toEqual([
    ["daisy/1.jpg", "A B"],
    ["roses/2.jpg", "A - B"],
    ["x/3.jpg", "C  D"],
  ])
})

test("draws of one seed are nested, lie in the pool and share nothing with the held-out images", async () => {
  const path = "drawn:flowers?count=60&size=8"
  const [small, large] = [await Target.open(path, 1, 10), await Target.open(path, 1, 30)]
  expect(large.train).toEqual(expect.arrayContaining([...small.train]))
  expect(small.train).not.toEqual((await Target.open(path, 2, 10)).train)
  expect(small.heldOut.some((name) => large.train.includes(name))).toBe(false)
  expect(small.heldOut).toEqual(Drawn.flowers({ count: 60, split: "held-out" }).names)
})

const photographs = Shared.path("data/flowers/flowers.zip")

test.skipIf(photographs === undefined)("no photographer of a draw is among the held-out photographs", async () => {
  const { train, heldOut } = await Target.open(photographs!, 0, 500)
  const { readFile } = await import("node:fs/promises")
  const authors = Target.photographers(await readFile(Shared.path("data/flowers/LICENSE.txt")!, "utf8"))
  const judges = new Set(heldOut.map((name) => authors.get(name)))
  expect([...train, ...heldOut].filter((name) => !authors.has(name))).toEqual([])
  expect(authors.size).toBeGreaterThan(2000)
  expect(train.length).toBe(500)
  expect(heldOut.length).toBeGreaterThan(600)
  expect(train.filter((name) => judges.has(authors.get(name)))).toEqual([])
})
