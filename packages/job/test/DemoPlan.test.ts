import { expect, test } from "vitest"
import * as DemoPlan from "../src/verbs/DemoPlan.ts"

test.each([
  { name: "a fast machine takes all steps", secondsPerStep: 0.1, plan: { steps: 400, batch: 16 } },
  { name: "a slower one takes fewer", secondsPerStep: 0.3, plan: { steps: 266, batch: 16 } },
  { name: "a slow one takes smaller steps", secondsPerStep: 0.5, plan: { steps: 266, batch: 8 } },
  { name: "the slowest takes enough steps for a picture", secondsPerStep: 5, plan: { steps: 160, batch: 8 } },
])("$name", ({ secondsPerStep, plan }) => {
  expect(DemoPlan.of({ wanted: 400, secondsPerStep, seconds: 160 })).toEqual(plan)
})

test("fewer wanted steps are enough", () => {
  expect(DemoPlan.of({ wanted: 3, secondsPerStep: 1, seconds: 160 })).toEqual({ steps: 3, batch: 16 })
})

test("a further call continues from the steps of the earlier one, with its batch", () => {
  const slow = { wanted: 400, secondsPerStep: 0.8, seconds: 160 }
  const first = DemoPlan.of(slow)
  expect(first).toEqual({ steps: 166, batch: 8 })
  expect(DemoPlan.of({ ...slow, done: first.steps, batch: first.batch })).toEqual({ steps: 332, batch: 8 })
  expect(DemoPlan.of({ ...slow, secondsPerStep: 0.01, done: 332, batch: 8 })).toEqual({ steps: 400, batch: 8 })
})
