/** What goes wrong: exit code 1 for work that fails, 2 for wrong arguments, one document with `error` under `--json`. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, NdArray, Safetensors } from "@adafm/core"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { adafm, spawned } from "./command.ts"

let folder = ""
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-refusals-"))
  await mkdir(join(folder, "empty"))
  await mkdir(join(folder, "texts"))
  await writeFile(join(folder, "texts", "notes.txt"), "no picture")
  await writeFile(join(folder, "lfs.pth"), "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")
  const whole = join(folder, "whole.safetensors")
  await Failure.orThrow(Safetensors.write(whole, { w: NdArray.zeros("float32", [64]) }))
  const bytes = Safetensors.encode({ w: NdArray.zeros("float32", [64]) })
  await writeFile(join(folder, "cut.safetensors"), Buffer.concat(bytes).subarray(0, -3))
  await writeFile(join(folder, "bad.yaml"), "steps: 3\nfilters: 64\n")
})
afterAll(() => rm(folder, { recursive: true }))

const ROSES = "drawn:flowers?count=4&size=16&species=rose"
const pretrain = ["pretrain", "--arch", "gpgan", "--data", "texts", "--out", "run"]

describe("exit code 2, wrong arguments", () => {
  test.each([
    { name: "an unknown verb", args: ["paint"], message: /unknown command/ },
    { name: "no verb", args: [], message: /verb is missing/ },
    { name: "no verb of metrics", args: ["metrics"], message: /verb is missing/ },
    { name: "an unknown flag", args: ["doctor", "--fast"], message: /unknown option/ },
    {
      name: "a word for a number",
      args: [...pretrain, "--steps", "many"],
      message: /^--steps: expected a whole number, 1 or more, found many$/,
    },
    {
      name: "a missing flag",
      args: ["forward", "model", "--net", "generator"],
      message: /^--inputs is required; --out is required$/,
    },
    {
      name: "an unknown engine",
      args: ["sample", "m", "--grid", "g.png", "--engine", "jax"],
      message: /^--engine: expected onnx, tensorflow, wasm, or cpu, found jax$/,
    },
    {
      name: "a training without an architecture",
      args: ["pretrain", "--data", "texts", "--out", "run"],
      message: /^--arch \(an architecture\) or --from \(an earlier model\) is required$/,
    },
    {
      name: "a gradient of the generator",
      args: ["forward", "m", "--net", "generator", "--grad", "--inputs", "z", "--out", "x"],
      message: /--grad belongs to --net discriminator/,
    },
    {
      name: "a limit without images",
      args: ["sample", "m", "--grid", "g.png", "--limit", "3"],
      message: /--limit belongs to --match-colours/,
    },
    {
      name: "a small head's flag for a GP-GAN",
      args: [...pretrain, "--style-dim", "8"],
      message: /^--arch gpgan does not use --style-dim$/,
    },
    {
      name: "a GP-GAN's flags for a DCGAN",
      args: [...pretrain.with(2, "dcgan"), "--nf-max", "2", "--embed", "7"],
      message: /^--arch dcgan does not use --nf-max, --embed$/,
    },
    {
      name: "samples without a file to write",
      args: ["sample", "model"],
      message: /: give --grid FILE, --out FOLDER or --tensor FILE$/,
    },
    {
      name: "an unknown key of --set",
      args: [...pretrain, "--set", "filters=64"],
      message: /^unknown setting filters: settings have the names of the flags, see --help$/,
    },
    {
      name: "a value of --set that is not YAML",
      args: [...pretrain, "--set", "classes=[a"],
      message: /^--set classes: not valid YAML: .*line 1, column 3$/,
    },
    {
      name: "--set json",
      args: [...pretrain, "--set", "json=true"],
      message: /^--set json: give the flag --json instead$/,
    },
    {
      name: "a size that the architecture cannot take",
      args: [...pretrain, "--size", "33"],
      message: /^--size: expected 16, 32, 64, 128, or 256, found 33$/,
    },
    {
      name: "a wrong element of a list",
      args: [...pretrain, "--augment", "color,blur"],
      message: /^--augment: expected none, color, translation, or cutout, found blur$/,
    },
    {
      name: "a path with spaces that is not quoted",
      args: ["sample", "my", "run", "--grid", "g.png"],
      message: /Is there a path with spaces\? Put it into quotes\.$/,
    },
    {
      name: "half of a recipe",
      args: ["transfer", "--source", "m", "--keep-g", "2", "--dry-run"],
      message: /go together/,
    },
    {
      name: "a rank of a modulation that has none",
      args: ["transfer", "--source", "m", "--modulation", "kml", "--rank", "2", "--dry-run"],
      message: /--rank belongs/,
    },
    {
      name: "a batch of a thousand million",
      args: [...pretrain, "--batch", "1e9"],
      message: /^--batch: expected a whole number from 1 to 8,192, found 1e9$/,
    },
    {
      name: "as many threads",
      args: [...pretrain, "--threads", "1e9"],
      message: /^--threads: expected a whole number from 1 to 1,024, found 1e9$/,
    },
    {
      name: "as many pixels",
      args: ["evaluate", "a", "--reference", "b", "--size", "1e9"],
      message: /^--size: expected a whole number from 1 to 8,192, found 1e9$/,
    },
    {
      name: "as many pictures",
      args: ["sample", "m", "--count", "1e9", "--out", "x"],
      message: /^--count: expected a whole number from 1 to 1,000,000, found 1e9$/,
    },
    {
      name: "as many pictures in ranges",
      args: ["sample", "m", "--seeds", "0-900000,0-900000", "--out", "x"],
      message: /^--seeds: expected numbers and ranges such as 0-15,31, found/,
    },
    {
      name: "as wide layers",
      args: [...pretrain, "--nf", "1e9"],
      message: /^--nf: expected a whole number from 1 to 65,536, found 1e9$/,
    },
  ])("$name", async ({ args, message }) => {
    const { code, json, stderr } = await adafm([...args, "--json"])
    expect(code, stderr).toBe(2)
    expect(json()).toEqual({ error: { _tag: "BadArguments", message: expect.stringMatching(message) } })
  })

  test.each([
    { _tag: "WrongSize", args: [...pretrain.with(2, "dcgan"), "--size", "33"] },
    { _tag: "UnknownProvider", args: [...pretrain, "--provider", "nope"] },
    { _tag: "UnknownProvider", args: [...pretrain, "--engine", "wasm", "--provider", "cuda"] },
    { _tag: "NoClass", args: [...pretrain, "--classes", "tulip"].toSpliced(4, 1, ROSES) },
    { _tag: "NoClass", args: [...pretrain, "--set", "classes=1"].toSpliced(4, 1, ROSES) },
    { _tag: "NoClass", args: ["sample", "builtin:cifar32-small", "--class", "99", "--out", "m"] },
    { _tag: "NoClass", args: ["project", "builtin:cifar32-small", "--images", ROSES, "--class", "99", "--out", "m"] },
    { _tag: "TooFew", args: ["sample", "builtin:cifar32-small", "--interpolate", "1", "--out", "m"] },
    { _tag: "BadHash", args: ["weights", "fetch", "inception", "--offline", "--sha256", "abc"] },
  ])("$_tag: $args", async ({ _tag, args }) => {
    const { code, json } = await adafm([...args, "--json"])
    expect([code, json()]).toMatchObject([2, { error: { _tag } }])
  })
})

describe("a refused setting names the file that it is from", () => {
  const transfer = ["transfer", "--source", "builtin:cifar32-small", "--dry-run"]
  const written = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text)
    return join(folder, name)
  }
  test("a recipe of --config, unless a flag replaces it", async () => {
    const config = await written("recipe.yaml", "recipe: nonsense\n")
    expect((await adafm([...transfer, "--config", config, "--json"])).json()).toMatchObject({
      error: { _tag: "BadRecipe", file: config },
    })
    const { error } = (await adafm([...transfer, "--config", config, "--recipe", "other", "--json"])).json()
    expect(error).toMatchObject({ _tag: "BadRecipe" })
    expect(error).not.toHaveProperty("file")
  })
  test("a plan whose pattern covers nothing", async () => {
    const rules = '[{ paths: "nothing_*", fate: freeze }, { paths: "*" }]'
    const plan = await written("plan.yaml", `generator: ${rules}\ndiscriminator: [{ paths: "*" }]\n`)
    expect((await adafm([...transfer, "--plan", plan, "--json"])).json()).toMatchObject({
      error: { _tag: "BadPlan", file: plan, message: expect.stringContaining("covers no path") },
    })
  })
  test("a modulation of a run's configuration that its architecture cannot have", async () => {
    const model = { architecture: "gpgan", resolution: 16, nf: 2, z_dim: 2 }
    const config = {
      kind: "pretrain",
      model: { config: model, latent: { distribution: "normal", dim: 2 } },
      modulation: { config: { kind: "adafm" }, weights: ["no.such.filter"] },
      trainable: { generator: [], discriminator: [] },
      data: { path: "x", sha256: "x", images: 1, classes: [] },
      seed: 0,
      batch: 1,
      learningRate: { generator: 1, discriminator: 1 },
      penalty: { mode: "real", weight: 1 },
      ema: { decay: 0.9, ramp: true },
      engine: "onnx/cpu",
    }
    await mkdir(join(folder, "modulated", "checkpoints"), { recursive: true })
    await Failure.orThrow(
      Safetensors.write(join(folder, "modulated", "checkpoints", "00000001.safetensors"), {
        "generator/x": NdArray.zeros("float32", [1]),
      }),
    )
    const file = await written(join("modulated", "config.json"), JSON.stringify(config))
    const { json } = await adafm(["sample", join(folder, "modulated"), "--out", join(folder, "m"), "--json"])
    expect(json()).toMatchObject({ error: { _tag: "BadModulation", file } })
  })
})

/** A tensor named by a stranger: it clears the screen, sets the window's title, reverses the text, begins a line. */
const HOSTILE = "w\u001b[2J\u001b]0;title\u0007\u009b31m\u202egnp\r\nforged line\u0000"

test.each(["text", "JSON"])("control characters of a tensor's name reach no terminal: %s", async (form) => {
  const file = join(folder, "hostile.safetensors")
  await Failure.orThrow(Safetensors.write(file, { [HOSTILE]: NdArray.zeros("float32", [2]) }))
  const { code, stdout, json } = await adafm(["inspect", file, ...(form === "JSON" ? ["--json"] : [])])
  expect(code).toBe(0)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not occur
  expect(stdout.replaceAll("\n", "")).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
  expect(stdout).not.toMatch(/^forged/m)
  if (form === "JSON") expect(json()).toMatchObject({ tensors: [{ path: HOSTILE }] })
  else expect(stdout).toContain("w\\u001b[2J")
})

test("nor do those of a failure's message, file and path", async () => {
  const { stderr } = await adafm(["inspect", join(folder, HOSTILE.replace("\u0000", ""))])
  expect(stderr).toContain("\\u001b")
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not occur
  expect(stderr.replaceAll("\n", "")).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
})

describe("exit code 1, the work failed", () => {
  test.each([
    {
      name: "a missing checkpoint",
      args: ["inspect", "nothing.pt"],
      error: { _tag: "System.ENOENT", file: "nothing.pt", message: "no such file or folder" },
    },
    { name: "a truncated checkpoint", args: ["inspect", "cut.safetensors"], error: { _tag: "BadTensor", path: "w" } },
    {
      name: "a Git LFS pointer",
      args: ["import", "lfs.pth", "--out", "m"],
      error: { _tag: "GitLfsPointer", file: "lfs.pth" },
    },
    {
      name: "tensors of no known architecture",
      args: ["import", "whole.safetensors", "--out", "m"],
      error: { file: "whole.safetensors" },
    },
    { name: "a folder without images", args: pretrain, error: { _tag: "NoImages", file: "texts" } },
    {
      name: "classes where there is one",
      args: [...pretrain, "--conditional"].toSpliced(4, 1, ROSES),
      error: { _tag: "NoClasses", message: expect.stringContaining("sub-folder") },
    },
    {
      name: "a class without images",
      args: [...pretrain, "--classes", "tulip"].toSpliced(4, 1, "drawn:flowers?count=4&size=16"),
      error: { _tag: "NoImages", message: "none of the 4 images is of the classes tulip" },
    },
    {
      name: "a folder that is not a model",
      args: ["sample", "empty", "--grid", "g.png"],
      error: { _tag: "NoModel", file: "empty", message: expect.stringMatching(/but this folder has neither$/) },
    },
    {
      name: "a checkpoint in place of a model",
      args: ["sample", "lfs.pth", "--grid", "g.png"],
      error: {
        _tag: "NoModel",
        file: "lfs.pth",
        message: expect.stringMatching(/adafm import \S+lfs\.pth --out FOLDER$/),
      },
    },
    {
      name: "an unknown key of the file",
      args: [...pretrain, "--config", "bad.yaml"],
      error: { _tag: "BadConfig", file: "bad.yaml", path: "filters" },
    },
    {
      name: "statistics that are not there",
      args: ["evaluate", "lfs.npz", "--reference", "texts"],
      error: { file: "lfs.npz" },
    },
  ])("$name", async ({ args, error }) => {
    const before = (await readdir(folder)).sort()
    const files = new Set([...before, "nothing.pt", "lfs.npz", "m", "run", "g.png", "model"])
    const placed = args.map((arg) => (files.has(arg) ? join(folder, arg) : arg))
    const { code, json, stderr } = await adafm([...placed, "--json"])
    expect(code, stderr).toBe(1)
    const placedError = "file" in error ? { ...error, file: join(folder, error.file!) } : error
    expect(json()).toMatchObject({ error: { message: expect.any(String), ...placedError } })
    expect((await readdir(folder)).sort()).toEqual(before)
  })

  test("without --json it is a block of text on stderr, and stdout is empty", async () => {
    const { code, stdout, stderr } = await spawned(["inspect", join(folder, "lfs.pth")])
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" })
    expect(stderr).toMatch(/^error: a Git LFS pointer.*\n {2}file: .*lfs\.pth\n {2}byte: 0\n$/)
  })

  test("wrong arguments name the command that prints their help", async () => {
    const { stderr } = await adafm(["metrics", "merge", "one.npz", "--out", "whole.npz"])
    expect(stderr).toMatch(
      /^error: metrics merge needs two files or more, found 1\n {2}help: .*adafm metrics merge --help\n$/,
    )
  })
})
