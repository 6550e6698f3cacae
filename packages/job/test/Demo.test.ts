import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { Failure, Leaf } from "@adafm/core"
import { Engines } from "@adafm/engine"
import { Gan, ModelFolder } from "@adafm/gan"
import { Browser } from "@adafm/testkit"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as BundledModels from "../src/run/BundledModels.ts"
import * as Model from "../src/run/Model.ts"
import * as Demo from "../src/verbs/Demo.ts"

let folder = ""
/** The page, once it is written. */
let report = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-demo-"))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** A GP-GAN of a few thousand random parameters. */
const tiny = async (folder: string): Promise<string> => {
  const gan = Gan.of({ architecture: "gpgan", resolution: 16, nf: 4, nf_max: 8, z_dim: 8, embed: 4, nlabels: 3 })
  const networks = {
    generator: Leaf.initAll(gan.generator, 0, "generator"),
    discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
  }
  await Failure.orThrow(ModelFolder.write(folder, ModelFolder.describe(gan), networks))
  return folder
}

test("the demo trains both arms for the same number of steps, shows them on one page, and resumes where it was stopped", async () => {
  const engine = await Engines.open()
  const options = {
    source: await tiny(join(folder, "source")),
    out: join(folder, "demo"),
    steps: 3,
    judge: false,
    scoreCount: 20,
  }

  let seen = 0
  const stopped = await Failure.orThrow(Demo.run({ ...options, shouldStop: () => ++seen > 1 }, engine))
  expect(stopped).toMatchObject({ done: false, arms: [{ name: "AdaFM" }] })
  expect(stopped.arms[0]!.outcome.steps).toBeLessThan(3)

  const progress: number[] = []
  const done = await Failure.orThrow(Demo.run({ ...options, onProgress: (n) => progress.push(n) }, engine))
  expect(done.arms.map(({ name, outcome }) => [name, outcome.steps])).toEqual([
    ["AdaFM", 3],
    ["from scratch", 3],
  ])
  expect(progress.at(-1)).toBe(6)
  expect(done.arms[0]!.outcome.plan.copied).toBeGreaterThan(0)
  expect(done.arms[1]!.outcome.plan.copied).toBe(0)
  expect(done.next).toHaveLength(3)

  const html = await readFile(done.report, "utf8")
  expect(html.match(/data:image\/png;base64,/g)).toHaveLength(4)
  expect(html.toLowerCase()).toContain("illustration, not evidence")
  report = done.report
})

describe.skipIf(Browser.missing())("its page in a browser", () => {
  test.each([
    { ...Browser.PHONE, scheme: "light" },
    { ...Browser.PHONE, scheme: "dark" },
    { ...Browser.DESKTOP, scheme: "light" },
    { ...Browser.DESKTOP, scheme: "dark" },
  ] as const)("$width px wide, $scheme: two grids before, two after, curves of both, nothing cut off", async (view) => {
    await Browser.visit(pathToFileURL(report).href, view, async ({ page, requests, errors }) => {
      expect([...requests, ...errors]).toEqual([])
      const { scroll, pictures, charts } = await Browser.layout(page)
      expect(scroll).toBe(view.width)
      expect(pictures).toHaveLength(4)
      expect(Math.min(...pictures)).toBeGreaterThan(0)
      expect(charts).toHaveLength(1)
      // the chart shrinks to a phone's width instead of scrolling
      expect(charts[0]).toBeLessThanOrEqual(view.width)
      const text = await page.textContent("main")
      expect(text).toMatch(/illustration/i)
      expect(await page.locator(".legend span").allInnerTexts()).toEqual(["AdaFM", "from scratch"])
      expect(await page.locator("figcaption").allInnerTexts()).toContain("from scratch, 3 steps")
      expect(text).toMatch(/adafm transfer --source builtin:\S+ --data PHOTOS/)
    })
  })
})

test("builtin:NAME opens a bundled model; an unknown name lists the bundled ones; a path is unchanged", async () => {
  expect(BundledModels.resolve("runs/x")).toBe("runs/x")
  const opened = await Model.open("builtin:../../secret")()
  expect(opened).toMatchObject({ _tag: "Left", left: { _tag: "NoModel", message: expect.stringContaining("secret") } })
  for (const name of BundledModels.names()) {
    const { gan } = await Failure.orThrow(Model.open(`builtin:${name}`))
    expect(gan.image[2]).toBe(3)
  }
})
