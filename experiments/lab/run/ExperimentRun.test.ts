import { expect, test } from "vitest"
import * as ExperimentRun from "./ExperimentRun.ts"

test("a body that fails does not stop the next one", async () => {
  const turn = ExperimentRun.inTurn()
  const done: string[] = []
  const asked = [
    turn(async () => done.push("first")),
    turn(() => Promise.reject(new Error("a full disk"))),
    turn(async () => done.push("last")),
  ]
  expect((await Promise.allSettled(asked)).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"])
  expect(done).toEqual(["first", "last"])
})
