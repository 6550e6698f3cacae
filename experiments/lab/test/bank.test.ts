/** The committed cells are found only while the bank is where `CellBank` looks and a cell's name is still the same hash. */
import { readdirSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { Shared } from "@adafm/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Catalogue from "../declare/Catalogue.ts"
import * as Cell from "../declare/Cell.ts"
import * as ResultsFile from "../judge/ResultsFile.ts"
import * as CellRunner from "../run/CellRunner.ts"
import * as ExperimentPlan from "../run/ExperimentPlan.ts"

const BANKED = 127
const banked = readdirSync(join(Catalogue.lab, "bank", "cells")).sort()

/** The targets are in `../shared`, relative to the checkout. */
const before = process.cwd()
beforeAll(() => process.chdir(join(Catalogue.here, "..")))
afterAll(() => process.chdir(before))

test(`${BANKED} cells are in the bank, each under the hash of its own description`, async () => {
  expect(banked.length).toBe(BANKED)
  for (const id of banked) {
    const result = await CellRunner.read(id)
    expect(result && { id: result.id, hash: Cell.id(result.cell) }, id).toEqual({ id, hash: id })
  }
})

test("the committed results and the bank hold the same cells", async () => {
  const done = new Set<string>()
  for (const name of Catalogue.names()) {
    const file = join(Catalogue.here, name, "results.json")
    const { cells } = ResultsFile.ResultsFile.parse(JSON.parse(await readFile(file, "utf8")))
    for (const { id, status } of cells) if (status === "done") done.add(id)
  }
  expect([...done].sort()).toEqual(banked)
})

const NEEDED = [
  "data/flowers/flowers.zip",
  "data/cifar10/train.zip",
  "data/checkpoints/resnet-cifar10",
  "data/inception",
]

describe.skipIf(Shared.missing(...NEEDED))("with the photographs", () => {
  test("the plans of all experiments ask for every cell of the bank", async () => {
    const asked = new Set<string>()
    for (const name of Catalogue.names()) {
      const { entries } = await ExperimentPlan.make(await Catalogue.load(name), {
        profile: "standard",
        extractor: "inception-768",
      })
      for (const { order } of entries) asked.add(order.id)
    }
    expect(banked.filter((id) => !asked.has(id))).toEqual([])
  })
})
