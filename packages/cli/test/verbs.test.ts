/** The verbs end to end, on a model of a few hundred parameters. */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { copyFile, cp, mkdtemp, open, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Files, NdArray, Rng, Safetensors } from "@adafm/core"
import type { Doctor } from "@adafm/job"
import { Session } from "@adafm/onnx"
import { Close } from "@adafm/testkit"
import { afterAll, beforeAll, expect, test } from "vitest"
import { adafm, flags, script, spawned } from "./command.ts"
import * as Pictures from "./pictures.ts"

let folder = ""
const at = (...path: readonly string[]): string => join(folder, ...path)
const tiny = "--arch gpgan --size 16 --nf 2 --nf-max 4 --z-dim 4 --batch 4 --score-count 12 --extractor embedded".split(
  " ",
)

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-cli-"))
  await Pictures.write(at("pictures"), 8, 20)
  const made = await adafm([
    "pretrain",
    ...tiny,
    "--data",
    at("pictures"),
    "--out",
    at("source"),
    "--steps",
    "3",
    "--json",
  ])
  expect(made.stderr).toMatch(/step 3 {2}FID/)
  expect(made.code).toBe(0)
  const { run, steps, metrics, plan } = made.json() as { run: string; steps: number; metrics: object[]; plan: object }
  expect({ run, steps }).toEqual({ run: at("source"), steps: 3 })
  expect(plan).toMatchObject({ copied: 0, frozen: 0, modulated: 0 })
  expect(metrics.at(-1)).toMatchObject({ step: 3, count: 12, extractor: "embedded" })
  await Failure.orThrow(Files.write(at("made.json"), made.stdout))
})
afterAll(() => rm(folder, { recursive: true }))

test("the version is the package's", async () => {
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, "..", "package.json"), "utf8"))
  expect(await adafm(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n` })
})

test.each([
  { args: ["help"], usage: /^Usage: adafm \[/ },
  { args: ["help", "sample"], usage: /^Usage: adafm sample / },
  { args: ["metrics", "help"], usage: /^Usage: adafm metrics / },
  { args: ["sample", "--help"], usage: /^Usage: adafm sample / },
])("the help of $args is an answer, with --json one document", async ({ args, usage }) => {
  expect(await adafm(args)).toMatchObject({ code: 0, stdout: expect.stringMatching(usage), stderr: "" })
  const { code, json } = await adafm([...args, "--json"])
  expect([code, json()]).toEqual([0, { text: expect.stringMatching(usage) }])
})

test("a run is resumed unless --new is given", async () => {
  const more = await adafm([
    "pretrain",
    ...tiny,
    "--data",
    at("pictures"),
    "--out",
    at("source"),
    "--steps",
    "4",
    "--json",
  ])
  expect(more.stderr).toContain("resumed at step 3")
  expect(more.json()).toMatchObject({ steps: 4 })
  await Failure.orThrow(Files.write(at("made.json"), more.stdout))
})

test("a dry run prints the fate of every parameter and writes nothing", async () => {
  const before = await readdir(folder)
  const { code, json, stdout } = await adafm([
    "transfer",
    "--source",
    at("source"),
    "--keep-g",
    "2",
    "--keep-d",
    "1",
    "--dry-run",
    "--json",
  ])
  expect(code, stdout).toBe(0)
  const { plan, fates, recipe } = json() as {
    recipe: string
    plan: Record<string, number>
    fates: { path: string; moves: string; shape: number[] }[]
  }
  expect(recipe).toBe("g2d1-adafm")
  const sizes = (moves: string): number =>
    fates.filter((fate) => fate.moves === moves).reduce((n, { shape }) => n + NdArray.sizeOf(shape), 0)
  expect(plan.modulated).toBe(sizes("modulated"))
  expect(plan.trainable! + plan.frozen!).toBe(plan.total)
  expect(plan.copied! + plan.fresh!).toBe(plan.total)
  expect(await readdir(folder)).toEqual(before)
})

test("settings chosen from the number of images are printed with their reasons, given ones are not", async () => {
  const args = ["transfer", "--source", at("source"), "--data", at("pictures"), "--dry-run", "--lr", "0.001"]
  const { stdout } = await adafm(args)
  expect(stdout).toContain("chosen for 16 images:")
  expect(stdout).toMatch(/^ {2}recipe adafm-25: keeps \d of \d groups/m)
  for (const setting of ["steps 1500", "augment none", "penalty real_fake 0.3", "batch 16"])
    expect(stdout).toMatch(new RegExp(`^  ${setting}.*: .{3,}$`, "m"))
  expect(stdout).not.toMatch(/^ {2}lr/m)
})

test("settings come from a file, --set and flags; later ones override earlier ones", async () => {
  const config = at("settings.yaml")
  // group 2 of G: [2, 4, 3, 3] and three times [2, 2, 3, 3]
  const text = "steps: 9\nbatch: 4\nlimit-per-class: 4\nscore-count: 0\nrecipe: g2d1-adafm\nunfreeze-at: 1\n"
  await Failure.orThrow(Files.write(config, text))
  const made = await adafm(
    ["transfer", "--source", at("source"), "--data", at("pictures"), "--out", at("run"), "--config", config].concat([
      "--set",
      "steps=5",
      "lr=0.001",
      "--steps",
      "2",
      "--json",
    ]),
  )
  expect(made.json()).toMatchObject({ run: at("run"), steps: 2, metrics: [], plan: { modulated: 72 + 3 * 36 } })
  const { default: written } = await import(at("run", "config.json"), { with: { type: "json" } })
  expect(written).toMatchObject({ batch: 4, learningRate: { generator: 0.001 }, data: { images: 8 } })
})

test("the config.json of a run repeats it, bit for bit, and says so if it cannot", async () => {
  const first = ["transfer", "--source", at("source"), "--data", at("pictures"), "--out", at("first run"), "--json"]
  const given = ["--steps", "2", "--limit", "6", "--seed", "3", "--score-count", "0", "--lr", "0.001"]
  expect((await adafm([...first, ...given])).code).toBe(0)
  const config = at("first run", "config.json")
  const { made } = JSON.parse(await readFile(config, "utf8")) as { made: { command: string } }
  expect(made.command).toContain(`transfer --source ${at("source")}`)
  expect(made.command).toContain(`--out '${at("first run")}'`)
  const again = await adafm(["transfer", "--config", config, "--out", at("again"), "--json"])
  expect(again.code, again.stdout).toBe(0)
  const weights = (run: string) => readFile(at(run, "checkpoints", "00000002.safetensors"))
  expect((await weights("again")).equals(await weights("first run"))).toBe(true)
  const other = await adafm(["pretrain", "--config", config, "--out", at("other"), "--json"])
  expect(other.json()).toMatchObject({
    error: { _tag: "BadConfig", message: expect.stringContaining("a run of transfer") },
  })
  await Failure.orThrow(Files.write(at("old.json"), '{"kind": "transfer", "version": 1}'))
  const old = await adafm(["transfer", "--config", at("old.json"), "--out", at("other"), "--json"])
  expect(old.json()).toMatchObject({ error: { _tag: "BadConfig", path: "made.settings", file: at("old.json") } })
})

test("samples, the exported file and `forward` are the same images", async () => {
  const sampled = await adafm([
    "sample",
    at("source"),
    "--seeds",
    "0-1,5",
    "--grid",
    at("grid.png"),
    "--out",
    at("png"),
    "--tensor",
    at("s.safetensors"),
    "--json",
  ])
  expect(sampled.json()).toMatchObject({ count: 3 })
  expect((await readdir(at("png"))).sort()).toEqual(["seed0000.png", "seed0001.png", "seed0005.png"])
  const { tensors } = await Failure.orThrow(Safetensors.read(at("s.safetensors")))
  expect(tensors.images?.shape).toEqual([3, 3, 16, 16])

  const exported = await adafm(["export", at("source"), "--onnx", at("g.onnx"), "--json"])
  const { maxAbsDiff, opset } = exported.json() as { maxAbsDiff: number; opset: number }
  expect(maxAbsDiff).toBeLessThan(1e-4)
  expect(opset).toBe(18)

  const z = Rng.normal(Rng.at(7, "test/z"), [5, 4])
  await Failure.orThrow(Safetensors.write(at("z.safetensors"), { z }))
  const forward = await adafm([
    "forward",
    at("source"),
    "--net",
    "generator",
    "--inputs",
    at("z.safetensors"),
    "--out",
    at("x.safetensors"),
    "--json",
  ])
  expect(forward.json()).toEqual({ out: at("x.safetensors"), tensors: ["image"] })
  const made = (await Failure.orThrow(Safetensors.read(at("x.safetensors")))).tensors.image!
  const session = await Session.create(at("g.onnx"))
  const { image } = await session.run({ z })
  await session.release()
  expect(Close.relative(image!.data as Float32Array, made.data as Float32Array)).toBeLessThan(1e-4)
})

test("every verb that reads a run takes its last checkpoint, its best one or that of a step, and says which", async () => {
  const { best, steps } = JSON.parse(await readFile(at("made.json"), "utf8")) as {
    best: { step: number; label: string }
    steps: number
  }
  expect(best.label).toMatch(/^KID/)
  const sample = async (...which: readonly string[]) =>
    adafm(["sample", at("source"), "--count", "1", "--tensor", at("one.safetensors"), ...which])
  expect((await sample()).stdout).toContain(`read step ${steps}, the last checkpoint (KID`)
  expect((await sample("--checkpoint", "best")).stdout).toContain(`read step ${best.step}, the best checkpoint (KID`)
  expect((await sample("--checkpoint", String(steps))).stdout).toContain(`read step ${steps} (KID`)
  expect(await sample("--checkpoint", "finest")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("expected best, last or a step, found finest"),
  })
  expect(await sample("--checkpoint", "77")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("this run has no checkpoint of step 77; it has"),
  })
  const weights = at("best.safetensors")
  const both = await adafm(["export", at("source"), "--checkpoint", "best", "--checkpoint", weights, "--json"])
  expect(both.json()).toMatchObject({ out: weights, checkpoint: { step: best.step, which: "best" } })
  for (const twice of [
    ["best", "last"],
    [weights, at("other.pt")],
  ])
    expect(await adafm(["export", at("source"), ...twice.flatMap((value) => ["--checkpoint", value])])).toMatchObject({
      code: 2,
    })
})

test("a run is scored against pictures, and pictures have features", async () => {
  const scored = await adafm([
    "evaluate",
    at("source"),
    "--reference",
    at("pictures"),
    "--metrics",
    "fid,prdc",
    "--extractor",
    "embedded",
    "--json",
  ])
  const { metrics } = scored.json() as { metrics: Record<string, { value: unknown; counts: object; size: number }> }
  expect(metrics.fid).toMatchObject({ counts: { a: 16, b: 16 }, size: 16 })
  expect(metrics.prdc?.value).toHaveProperty("recall")
  const found = await adafm([
    "features",
    at("pictures"),
    "--extractor",
    "embedded",
    "--out",
    at("f.safetensors"),
    "--json",
  ])
  expect(found.json()).toMatchObject({ count: 16, dims: 128, extractor: { name: "embedded", comparable: false } })
})

test("pretrain starts from a model, twice as wide", async () => {
  const base = ["--data", at("pictures"), "--out", at("wider"), "--steps", "1", "--score-count", "0", "--json"]
  expect((await adafm(["pretrain", "--from", at("source"), "--nf", "4", "--nf-max", "8", ...base])).code).toBe(0)
  const config = JSON.parse(await readFile(at("wider", "config.json"), "utf8"))
  expect(config).toMatchObject({
    model: { config: { nf: 4, nf_max: 8 } },
    source: { path: at("source"), recipe: "widened" },
  })
  const refused = await adafm(["pretrain", "--from", at("source"), "--nf", "3", ...base, "--new"])
  expect(refused.json()).toMatchObject({ error: { _tag: "WrongParameters", file: at("source"), path: "generator" } })
})

test("pretrain starts from a GP-GAN of half the size", async () => {
  const base = ["--data", at("pictures"), "--out", at("grown"), "--steps", "1", "--score-count", "0", "--json"]
  const made = await adafm(["pretrain", "--from", at("source"), "--size", "32", ...base])
  expect(made.json()).toMatchObject({ steps: 1, plan: { frozen: 0 } })
  const { copied, fresh, total } = made.json().plan as Record<string, number>
  expect(fresh).toBeGreaterThan(0)
  expect(copied).toBe(total! - fresh!)
  expect(JSON.parse(await readFile(at("grown", "config.json"), "utf8"))).toMatchObject({
    model: { config: { resolution: 32 } },
    source: { path: at("source"), recipe: "grown" },
  })
  const refused = await adafm(["pretrain", "--from", at("source"), "--size", "8", ...base, "--new"])
  expect(refused.json()).toMatchObject({
    error: { message: expect.stringContaining("--size 8: the model of --from has 16") },
  })
})

test("a model without classes starts training with classes: each begins with the same values, and they diverge", async () => {
  const images = ["--data", at("pictures"), "--batch", "4", "--score-count", "0"]
  const made = await adafm(
    [
      "pretrain",
      "--from",
      at("source"),
      "--conditional",
      "--out",
      at("classes"),
      "--steps",
      "4",
      "--lr",
      "0.01",
    ].concat([...images, "--json"]),
  )
  expect(made.json()).toMatchObject({ steps: 4, plan: { fresh: 0, frozen: 0 } })
  const of = async (label: string): Promise<Buffer> => {
    const file = at(`class-${label}.safetensors`)
    await adafm(["sample", at("classes"), "--raw", "--class", label, "--count", "1", "--tensor", file])
    return readFile(file)
  }
  expect((await of("0")).equals(await of("1"))).toBe(false)
  const none = await adafm([
    "pretrain",
    "--arch",
    "dcgan",
    "--size",
    "16",
    "--conditional",
    "--out",
    at("none"),
    ...images,
    "--json",
  ])
  expect(none).toMatchObject({ code: 2 })
  expect(none.json()).toMatchObject({ error: { _tag: "BadRecipe", message: expect.stringContaining("no classes") } })
})

test.each([
  {
    verb: "pretrain",
    args: ["--z-dim", "5"],
    message: /--z-dim 5: the model of --from has 4, and more training cannot change it/,
  },
  { verb: "transfer", args: ["--size", "32", "--dry-run"], message: /cannot change to 32/ },
  { verb: "transfer", args: ["--recipe", "nonsense", "--dry-run"], message: /no recipe is called nonsense/ },
  {
    verb: "transfer",
    args: ["--recipe", "finetune", "--regulariser-weight", "3", "--modulation-rate", "10", "--dry-run"],
    message: /have no effect: --regulariser-weight.*--modulation-rate/,
  },
  {
    verb: "transfer",
    args: ["--head", "gp", "--graft", "authors", "--max-saturation", "1", "--dry-run"],
    message: /have no effect: --graft: .*--max-saturation: there is no new small head/,
  },
  { verb: "transfer", args: ["--ada-target", "0.2", "--dry-run"], message: /belong to --ada/ },
])("$verb refuses $args, which cannot have an effect", async ({ verb, args, message }) => {
  const model = [verb === "pretrain" ? "--from" : "--source", at("source")]
  const { code, json } = await adafm([
    verb,
    ...model,
    "--data",
    at("pictures"),
    "--out",
    at("refused"),
    ...args,
    "--json",
  ])
  expect(code).toBeGreaterThan(0)
  expect(json()).toMatchObject({ error: { message: expect.stringMatching(message) } })
  expect(await readdir(folder)).not.toContain("refused")
})

test("the paper's preset takes the source run's trained generator, like --raw", async () => {
  const args = [
    "transfer",
    "--source",
    at("source"),
    "--data",
    at("pictures"),
    "--recipe",
    "finetune",
    "--score-count",
    "0",
  ]
  const picture = async (name: string, ...more: readonly string[]): Promise<Buffer> => {
    await adafm([...args, "--steps", "1", "--out", at(name), ...more])
    return readFile(at(name, "samples-00000000.png"))
  }
  const preset = await picture("preset", "--preset", "paper")
  expect(preset.equals(await picture("itself", "--raw", "--top", "fresh"))).toBe(true)
  expect(preset.equals(await picture("averaged", "--top", "fresh"))).toBe(false)
})

test("an interrupt ends the training at a checkpoint, with exit code 130", async () => {
  let asked = false
  const made = await spawned(
    ["pretrain", ...tiny, "--data", at("pictures"), "--out", at("long"), "--steps", "1000000", "--json"],
    (child, stderr) => {
      if (asked || !stderr.includes("step 0")) return
      asked = true
      setTimeout(() => child.kill("SIGINT"), 1500)
    },
  )
  expect(made.code).toBe(130)
  // the command `tsx` kills a process that does not react to an interrupt within 60 ms, and steps take longer
  expect(script[0]).toBe("node")
  const { steps } = made.json() as { steps: number }
  expect(steps).toBeGreaterThan(0)
  expect(await readdir(at("long", "checkpoints"))).toEqual([`${String(steps).padStart(8, "0")}.safetensors`])
})

test("a training continues when the reader of its stderr is gone", async () => {
  const made = await spawned(
    ["pretrain", ...tiny, "--data", at("pictures"), "--out", at("unheard"), "--steps", "4", "--every", "1", "--json"],
    (child) => child.stderr!.destroy(),
  )
  expect(made.code).toBe(0)
  expect(made.json()).toMatchObject({ steps: 4 })
})

test.skipIf(process.platform !== "linux")("an answer that cannot be written is a one-line failure", async () => {
  const full = await open("/dev/full", "w")
  const { status, stderr } = spawnSync(process.execPath, [...flags, "weights", "list"], {
    stdio: ["ignore", full.fd, "pipe"],
    encoding: "utf8",
  })
  await full.close()
  expect({ status, stderr }).toEqual({ status: 1, stderr: expect.stringMatching(/^error: the answer .*ENOSPC.*\n$/) })
})

test("doctor reports what works here", async () => {
  const examined = await spawned(["doctor", "--json"])
  expect(examined.stderr).not.toMatch(/already registered|onnxruntime:/)
  const health: Doctor.Health = JSON.parse(examined.stdout)
  expect(health.node).toBe(process.versions.node)
  expect(health.engines.map(({ name }) => name)).toEqual(["onnx", "tensorflow", "wasm", "cpu"])
  expect(health.default).toBe("onnx")
  expect(health.images.available).toBe(true)
  expect(health.models).toContainEqual({ name: "builtin:cifar32-small", about: "gpgan, 32 px" })
  for (const { available, fix } of health.engines) expect(fix === undefined).toBe(available)
  for (const { present, fix } of health.weights) expect(fix === undefined).toBe(present)
  const { providers = [] } = health.engines.find(({ name }) => name === "onnx")!
  expect(providers).toContainEqual({ name: "cpu", available: true })
  // a provider that does not work is refused before any work begins, in the same words
  for (const { name, reason, fix } of providers.filter(({ available }) => !available)) {
    const refused = await spawned(["sample", "builtin:cifar32-small", "--out", at(`on-${name}`), "--provider", name])
    const remedy = fix === undefined ? "" : `; fix it with: ${fix}`
    expect(refused.stderr).toBe(`error: provider ${name} does not work here: ${reason}${remedy}\n`)
    expect(refused.code).toBe(1)
    expect(existsSync(at(`on-${name}`))).toBe(false)
  }
})

test("report makes one page of runs, or of a folder of runs, with text and numbers next to it", async () => {
  const { json, code } = await adafm(["report", at("source"), "--out", at("page/report.html"), "--json"])
  expect(code).toBe(0)
  const { out, files, runs } = json() as { out: string; files: string[]; runs: { run: string; steps: number }[] }
  expect(out).toBe(at("page/report.html"))
  expect(files).toContain(at("page/report.md"))
  expect(runs[0]).toMatchObject({ run: at("source"), steps: 4 })
  const html = await readFile(out, "utf8")
  expect(html).toContain("FID (embedded")
  expect(html).toContain("data:image/png;base64,")
  const told = JSON.parse(await readFile(at("page/report.json"), "utf8")) as {
    runs: { parameters: { generator: { total: number; frozen: number; trained: number } } }[]
  }
  const { total, frozen, trained } = told.runs[0]!.parameters.generator
  expect(total).toBeGreaterThan(0)
  expect({ frozen, trained }).toEqual({ frozen: 0, trained: total })
  await Files.folder(at("begun"))
  await copyFile(at("source", "config.json"), at("begun", "config.json"))
  const several = await adafm(["report", folder, "--out", at("page/all.html"), "--json"])
  const shown = (several.json() as { runs: { run: string }[] }).runs.map(({ run }) => run)
  expect(shown).toContain(at("source"))
  expect(shown).not.toContain(at("begun"))
  expect((await adafm(["report", at("begun"), "--json"])).json()).toMatchObject({ error: { _tag: "NoCheckpoint" } })
  await cp(at("source"), at("silent"), { recursive: true })
  await rm(at("silent", "stats.jsonl"))
  expect((await adafm(["report", at("silent"), "--out", at("page/silent.html")])).code).toBe(0)
  const none = await adafm(["report", at("pictures"), "--out", at("page/none.html"), "--json"])
  expect(none.code).toBe(1)
  expect(none.json()).toMatchObject({ error: { _tag: "NoRun", file: at("pictures") } })
})
