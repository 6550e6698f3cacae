import { expect, test } from "vitest"
import * as IndexPage from "./IndexPage.ts"

const test_ = (id: string, ...on: readonly string[]) => ({ id, on })
const names = (tests: readonly { readonly id: string }[]): readonly string[] => tests.map(({ id }) => id)

test("a test counts once, however many experiments share its cells", () => {
  const [all, again, some, other] = [
    test_("all", "a", "b"),
    test_("again", "a", "b"),
    test_("some", "a"),
    test_("other", "c"),
  ]
  expect(names(IndexPage.distinct([some, all, other, again]))).toEqual(["all", "other"])
  // two tests without any pair count as two
  expect(names(IndexPage.distinct([test_("one"), test_("two"), all]))).toEqual(["one", "two", "all"])
})

test("tests that disagree are mixed, with the number of each verdict", () => {
  const tests = (...verdicts: readonly ("holds" | "contradicted" | "not-tested")[]) =>
    verdicts.map((verdict) => ({ verdict, pairs: verdict === "not-tested" ? 0 : 3 }))
  const illustration = { verdict: "undecided", pairs: 1 } as const
  expect(IndexPage.verdictOf(tests("holds", "holds", "not-tested"))).toBe("holds (2 of 3 tests made)")
  expect(IndexPage.verdictOf(tests("holds", "contradicted"))).toBe("mixed: 1 contradicted, 1 holds (2 of 2 tests made)")
  expect(IndexPage.verdictOf(tests("not-tested"))).toBe("not run")
  expect(IndexPage.verdictOf([...tests("holds"), illustration])).toBe("holds (1 of 2 tests made, 1 more illustrated)")
  expect(IndexPage.verdictOf([...tests("not-tested"), illustration])).toBe("illustrated only (1 of 2 tests)")
})

test("what chance alone would decide is counted over tests of three pairs, each once", () => {
  const tests = Array.from({ length: 40 }, (_, i) => ({ verdict: "undecided" as const, pairs: 3, on: [`${i}`] }))
  const others = [
    { verdict: "undecided" as const, pairs: 3, on: ["0"] },
    { verdict: "undecided" as const, pairs: 1, on: ["a"] },
    { verdict: "not-tested" as const, pairs: 0, on: [] },
  ]
  expect(IndexPage.byChance([...tests, ...others])).toBe(
    "40 tests rest on 3 pairs or more. If there were no difference in any of them, chance alone would decide 2 to 3.",
  )
})
