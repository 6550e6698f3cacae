import { Drawn } from "@adafm/data"
import { Shared } from "@adafm/testkit"
import { expect, test } from "vitest"
import * as TargetImages from "./TargetImages.ts"

/** 300 images of two classes, three by each photographer. */
const set = {
  names: Array.from({ length: 300 }, (_, i) => `${i < 200 ? "a" : "b"}/${String(i).padStart(3, "0")}.jpg`),
  labels: Int32Array.from({ length: 300 }, (_, i) => (i < 200 ? 0 : 1)),
  classes: ["a", "b"],
}
const by = (name: string): string => String(Number(name.slice(2, 5)) % 100)

test("a split puts every image on one side and no photographer on both", () => {
  const { pool, heldOut } = TargetImages.split(set, by)
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

test("photographers are read from a licence file, other lines are ignored", () => {
  const text =
    "All images …\n\ndaisy/1.jpg CC-BY by A B - https://x.org/1/\nroses/2.jpg CC-BY by A - B - https://x.org/2\nx/3.jpg CC-BY https://x.org/p/ - by C  D\n"
  expect([...TargetImages.photographers(text)]).toEqual([
    ["daisy/1.jpg", "A B"],
    ["roses/2.jpg", "A - B"],
    ["x/3.jpg", "C  D"],
  ])
})

const names = ({ places }: TargetImages.Target) => ({
  train: places.train.names,
  choosing: places.choosing.names,
  reporting: places.reporting.names,
})
const shares = (a: readonly string[], b: readonly string[]): boolean => a.some((name) => b.includes(name))

test("draws of one seed are nested, come from the pool and share nothing with the held-out images", async () => {
  const path = "drawn:flowers?count=60&size=8"
  const [small, large] = [
    names(await TargetImages.open(path, { draw: 1, images: 10 })),
    names(await TargetImages.open(path, { draw: 1, images: 30 })),
  ]
  expect(large.train).toEqual(expect.arrayContaining([...small.train]))
  expect(small.train).not.toEqual(names(await TargetImages.open(path, { draw: 2, images: 10 })).train)
  expect(shares(small.choosing, large.train) || shares(small.reporting, large.train)).toBe(false)
  expect(shares(small.choosing, small.reporting)).toBe(false)
  const all = [...small.choosing, ...small.reporting].sort()
  expect(all).toEqual(Drawn.flowers({ count: 60, split: "held-out" }).names.toSorted())
})

const photographs = Shared.path("data/flowers/flowers.zip")

test.skipIf(photographs === undefined)("no photographer of one side of the flowers is on another", async () => {
  const { train, choosing, reporting } = names(await TargetImages.open(photographs!, { draw: 0, images: 500 }))
  const { readFile } = await import("node:fs/promises")
  const authors = TargetImages.photographers(await readFile(Shared.path("data/flowers/LICENSE.txt")!, "utf8"))
  expect(authors.size).toBeGreaterThan(2000)
  expect([...train, ...choosing, ...reporting].filter((name) => !authors.has(name))).toEqual([])
  const by = (side: readonly string[]): readonly string[] => [...new Set(side.map((name) => authors.get(name)!))]
  expect(shares(by(train), by(choosing)) || shares(by(train), by(reporting))).toBe(false)
  expect(shares(by(choosing), by(reporting))).toBe(false)
  expect(train.length).toBe(500)
  expect(choosing.length).toBeGreaterThan(300)
  expect(reporting.length).toBeGreaterThan(300)
})

const cifar = Shared.path("data/cifar10/train.zip")

test.skipIf(cifar === undefined)("a class of a set with its own test images is judged by those", async () => {
  const { places, pool, name } = await TargetImages.open(`${cifar}#horse`, { draw: 0, images: 100 })
  expect({ name, pool }).toEqual({ name: "horse", pool: 5000 })
  expect(places.train.names.length).toBe(100)
  expect(places.choosing.names.length + places.reporting.names.length).toBe(1000)
  expect(places.reporting.path).toBe(Shared.path("data/cifar10/test.zip"))
  expect([...places.train.names, ...places.reporting.names].every((n) => n.startsWith("horse/"))).toBe(true)
})

test("the description of a split names every image and hashes every side", async () => {
  const path = "drawn:flowers?count=60&size=8"
  const [a, b] = await Promise.all([0, 1].map((draw) => TargetImages.open(path, { draw, images: 10 })))
  const written = JSON.parse(
    JSON.stringify([TargetImages.describe(a!), TargetImages.describeDraw(0, a!), TargetImages.describeDraw(1, b!)]),
  )
  const [split, ...draws] = written
  expect([...split.choosing.names, ...split.reporting.names].sort()).toEqual(
    Drawn.flowers({ count: 60, split: "held-out" }).names.toSorted(),
  )
  expect(draws.map((d: { draw: number; train: { images: number } }) => [d.draw, d.train.images])).toEqual([
    [0, 10],
    [1, 10],
  ])
  const hashes = [split.choosing, split.reporting, draws[0].train, draws[1].train].map(({ sha256 }) => sha256)
  expect(new Set(hashes).size).toBe(4)
  expect(hashes.every((h) => /^[0-9a-f]{64}$/.test(h))).toBe(true)
})
