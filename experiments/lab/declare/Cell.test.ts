import { Surgery } from "@adafm/transfer"
import { expect, test } from "vitest"
import * as CellRunner from "../run/CellRunner.ts"
import * as Catalogue from "./Catalogue.ts"
import * as Cell from "./Cell.ts"

/** S of the 32 px source: doublings from 4 px. */
const STAGES = 3

test.each([
  { experiment: "convergence", variant: "adafm", id: "a017eeeb1fe3940e" },
  { experiment: "ablation-layers", variant: "low-random-frozen", id: "7768499604aac479" },
  { experiment: "baselines", variant: "freeze-d", id: "177f167944a475d2" },
])("$variant of $experiment is declared as the committed cell $id", async ({ experiment, variant: wanted, id }) => {
  const { variants, profiles } = await Catalogue.load(experiment)
  const variant = variants.find((other) => other.id === wanted)!
  const { cell, size } = (await CellRunner.read(id))!
  const training = Cell.Training.parse({
    ...cell.training,
    surgery: Surgery.settled(variant.surgery, STAGES),
    schedule: { ...profiles.standard.schedule, ...variant.schedule },
  })
  expect(Cell.id({ ...cell, training: Cell.resolved(training, size) })).toBe(id)
})
