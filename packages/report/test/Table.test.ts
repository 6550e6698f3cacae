import { expect, test } from "vitest"
import * as Table from "../src/Table.ts"

test.each([
  { cell: 0.12345, digits: 3, shows: "0.123" },
  { cell: -0.0001, digits: 2, shows: "0.00" },
  { cell: 1234567, digits: undefined, shows: "1,234,567" },
  { cell: 1234, digits: undefined, shows: "1234" },
  { cell: Table.estimate([-2, 1]), digits: 1, shows: "−0.5 (−2.0 to 1.0)" },
  { cell: 0.000123456, digits: undefined, shows: "0.0001235" },
  { cell: undefined, digits: 2, shows: "–" },
  { cell: Table.estimate([1, 2, 3]), digits: 1, shows: "2.0 (1.0 – 3.0)" },
  { cell: Table.estimate([1.5]), digits: 1, shows: "1.5" },
  { cell: Table.estimate([]), digits: 1, shows: "–" },
])("shows $cell with $digits digits as $shows", ({ cell, digits, shows }) => {
  expect(Table.text(cell, digits === undefined ? {} : { digits })).toBe(shows)
})

test("marks the best mean of a column, and none where fewer than two rows compete", () => {
  const columns = [
    { title: "name" },
    { title: "low", best: "low" },
    { title: "high", best: "high" },
    { title: "no" },
  ] as const
  const rows = [
    ["a", { mean: 2, range: [0, 4] as const }, undefined, 1],
    ["b", 1, 5, 2],
    ["c", Number.NaN, undefined, 3],
  ]
  expect(Table.best({ columns, rows })).toEqual([undefined, 1, undefined, undefined])
  expect(Table.best({ columns, rows: [...rows, ["d", 3, 4, 4]], contest: [0, 3] })).toEqual([
    undefined,
    0,
    undefined,
    undefined,
  ])
})

test("Markdown escapes what would end a cell, and right-aligns numbers", () => {
  const text = Table.markdown({ columns: [{ title: "a|b" }, { title: "n" }], rows: [["x\ny<z", 1]] })
  expect(text).toBe("| a\\|b | n |\n| --- | --: |\n| x y&lt;z | 1 |")
})
