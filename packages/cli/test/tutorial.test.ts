/** The pages of `docs/`: the tutorial's commands run unchanged, on small pictures; every command on any page exists with its flags. */
import { spawnSync } from "node:child_process"
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { PublishedWeights } from "@adafm/checkpoint"
import { Failure } from "@adafm/core"
import { Drawn, Image } from "@adafm/data"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { adafm, spawned } from "./command.ts"

const root = fileURLToPath(new URL("../../../", import.meta.url))
let folder = ""
const photos = "photos of mine"
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-tutorial-"))
  await mkdir(join(folder, photos))
  const set = Drawn.flowers({ count: 12, size: 40 })
  for (const i of set.names.keys()) {
    const image = await Failure.orThrow(set.decode(i))
    await Failure.orThrow(Image.writePng(join(folder, photos, `IMG ${i}.png`), image))
  }
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const page = (path: string): Promise<string> => readFile(join(root, path), "utf8")

/** Lines of `sh` blocks that call the command, without their comments. */
const commands = (markdown: string, blocks = /^```sh\n([\s\S]*?)^```$/gm): readonly (readonly string[])[] =>
  [...markdown.matchAll(blocks)]
    .flatMap(([, code]) => code!.replaceAll("\\\n", " ").split("\n"))
    .map((line) => /^(?:pnpm -s |npx )?adafm (.*?)(?:\s+#.*)?$/.exec(line)?.[1])
    .filter((line) => line !== undefined)
    .map((line) => line.trim().split(/\s+/))

/** The test's paths in place of the page's. */
const placed = (word: string): string =>
  word === "~/my-photos"
    ? join(folder, photos)
    : word === "builtin:cifar32"
      ? "builtin:cifar32-small" // half as wide, the same otherwise
      : /^runs\/|\.(png|gif|webp|onnx|html)$/.test(word)
        ? join(folder, word)
        : word

/** The command with few steps, so that the test is short. */
const shortened = ([verb, ...rest]: readonly string[]): readonly string[] => {
  const words = rest.map(placed)
  const steps = words.indexOf("--steps")
  if (verb !== "transfer" || words.includes("--dry-run")) return [verb!, ...words]
  const kept = steps < 0 ? words : words.toSpliced(steps, 2)
  return [verb, ...kept, "--steps", steps < 0 ? "2" : "3", "--score-count", "8", "--extractor", "embedded"]
}

test("from your photos to a generator: every command of the page", async () => {
  const lines = commands(await page("docs/photos.md"))
  expect(lines.map(([verb]) => verb)).toEqual(
    "doctor,transfer,transfer,transfer,sample,sample,sample,sample,sample,evaluate,report,report,export".split(","),
  )
  for (const line of lines) {
    const { code, stdout, stderr } = await adafm(shortened(line))
    expect(code, `${line.join(" ")}\n${stdout}${stderr}`).toBe(0)
  }
  for (const file of [
    "mine.png",
    "between.png",
    "walk.gif",
    "typical.png",
    "crops.png",
    "mine.html",
    "training.webp",
    "mine.onnx",
    "runs/pictures/seed0199.png",
  ])
    expect((await stat(join(folder, file))).size, file).toBeGreaterThan(100)
}, 600_000)

/** The cells of a notebook, each with what it must print. */
const cells = (markdown: string): readonly { readonly code: string; readonly printed: string }[] =>
  [...markdown.matchAll(/^```ts\n([\s\S]*?)^```\n\n```\n([\s\S]*?)^```$/gm)].map(([, code = "", printed = ""]) => ({
    code,
    printed: printed.trim(),
  }))

test("the notebook prints what stands below its cells", async () => {
  const all = cells(await page("docs/tutorial.md"))
  expect(all.length).toBeGreaterThan(5)
  // inside the package, so that its imports are found
  const file = join(root, "packages", "job", "test", `notebook-${process.pid}.ts`)
  const mark = "── cell"
  const imports = all.flatMap(({ code }) => code.match(/^import .*$/gm) ?? [])
  const bodies = all.map(({ code }) => `${code.replace(/^import .*$/gm, "")}\nconsole.log(${JSON.stringify(mark)})`)
  await writeFile(file, [...imports, ...bodies].join("\n"))
  try {
    const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", "tsx", file], {
      cwd: root,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" },
    })
    expect(status, stderr).toBe(0)
    expect(
      stdout
        .split(mark)
        .slice(0, -1)
        .map((text) => text.trim()),
    ).toEqual(all.map(({ printed }) => printed))
  } finally {
    await rm(file)
  }
}, 300_000)

test("larger sizes: a download lies where the page imports it from", async () => {
  const { file } = PublishedWeights.find("gpgan-imagenet")!
  expect(await page("docs/larger-sizes.md")).toContain(`adafm import ~/.cache/adafm/${file} --out`)
})

test("how the compiled step works: every command of the page", async () => {
  for (const line of commands(await page("docs/compiled-step.md"))) {
    const { code, stdout, stderr } = await spawned(line)
    expect(code, `${line.join(" ")}\n${stdout}${stderr}`).toBe(0)
  }
}, 600_000)

describe("every command on a page exists, with its flags", () => {
  test.each([
    "README.md",
    "packages/cli/README.md",
    "docs/install.md",
    "docs/own-checkpoint.md",
    "docs/gpu.md",
    "docs/photos.md",
    "docs/larger-sizes.md",
    "docs/compiled-step.md",
    "docs/checkpoints.md",
    "packages/metrics/README.md",
  ])("%s", async (path) => {
    const shown = commands(await page(path), /^```(?:sh)?\n([\s\S]*?)^```$/gm)
    const texts = new Map<string, string>()
    const helpOf = async (...verb: readonly string[]): Promise<string> => {
      const name = verb.join(" ")
      const text = texts.get(name) ?? (await adafm([...verb, "--help"])).stdout
      texts.set(name, text)
      return text
    }
    for (const [verb, ...words] of shown) {
      const own = await helpOf(verb!)
      expect(own, `${verb} of ${path}`).toContain(`adafm ${verb}`)
      // a verb may have verbs below it, such as `metrics merge`
      const hasBelow = own.includes(`\n  ${words[0]} [options]`)
      const known = hasBelow ? own + (await helpOf(verb!, words[0]!)) : own
      for (const flag of words.filter((word) => word.startsWith("--")))
        expect(known.split(/[\s,]+/), `${verb} ${flag} of ${path}`).toContain(flag)
    }
  })
})
