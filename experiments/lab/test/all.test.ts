/** Runs the smoke profile of every experiment and opens its pages in a browser. */
import { existsSync } from "node:fs"
import { mkdtemp, readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { Browser } from "@adafm/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type Outcome, run } from "../../all.ts"
import * as Catalogue from "../declare/Catalogue.ts"
import * as PaperClaims from "../declare/PaperClaims.ts"
import * as ResultsFile from "../judge/ResultsFile.ts"

const before = process.cwd()
let outcome: Outcome
const notes: string[] = []

beforeAll(async () => {
  process.chdir(await mkdtemp(join(tmpdir(), "adafm-exp-")))
  outcome = await run({ profile: "smoke", onNote: (line) => void notes.push(line) }, "pnpm exp:all --profile smoke")
}, 600_000)
afterAll(() => process.chdir(before))

const results = async (): Promise<readonly ResultsFile.ResultsFile[]> =>
  Promise.all(
    outcome.files
      .filter((file) => file.endsWith("results.json"))
      .map(async (file) => ResultsFile.ResultsFile.parse(JSON.parse(await readFile(file, "utf8")))),
  )

test("every cell of every experiment runs", async () => {
  expect(outcome.failed).toBe(0)
  const all = await results()
  expect(all.map(({ experiment }) => experiment).sort()).toEqual(Catalogue.names())
  for (const { experiment, cells } of all) {
    const left = cells.filter(({ status, reason }) => status === "not-run" && reason === undefined)
    expect(left, experiment).toEqual([])
    expect(cells.filter(({ status }) => status === "done").length, experiment).toBeGreaterThanOrEqual(1)
  }
})

test("classifiers are scored on held-out photographs", async () => {
  const found = (await results()).find(({ experiment }) => experiment === "augmentation")!
  for (const { variant, metrics } of found.cells.filter(({ status }) => status === "done")) {
    const { value, outcomes } = metrics.accuracy as { value: number; outcomes: readonly unknown[] }
    expect(value, variant).toBeGreaterThanOrEqual(0)
    expect(value, variant).toBeLessThanOrEqual(1)
    expect(outcomes.length, variant).toBe(2)
  }
})

test("the index has every claim of the paper, with its verdict or the reason why there is none", async () => {
  const index = await readFile(outcome.files[0]!, "utf8")
  for (const { id, title, outside } of PaperClaims.paper) {
    expect(index).toContain(`| ${id}: ${title} |`)
    if (outside !== undefined) expect(index).toContain(outside)
  }
  // one draw decides nothing
  expect(index).toContain("illustrated only")
  expect(index).not.toMatch(/\| holds \|/)
})

test("the Markdown page shows what our modulation learned, walks and mixed styles", async () => {
  const file = outcome.files.find((name) => name.endsWith("RESULTS.md") && name.includes("ablation-adafm"))!
  const markdown = await readFile(file, "utf8")
  for (const what of [/walks and styles, .*\(ours\)/, /What the modulation learned: .*\(ours\)/]) {
    const shown = markdown.split(/<\/details>/).find((part) => what.test(part))!
    const pictures = [...shown.matchAll(/\]\((figures\/[^)]+)\)/g)].map((m) => resolve(dirname(file), m[1]!))
    expect(pictures.length, String(what)).toBeGreaterThanOrEqual(2)
    expect(pictures.every(existsSync)).toBe(true)
  }
})

test("the Markdown index links to Markdown pages, the HTML index to HTML pages", async () => {
  const [markdown, html] = [outcome.files[0]!, outcome.files[1]!]
  const links = async (file: string, pattern: RegExp): Promise<readonly string[]> =>
    [...(await readFile(file, "utf8")).matchAll(pattern)].map((m) => resolve(dirname(file), m[1]!))
  const [ofMarkdown, ofHtml] = [await links(markdown, /\]\(([^)]+)\)/g), await links(html, /href="([^"]+)"/g)]
  expect(ofMarkdown.length).toBe(Catalogue.names().length)
  expect(ofHtml.length).toBe(Catalogue.names().length)
  expect(ofMarkdown.every((file) => file.endsWith("RESULTS.md") && existsSync(file))).toBe(true)
  expect(ofHtml.every((file) => file.endsWith("report.html") && existsSync(file))).toBe(true)
})

describe.skipIf(Browser.missing())("pages in a browser", () => {
  test.each([
    { ...Browser.PHONE, scheme: "light" },
    { ...Browser.DESKTOP, scheme: "dark" },
  ] as const)(
    "fit a screen of $width px, $scheme, and send no request",
    async (view) => {
      const pages = outcome.files.filter((file) => file.endsWith(".html"))
      expect(pages.length).toBe(Catalogue.names().length + 1)
      for (const file of pages)
        await Browser.visit(pathToFileURL(resolve(file)).href, view, async ({ page, requests, errors }) => {
          const { scroll, pictures } = await Browser.layout(page)
          expect(requests, file).toEqual([])
          expect(errors, file).toEqual([])
          expect(scroll, file).toBe(view.width)
          expect(pictures.every((width) => width > 0)).toBe(true)
        })
    },
    300_000,
  )
})
