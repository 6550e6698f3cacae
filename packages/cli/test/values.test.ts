import { Plan } from "@adafm/transfer"
import { expect, test } from "vitest"
import * as TrainingFlags from "../src/TrainingFlags.ts"
import * as Values from "../src/Values.ts"

test("a folder has one name, with and without slashes after it", () => {
  for (const path of ["runs/a", "runs/a/", "runs/a//", "runs/a\\"]) expect(Values.folder.parse(path)).toBe("runs/a")
  for (const path of ["/", "C:\\", "builtin:cifar32"]) expect(Values.folder.parse(path)).toBe(path)
})

test("a run has the name of its folder", () => expect(TrainingFlags.shape.out.parse("runs/a/")).toBe("runs/a"))

test("the listed modulations are those that a plan takes", () => {
  const { modulation } = Plan.Plan.shape
  for (const kind of Values.MODULATIONS) expect(modulation.safeParse({ kind }).success, kind).toBe(true)
})
