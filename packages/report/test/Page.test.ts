import { parseHTML } from "linkedom"
import { expect, test } from "vitest"
import * as Chart from "../src/Chart.ts"
import * as Page from "../src/Page.ts"
import * as PictureGrid from "../src/PictureGrid.ts"
import { PIXEL, page } from "./Page.example.ts"

test("a page is one HTML file that fetches nothing", () => {
  const html = Page.html(page)
  const { document } = parseHTML(html)
  const fetched = Array.from(document.querySelectorAll("[src], [href]")).map(
    (e) => e.getAttribute("src") ?? e.getAttribute("href"),
  )
  expect(fetched.every((url) => url?.startsWith("data:image/png;base64,"))).toBe(true)
  expect(html).not.toMatch(/@import|url\(http|<script/i)
  expect(document.querySelectorAll("svg.plot, .plot svg, svg").length).toBeGreaterThanOrEqual(2)
  expect(document.querySelector("h1")?.textContent).toBe("Title <script>")
  expect(document.querySelector("td.n")?.textContent).toBe("1.23")
})

test("light and dark follow the reader's choice, and a phone gets its own width", () => {
  const html = Page.html(page)
  expect(html).toContain("prefers-color-scheme: dark")
  expect(html).toContain('name="viewport"')
})

test("Markdown refers to each of its files once, and to no other file", () => {
  const { text, files } = Page.markdown(page, "pictures")
  const used = [...text.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map((m) => m[1])
  expect(used.sort()).toEqual(Object.keys(files).sort())
  expect(Object.keys(files)).toEqual([
    "pictures/score-by-step.svg",
    "pictures/by-variant.svg",
    "pictures/a-pixel.png",
    "pictures/a-pixel-2.png",
  ])
  expect(text).toContain("| v | 1.23 |")
  expect(text).toContain("a &lt; b")
})

test("a chart as a file is well-formed SVG with its title, legend and levels", () => {
  const { files } = Page.markdown(page, "p")
  const svg = new TextDecoder().decode(files["p/score-by-step.svg"])
  const { document } = parseHTML(svg)
  const texts = Array.from(document.querySelectorAll("text")).map((t) => t.textContent)
  expect(texts).toContain("score <by> step")
  expect(texts).toContain("a & b")
  expect(texts).toContain("floor")
  expect(svg).not.toContain("NaN")
})

test("the names of close levels are placed one above the other", () => {
  const levels = [0, 0.001, 0.002, 1].map((y, k) => ({ name: `level ${k}`, y }))
  const series = [{ name: "a", points: [0, 1].map((x) => ({ x, y: x })) }]
  const svg = Chart.svg({ kind: "lines", title: "t", x: { label: "x" }, y: { label: "y" }, series, levels })
  const { document } = parseHTML(svg)
  const shifts = (transform: string | null): number =>
    [...(transform ?? "").matchAll(/,(-?[\d.]+)\)/g)].reduce((sum, [, y]) => sum + Number(y), 0)
  const heights = levels.map(({ name }) => {
    const text = Array.from(document.querySelectorAll("text")).find(({ textContent }) => textContent === name)!
    return shifts(text.getAttribute("transform")) + shifts(text.parentElement!.getAttribute("transform"))
  })
  const gaps = heights.slice(1).map((y, k) => heights[k]! - y)
  expect(gaps.every((gap) => gap >= 12)).toBe(true)
})

test("a short range of whole numbers has a tick for each", () => {
  const series = [{ name: "a", points: [0, 2].map((x) => ({ x, y: x / 3 })) }]
  const svg = Chart.svg({ kind: "lines", title: "t", x: { label: "n" }, y: { label: "y" }, series })
  const texts = Array.from(parseHTML(svg).document.querySelectorAll("[aria-label='x-axis tick label'] text"))
  expect(texts.map(({ textContent }) => textContent)).toEqual(["0", "1", "2"])
})

test.each([
  { name: "no curve", points: [], levels: [] },
  { name: "no finite value", points: [{ x: 1, y: Number.NaN }], levels: [] },
  { name: "levels and no finite value", points: [{ x: 1, y: Number.NaN }], levels: [{ name: "level", y: 3 }] },
  { name: "one value", points: [{ x: 1, y: 2 }], levels: [{ name: "level", y: 2 }] },
])("a chart of $name is drawn", ({ points, levels }) => {
  const series = [{ name: "run", points }]
  const svg = Chart.svg({ kind: "lines", title: "t", x: { label: "n" }, y: { label: "y" }, series, levels })
  expect(svg).toMatch(/^<svg/)
  for (const { name } of levels) expect(svg).toContain(name)
})

test("the size of a picture is read from its header; a file that is not PNG is refused", () => {
  expect(PictureGrid.sizeOf(PIXEL)).toEqual([1, 1])
  expect(() => PictureGrid.sizeOf(new Uint8Array([0xff, 0xd8, 0xff]))).toThrow(
    "expected a PNG picture, found 3 bytes without its signature",
  )
})
