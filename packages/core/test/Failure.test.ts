import * as E from "fp-ts/lib/Either.js"
import * as TE from "fp-ts/lib/TaskEither.js"
import { describe, expect, test } from "vitest"
import * as Failure from "../src/Failure.ts"

const failure = Failure.make("TruncatedFile", "the file ends at byte 3", { file: "a.bin" })

describe("orThrow", () => {
  test("returns the value of a result, and of a task", async () => {
    expect(Failure.orThrow(E.right(1))).toBe(1)
    expect(await Failure.orThrow(TE.right(2))).toBe(2)
  })

  test("throws the failure of either as Raised, with its message", async () => {
    expect(() => Failure.orThrow(E.left(failure))).toThrow(new Failure.Raised(failure))
    await expect(Failure.orThrow(TE.left(failure))).rejects.toEqual(new Failure.Raised(failure))
  })

  test("is undone by attempt, which keeps tag and place", async () => {
    expect(await Failure.attempt(() => Failure.orThrow(TE.left(failure)))()).toEqual(E.left(failure))
    expect(await Failure.attempt(async () => Failure.orThrow(E.left(failure)))()).toEqual(E.left(failure))
  })
})

test("any other error becomes a failure with the system's code and file, or Unexpected", () => {
  const missing = Object.assign(new Error("no such file"), { code: "ENOENT", path: "a.bin" })
  expect(Failure.fromThrown(missing)).toEqual(Failure.make("System.ENOENT", "no such file", { file: "a.bin" }))
  expect(Failure.fromThrown("text")).toEqual(Failure.make("Unexpected", "text"))
})

test("problems of a schema are one line with their places and what was found", () => {
  const issues = [
    { path: ["generator", 0, "value"], message: 'expected one of "keep"|"fresh"' },
    { path: ["steps"], message: "expected a number" },
    { path: [], message: 'Unrecognized key: "x"' },
  ]
  expect(Failure.ofIssues(issues, { generator: [{ value: "maybe" }], x: 1 })).toBe(
    'generator[0].value: expected one of "keep"|"fresh", found "maybe"; steps: expected a number; Unrecognized key: "x"',
  )
})
