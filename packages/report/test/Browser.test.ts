import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { Browser } from "@adafm/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Page from "../src/Page.ts"
import { page } from "./Page.example.ts"

describe.skipIf(Browser.missing())("a page in a browser", () => {
  let folder = ""
  let address = ""
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "adafm-page-"))
    const file = join(folder, "report.html")
    await writeFile(file, Page.html(page))
    address = pathToFileURL(file).href
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test.each([
    { ...Browser.PHONE, scheme: "light", paper: "rgb(255, 255, 255)" },
    { ...Browser.DESKTOP, scheme: "dark", paper: "rgb(23, 24, 26)" },
  ] as const)("$width px wide and $scheme: it fits, requests nothing and shows its pictures", async (view) => {
    await Browser.visit(address, view, async ({ page: shown, requests, errors }) => {
      expect(requests).toEqual([])
      expect(errors).toEqual([])
      const found = await Browser.layout(shown)
      // wide tables and charts scroll in their own boxes
      expect(found.scroll).toBe(view.width)
      expect(found.paper).toBe(view.paper)
      expect(found.pictures.every((width) => width > 0)).toBe(true)
      expect(found.charts.length).toBeGreaterThanOrEqual(2)
      expect(found.charts.every((width) => width > 200)).toBe(true)
    })
  })
})
