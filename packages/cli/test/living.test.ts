/** What people live with: dry runs that describe photographs, sweeps, pages that follow a run, walks, sharing. */
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Leaf, Lock } from "@adafm/core"
import { Drawn, Image } from "@adafm/data"
import { Gan, ModelFolder } from "@adafm/gan"
import sharp from "sharp"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { adafm, spawned } from "./command.ts"

let folder = ""
const at = (...path: readonly string[]): string => join(folder, ...path)
const short =
  "--steps 2 --every 2 --batch 4 --score-count 4 --extractor embedded --recipe g2d1-adafm --unfreeze-at 1".split(" ")
const transfer = (...more: readonly string[]): readonly string[] => [
  "transfer",
  "--source",
  at("source"),
  "--data",
  at("photos"),
  ...more,
]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-living-"))
  const gan = Gan.of(Gan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, nf_max: 4, z_dim: 4 }))
  const networks = {
    generator: Leaf.initAll(gan.generator, 0, "generator"),
    discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
  }
  await Failure.orThrow(ModelFolder.write(at("source"), ModelFolder.describe(gan), networks))
  const set = Drawn.flowers({ count: 30, size: 40 })
  for (const i of set.names.keys())
    await Failure.orThrow(
      Image.writePng(at("photos", `IMG ${String(i).padStart(2, "0")}.png`), await Failure.orThrow(set.decode(i))),
    )
  expect((await adafm([...transfer(), ...short, "--out", at("run")])).code).toBe(0)
})
afterAll(() => rm(folder, { recursive: true }))

/** Several trainings, some in processes of their own. Milliseconds. */
const LONG = 600_000

describe("a dry run", () => {
  beforeAll(async () => {
    const photo = (i: string): string => at("photos", `IMG ${i}.png`)
    await mkdir(at("mixed"))
    for (const i of Array.from({ length: 22 }, (_, n) => String(n).padStart(2, "0")))
      await copyFile(photo(i), at("mixed", `${i}.png`))
    await copyFile(photo("00"), at("mixed", "copy of 00.png"))
    await sharp(photo("01")).resize(80).jpeg({ quality: 60 }).toFile(at("mixed", "01 small.jpg"))
    await sharp(photo("02")).resize(9, 9).toFile(at("mixed", "tiny.png"))
    await sharp({ create: { width: 200, height: 40, channels: 3, background: "#123456" } })
      .png()
      .toFile(at("mixed", "wide.png"))
    await writeFile(at("mixed", "phone.heic"), "x")
    await writeFile(at("mixed", "broken.jpg"), "no picture")
  })

  test("says what the photographs hold, writes the crops, and tells the time and the disk", async () => {
    const before = await readdir(folder)
    const args = ["transfer", "--source", at("source"), "--data", at("mixed"), "--dry-run", "--score-count", "4"]
    const { json, code, stdout } = await adafm([
      ...args,
      "--extractor",
      "embedded",
      "--crops",
      at("crops.png"),
      "--keep-gb",
      "0",
      "--json",
    ])
    expect(code, stdout).toBe(0)
    const { images, seconds, choices, checkpoints } = json() as {
      images: {
        found: number
        used: number
        left_out: object[]
        doubles: string[][]
        small: string[]
        cropped: string[]
      }
      seconds: number
      choices: object[]
      checkpoints: object
    }
    expect(checkpoints).toEqual({ bytes: expect.any(Number), written: 10, kept: 1 })
    expect(images).toMatchObject({ found: 28, used: 26, small: ["tiny.png"], cropped: ["wide.png"] })
    expect(images.left_out).toEqual([
      { file: "phone.heic", reason: "HEIC is not supported" },
      { file: "broken.jpg", reason: expect.stringContaining("not PNG, JPEG") },
    ])
    const doubles = images.doubles.map((group) => [...group].sort())
    expect(doubles).toContainEqual(["00.png", "copy of 00.png"])
    expect(doubles).toContainEqual(["01 small.jpg", "01.png"])
    expect(seconds).toBeGreaterThan(0)
    expect(choices.length).toBeGreaterThan(0)
    const { width = 0, height = 0 } = await sharp(at("crops.png")).metadata()
    expect([width, height]).toEqual([6 * 34 - 2, 5 * 34 - 2])
    expect((await readdir(folder)).sort()).toEqual([...before, "crops.png"].sort())
  })

  test("tells a person first what a person wants to know, and the parameters last", async () => {
    const args = ["transfer", "--source", at("source"), "--data", at("mixed"), "--dry-run", "--score-count", "0"]
    const { stdout } = await adafm(args)
    const places = [
      "photographs: 28 found, 26 used",
      "left out: phone.heic (HEIC is not supported)",
      "2 doubles, which count twice",
      "chosen for 26 images:",
      "time on this machine",
      "disk: 10 checkpoints of ",
      "parameter ",
    ].map((text) => stdout.indexOf(text))
    expect(Math.min(...places), stdout.slice(0, 2000)).toBeGreaterThanOrEqual(0)
    expect(places).toEqual([...places].sort((a, b) => a - b))
  })

  test("says that a set with too many broken pictures will be refused", async () => {
    await mkdir(at("bad"))
    await copyFile(at("photos", "IMG 00.png"), at("bad", "good.png"))
    for (const name of ["a.jpg", "b.jpg"]) await writeFile(at("bad", name), "")
    const dry = await adafm([
      "transfer",
      "--source",
      at("source"),
      "--data",
      at("bad"),
      "--dry-run",
      "--score-count",
      "0",
    ])
    expect(dry.stdout).toContain("transfer refuses this set")
    const real = await adafm(["transfer", "--source", at("source"), "--data", at("bad"), "--out", at("none"), "--json"])
    expect(real.json()).toMatchObject({
      error: { _tag: "BrokenImages", message: "2 of 3 images cannot be decoded: the file is empty (a.jpg, b.jpg)" },
    })
  })
})

describe("a sweep", () => {
  test(
    "over seeds has a folder for each, the same reference for all, mean and range, and a page",
    async () => {
      const made = await adafm([
        ...transfer("--limit", "6", "--seeds", "0-1"),
        ...short,
        "--out",
        at("seeds"),
        "--json",
      ])
      expect(made.code, made.stdout + made.stderr).toBe(0)
      const { runs, summary, report } = made.json() as {
        runs: { name: string; metrics: { fid: number; referenceSha256: string }[] }[]
        summary: {
          seeds: number[]
          labels: { fid: string }
          scores: { fid: { mean: number; low: number; high: number } }
        }[]
        report: string
      }
      expect(runs.map(({ name }) => name)).toEqual(["seed-0", "seed-1"])
      const last = runs.map(({ metrics }) => metrics.at(-1)!)
      expect(new Set(last.map(({ referenceSha256 }) => referenceSha256)).size).toBe(1)
      const values = last.map(({ fid }) => fid)
      expect(summary).toMatchObject([
        { seeds: [0, 1], scores: { fid: { low: Math.min(...values), high: Math.max(...values) } } },
      ])
      expect(summary[0]!.labels.fid).toMatch(/^FID \(/)
      expect(summary[0]!.scores.fid.mean).toBeCloseTo((values[0]! + values[1]!) / 2, 9)
      expect(await readFile(report, "utf8")).toMatch(/mean \(range\)/)
      // none of the reference images is trained on by either run
      const used = await Promise.all(
        runs.map(async ({ name }) => {
          const { data } = JSON.parse(await readFile(at("seeds", name, "config.json"), "utf8")) as {
            data: { names: string[] }
          }
          return data.names
        }),
      )
      expect(new Set(used.flat()).size).toBeGreaterThan(6)
      const again = await adafm([
        "transfer",
        "--config",
        at("seeds", "seed-1", "config.json"),
        "--out",
        at("one"),
        "--json",
      ])
      expect((again.json() as { metrics: { fid: number }[] }).metrics.at(-1)!.fid).toBe(values[1])
    },
    LONG,
  )

  test(
    "over a grid of a YAML file has every combination, two at a time in processes of their own",
    async () => {
      const config = at("sweep.yaml")
      await writeFile(
        config,
        `source: ${at("source")}\ndata: ${at("photos")}\nsteps: 2\nbatch: 4\nscore-count: 0\ngrid:\n  lr: [0.001, 0.0001]\n  recipe: [g2d1]\n`,
      )
      const made = await spawned(["transfer", "--config", config, "--out", at("grid"), "--jobs", "2", "--json"])
      expect(made.code, made.stdout + made.stderr).toBe(0)
      const { runs } = made.json() as { runs: { name: string; steps: number }[] }
      expect(runs.map(({ name }) => name).sort()).toEqual(["lr-0.0001,recipe-g2d1", "lr-0.001,recipe-g2d1"])
      for (const { name, steps } of runs) {
        expect(steps).toBe(2)
        const written = JSON.parse(await readFile(at("grid", name, "config.json"), "utf8")) as {
          source: { recipe: string }
          learningRate: { generator: number }
        }
        expect(name).toBe(`lr-${written.learningRate.generator},recipe-${written.source.recipe}`)
      }
    },
    LONG,
  )

  test("checks every run before the first begins", async () => {
    const config = at("wrong.yaml")
    await writeFile(config, `source: ${at("source")}\ndata: ${at("photos")}\ngrid:\n  steps: [2, many]\n`)
    const refused = await adafm(["transfer", "--config", config, "--out", at("wrong"), "--json"])
    expect([refused.code, refused.json()]).toMatchObject([
      2,
      { error: { message: expect.stringContaining("--steps") } },
    ])
    expect(await readdir(folder)).not.toContain("wrong")
  })

  test(
    "can be handed to Slurm as a job array",
    async () => {
      const args = transfer(
        "--seeds",
        "0-3",
        "--on",
        "slurm",
        "--jobs",
        "2",
        "--out",
        at("array"),
        "--dry-run",
        "--json",
      )
      const { json, code } = await adafm([...args, ...short])
      expect([code, json()]).toMatchObject([0, { tasks: 4, job: null, script: at("array", "sweep.sh") }])
      const script = await readFile(at("array", "sweep.sh"), "utf8")
      expect(script).toContain("#SBATCH --array=0-3%2")
      expect(script).toMatch(/transfer --config .*sweep\.json --task \$SLURM_ARRAY_TASK_ID --json --threads \d+/)
      const task = await adafm(["transfer", "--config", at("array", "sweep.json"), "--task", "3", "--json"])
      expect(task.json()).toMatchObject({ run: at("array", "seed-3"), steps: 2 })
    },
    LONG,
  )
})

describe("a page about runs", () => {
  test("begins with pictures and photographs, and lists what was measured", async () => {
    const { code, stderr } = await adafm(["report", at("run"), "--out", at("page.html"), "--json"])
    expect(code, stderr).toBe(0)
    const text = await readFile(at("page.md"), "utf8")
    const places = [
      "generated",
      "photographs that it learned from",
      "Along training",
      "## Scores",
      "## Parameters",
      "SHA-256 of the reference images",
    ].map((part) => text.indexOf(part))
    expect(Math.min(...places), text.slice(0, 1500)).toBeGreaterThanOrEqual(0)
    expect(places).toEqual([...places].sort((a, b) => a - b))
    expect(await readFile(at("page.html"), "utf8")).not.toContain('http-equiv="refresh"')
  })

  test("loads itself again while the run lives, and not after it", async () => {
    // this process works in the run until the first page is there
    const firstPage = async (): Promise<string> => {
      for (;;) {
        const page = await readFile(at("watched.html"), "utf8").catch(() => undefined)
        if (page !== undefined) return page
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
    const working = Lock.within(at("run"), firstPage, async () => "in use")
    while (!(await Lock.isHeld(at("run")))) await new Promise((resolve) => setTimeout(resolve, 10))
    // a process that works for an hour does not touch its lock
    await utimes(at("run", "lock"), new Date(0), new Date(0))
    const { code } = await adafm(["report", at("run"), "--out", at("watched.html"), "--watch", "--json"])
    expect(code).toBe(0)
    expect(await working).toContain('http-equiv="refresh"')
    expect(await readFile(at("watched.html"), "utf8")).not.toContain('http-equiv="refresh"')
    // a lock's file that a killed process left is no life
    await writeFile(at("run", "lock"), "1\n")
    expect((await adafm(["report", at("run"), "--out", at("watched.html"), "--watch"])).code).toBe(0)
    await rm(at("run", "lock"))
  })

  test("can be a timelapse of the grids", async () => {
    const made = await adafm(["report", at("run"), "--timelapse", at("training.gif"), "--json"])
    expect(made.json()).toEqual({ out: at("training.gif"), frames: 2 })
    expect((await sharp(at("training.gif"), { animated: true }).metadata()).pages).toBe(2)
  })
})

test("a walk is an animation of the format of its name, a grid is not", async () => {
  const walk = ["sample", at("run"), "--seeds", "0-2", "--interpolate", "4"]
  const made = await adafm([...walk, "--out", at("walk.webp"), "--fps", "5", "--json"])
  expect(made.json()).toMatchObject({ files: [at("walk.webp")], count: 12 })
  const { pages, pageHeight, delay, loop } = await sharp(at("walk.webp"), { animated: true }).metadata()
  expect([pages, pageHeight, delay?.[0], loop]).toEqual([12, 128, 200, 0])
  await adafm(["sample", at("run"), "--count", "4", "--trunc", "0.5", "--grid", at("grid.jpg")])
  expect((await sharp(at("grid.jpg")).metadata()).format).toBe("jpeg")
  for (const args of [
    [...walk, "--grid", at("walk.gif")],
    [...walk, "--out", at("walk.avi")],
    ["sample", at("run"), "--out", at("still.gif")],
    [...walk, "--out", at("frames"), "--fps", "5"],
  ]) {
    const { code, stderr } = await adafm(args)
    expect(code, args.join(" ")).toBe(2)
    expect(stderr).toMatch(/^error: /)
    expect(stderr).not.toContain("kind:")
  }
})

test("a bundled model, a model folder and a run can be inspected", async () => {
  for (const [path, file] of [
    ["builtin:cifar32-small", "generator.safetensors"],
    [at("source"), "generator.safetensors"],
    [at("run"), "00000002.safetensors"],
  ] as const) {
    const found = (await adafm(["inspect", path, "--json"])).json() as { file: string; tensors: object[] }
    expect(found.file.endsWith(file), found.file).toBe(true)
    expect(found.tensors.length).toBeGreaterThan(10)
  }
})

test("weights list says sizes, licences and what is there", async () => {
  const { stdout } = await adafm(["weights", "list", "--cache", at("nothing")])
  expect(stdout).toMatch(/^inception +95\.6 MB +Apache-2\.0 +SHA-256 known/m)
})

test("export takes one target, and writes a repository for the Hub", async () => {
  const both = await adafm(["export", at("run"), "--onnx", at("a.onnx"), "--checkpoint", at("b.pt"), "--json"])
  expect([both.code, both.json()]).toMatchObject([
    2,
    { error: { message: "give only one of --onnx, --checkpoint and --hub" } },
  ])
  const { code, stdout } = await adafm(["export", at("run"), "--hub", at("shared"), "--licence", "mit"])
  expect(code, stdout).toBe(0)
  expect((await stat(at("shared", "generator.onnx"))).size).toBeGreaterThan(1000)
  expect(await readFile(at("shared", "README.md"), "utf8")).toMatch(/^license: mit$/m)
  const sampled = await adafm(["sample", at("shared"), "--count", "1", "--grid", at("shared.png"), "--json"])
  expect(sampled.code).toBe(0)
})
