import { existsSync } from "node:fs"
import { mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Modulate } from "@adafm/adafm"
import { Failure, Leaf, Lock, NdArray, Safetensors } from "@adafm/core"
import { Drawn, Image } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { Engines } from "@adafm/engine"
import { Gan, ModelFolder, RunFolder } from "@adafm/gan"
import { Plan, PreparedTarget } from "@adafm/transfer"
import * as E from "fp-ts/lib/Either.js"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import * as Model from "../src/run/Model.ts"
import type * as RunConfig from "../src/run/RunConfig.ts"
import * as Pretrain from "../src/verbs/Pretrain.ts"
import * as Report from "../src/verbs/Report.ts"
import * as Transfer from "../src/verbs/Transfer.ts"
import * as TransferPlan from "../src/verbs/TransferPlan.ts"

let folder = ""
let engine: Engine.Engine
const at = (name: string): string => join(folder, name)

/** A GP-GAN of a few hundred random parameters, whose features at the graft have a standard deviation of 0.1. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-transfer-"))
  engine = await Engines.open({ threads: 1 })
  const gan = Gan.of(
    Gan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 2, nf_max: 4, z_dim: 4, embed: 2, nlabels: 3 }),
  )
  const networks = {
    generator: Leaf.initAll(gan.generator, 0, "generator"),
    discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
  }
  await Failure.orThrow(ModelFolder.write(at("source"), ModelFolder.describe(gan), networks))
})
afterAll(() => rm(folder, { recursive: true }))

const options = (out: string, { surgery, ...more }: Partial<Transfer.Options> = {}): Transfer.Options => ({
  source: at("source"),
  data: Drawn.flowers({ size: 16, count: 8, seed: 0 }).path,
  out: at(out),
  surgery: { recipe: "adafm", unfreezeAt: 1, ...surgery },
  steps: 4,
  every: 4,
  batch: 4,
  seed: 1,
  scoreCount: 0,
  scoreStart: false,
  ...more,
})

const prepared = (source: Model.Model, recipe = "adafm"): Promise<PreparedTarget.PreparedTarget> =>
  PreparedTarget.of(source, { surgery: { recipe, unfreezeAt: 1 }, steps: 4, seed: 1 }, engine)

type Written = Record<string, never> & {
  source: {
    graft: { mean: number[]; deviation: number[]; over?: string; head?: { mean: number[]; deviation: number[] } }
  }
  model: { config: object }
}
const configOf = async (out: string): Promise<Written> =>
  JSON.parse(await readFile(join(at(out), "config.json"), "utf8"))

test("a run inside its image folder is refused: it would learn from its own sample grids", async () => {
  for (const out of ["photos", "photos/runs/mine"]) {
    const refused = await Transfer.run(options(out, { data: at("photos") }), engine)()
    expect(E.isLeft(refused) && refused.left).toMatchObject({ _tag: "RunAmongImages", file: at(out) })
  }
  const outside = await Transfer.run(options("photos-run", { data: at("photos") }), engine)()
  expect(E.isLeft(outside) && outside.left._tag).not.toBe("RunAmongImages")
  const aside = await Transfer.run(options("", { data: at("photos"), restart: true }), engine)()
  expect(E.isLeft(aside) && aside.left).toMatchObject({ _tag: "ImagesInRun" })
})

describe("the folder of a run", () => {
  /** `count` pictures as files. */
  const pictures = async (name: string, count: number): Promise<string> => {
    const set = Drawn.flowers({ size: 16, count, seed: 0 })
    for (let i = 0; i < count; i++)
      await Failure.orThrow(Image.writePng(join(at(name), `${i}.png`), await Failure.orThrow(set.decode(i))))
    return at(name)
  }
  const failure = async (given: Transfer.Options): Promise<Failure.Failure | undefined> => {
    const outcome = await Transfer.run(given, engine)()
    return E.isLeft(outcome) ? outcome.left : undefined
  }

  test("records its threads, says when others go on, and sweeps what a killed process left", async () => {
    await Failure.orThrow(Transfer.run(options("threads", { steps: 2, every: 2 }), engine))
    const file = join(at("threads"), "config.json")
    const written = JSON.parse(await readFile(file, "utf8"))
    expect(written.threads).toBe(1)
    await writeFile(file, JSON.stringify({ ...written, threads: 3 }))
    const orphan = join(at("threads"), "checkpoints", "00000001.safetensors.tmp-99")
    await writeFile(orphan, "cut off")
    const notes: string[] = []
    await Failure.orThrow(Transfer.run(options("threads", { steps: 3, onNote: (line) => notes.push(line) }), engine))
    expect(notes.join("\n")).toMatch(/begun with 3 threads and goes on with 1: .*--threads 3 keeps them/)
    expect(existsSync(orphan)).toBe(false)
    expect(JSON.parse(await readFile(file, "utf8")).threads).toBe(3)
  })

  test("is resumed when the same images have moved, and refused when the images are others", async () => {
    const data = await pictures("here", 4)
    await Failure.orThrow(Transfer.run(options("moved", { data, steps: 1, every: 1 }), engine))
    await rename(data, at("there"))
    // and the path of the source is written in another way
    const moved = options("moved", { data: `${at("there")}/`, source: `${folder}/there/../source`, steps: 2 })
    expect(await Failure.orThrow(Transfer.run(moved, engine))).toMatchObject({ steps: 2 })
    await rm(join(at("there"), "3.png"))
    expect(await failure(moved)).toMatchObject({ _tag: "OtherRun", message: expect.stringContaining("data.sha256") })
  })

  test("belongs to another run if other values are taken from the source", async () => {
    const finetune = (more: Transfer.Options["surgery"] = {}, steps = 1) =>
      options("taken", { surgery: { recipe: "finetune", ...more }, steps, every: 1 })
    const both = (network: NonNullable<Transfer.Options["surgery"]>["generator"]) =>
      finetune({ generator: network, discriminator: network })
    await Failure.orThrow(Transfer.run(finetune(), engine))
    const there = { generator: { "fc.weight": "view of fc.weight" }, discriminator: { "fc.bias": "view of fc.bias" } }
    expect((await configOf("taken")).source).toMatchObject({ surgery: there })
    expect((await failure(both({ top: "fresh" })))?.message).toContain(
      'source.surgery.generator.fc.weight: "view of fc.weight" in the folder, "fresh" now',
    )
    const others = [finetune({ discriminator: { keep: 0, rest: "fresh" } }), both({ rest: "fresh" })]
    for (const other of others) expect(await failure(other)).toMatchObject({ _tag: "OtherRun" })
    const same = { rest: "copied", top: "view" } as const
    expect(await failure(finetune({ generator: same, discriminator: same }, 2))).toBeUndefined()
  })

  test("belongs to another run if a plan takes values from other paths", async () => {
    const all = [{ paths: "*" }]
    const planned = (discriminator: Plan.Input["discriminator"]) => {
      const plan = Plan.Plan.parse({ generator: all, discriminator })
      return options("planned", { surgery: { recipe: undefined, plan }, steps: 1, every: 1 })
    }
    await Failure.orThrow(Transfer.run(planned(all), engine))
    const renamed = planned([{ paths: "resnet_0_0.conv_1.bias", rename: "resnet_0_0.conv_0.bias" }, ...all])
    expect((await failure(renamed))?.message).toContain(
      'source.surgery.discriminator.resnet_0_0.conv_1.bias: not set in the folder, "resnet_0_0.conv_0.bias" now',
    )
    const drawn = planned([{ paths: "resnet_0_0.conv_1.bias", value: "fresh" }, ...all])
    expect(await failure(drawn)).toMatchObject({ _tag: "OtherRun" })
    // the same values by other rules
    expect(await failure(planned([{ paths: "resnet_*" }, ...all]))).toBeUndefined()
  })

  test("belongs to another run if the source at the same path has other values", async () => {
    const [from, onTop] = [
      options("moving", { steps: 1, every: 1 }),
      options("on top", { source: at("moving"), steps: 1 }),
    ]
    await Failure.orThrow(Transfer.run(from, engine))
    await Failure.orThrow(Transfer.run(onTop, engine))
    expect((await configOf("on top")).source).toMatchObject({ sha256: expect.stringMatching(/^[0-9a-f]{64}$/) })
    const raw = await failure({ ...onTop, raw: true })
    expect(raw?.message).toMatch(/source\.sha256: .*; source\.raw: not set in the folder, true now/)
    await Failure.orThrow(Transfer.run({ ...from, steps: 2 }, engine))
    expect((await failure(onTop))?.message).toContain("source.sha256")
  })

  test("is resumed if an older version recorded neither a hash of the source nor the surgery", async () => {
    const older = async (run: string, sha256: string): Promise<void> => {
      const { source, ...rest } = await configOf(run)
      const { surgery: _, ...known } = source as typeof source & { surgery?: unknown }
      await writeFile(join(at(run), "config.json"), JSON.stringify({ ...rest, source: { ...known, sha256 } }))
    }
    await Failure.orThrow(Transfer.run(options("older", { steps: 1 }), engine))
    await older("older", "")
    expect(await Failure.orThrow(Transfer.run(options("older", { steps: 2 }), engine))).toMatchObject({ steps: 2 })

    // a run whose source was imported recorded the hash of the imported file; now it is that of what was opened
    const imported = "ab".repeat(32)
    const model = await Failure.orThrow(ModelFolder.read(at("source")))
    const described = { ...model.description, source: { sha256: imported } }
    await Failure.orThrow(ModelFolder.write(at("imported"), described, model))
    await Failure.orThrow(Transfer.run(options("of import", { source: at("imported"), steps: 1 }), engine))
    const opened = Model.fingerprint(await Failure.orThrow(Model.open(at("source"))))
    expect((await configOf("of import")).source).toMatchObject({ sha256: opened })
    await older("of import", imported)
    expect(
      await Failure.orThrow(Transfer.run(options("of import", { source: at("imported"), steps: 2 }), engine)),
    ).toMatchObject({ steps: 2 })
    const second = options("second", { source: at("of import"), steps: 1 })
    await Failure.orThrow(Transfer.run(second, engine))
    expect((await configOf("second")).source).not.toMatchObject({ sha256: imported })
    await older("second", imported)
    expect(await Failure.orThrow(Transfer.run({ ...second, steps: 2 }, engine))).toMatchObject({ steps: 2 })

    const bundled = { data: Drawn.flowers({ size: 32, count: 4, seed: 0 }).path, from: "builtin:cifar32-small" }
    const { config } = (await Failure.orThrow(Model.open(bundled.from))).description
    const begin: Pretrain.Options = {
      ...bundled,
      config,
      out: at("bundled"),
      steps: 1,
      every: 1,
      batch: 2,
      seed: 0,
      scoreCount: 0,
      scoreStart: false,
    }
    await Failure.orThrow(Pretrain.run(begin, engine))
    // the hash that the cells of the experiments record
    const known = "cc5e6325eaa97c56b3894951ca07083c49c3293402cb5d7e82c87eee3e023fe8"
    expect((await configOf("bundled")).source).toMatchObject({ sha256: known })
    await older("bundled", "")
    expect(await Failure.orThrow(Pretrain.run({ ...begin, steps: 2 }, engine))).toMatchObject({ steps: 2 })
  })

  test("records what each score compares with, and a report draws scores of another reference as a separate curve", async () => {
    const notes: string[] = []
    const scored = (steps: number, count: number): Transfer.Options =>
      options("scored", {
        steps,
        every: 1,
        scoreCount: 4,
        scoreStart: true,
        onNote: (line) => notes.push(line),
        reference: Drawn.flowers({ size: 16, count, seed: 5 }).path,
      })
    await Failure.orThrow(Transfer.run(scored(1, 4), engine))
    await Failure.orThrow(Transfer.run(scored(2, 4), engine))
    expect(notes.join("\n")).not.toContain("had other settings")
    await Failure.orThrow(Transfer.run(scored(3, 6), engine))
    expect(notes.at(-1)).toMatch(
      /^scores up to step 2 had other settings \(reference images\): later scores do not compare/,
    )
    const lines = await Failure.orThrow(RunFolder.lines(at("scored"), "metric"))
    expect(lines).toHaveLength(4)
    const hash = expect.stringMatching(/^[0-9a-f]{64}$/)
    for (const line of lines)
      expect(line).toMatchObject({
        count: 4,
        extractor: expect.any(String),
        extractorSha256: hash,
        mode: "pytorch-fid",
        size: 16,
        seed: 1,
        reference: expect.stringContaining("flowers"),
        referenceSha256: hash,
        samplesSha256: hash,
      })
    expect(lines.map(({ referenceSha256 }) => referenceSha256 === lines[0]!.referenceSha256)).toEqual([
      true,
      true,
      true,
      false,
    ])
    await Failure.orThrow(Report.run({ folders: [at("scored")], out: at("scored.html") }))
    const page = await readFile(at("scored.md"), "utf8")
    for (const text of [
      "scored, from step 0",
      "scored, from step 3",
      "Not all of these scores are comparable: they differ in reference images.",
      "scored. Generator: the 2 groups nearest to the image copied, modulated; the other groups copied, trained",
    ])
      expect(page).toContain(text)
  })

  test("of any seed is scored against the same reference images, unless the reference seed says otherwise", async () => {
    const scored = async (seed: number, referenceSeed?: number): Promise<unknown> => {
      const { metrics } = await Failure.orThrow(
        Transfer.run(
          options(`of seed ${seed} ${referenceSeed}`, {
            seed,
            steps: 1,
            scoreCount: 3,
            reference: Drawn.flowers({ size: 16, count: 12, seed: 5 }).path,
            ...(referenceSeed !== undefined && { referenceSeed }),
          }),
          engine,
        ),
      )
      expect(metrics.at(-1)).toMatchObject({ seed, referenceSeed: referenceSeed ?? 0 })
      return metrics.at(-1)!.referenceSha256
    }
    const first = await scored(1)
    expect(await scored(2)).toBe(first)
    expect(await scored(2, 3)).not.toBe(first)
  })

  test("records versions, command and settings, which are not compared when it is resumed", async () => {
    const invocation = { command: "adafm transfer …", settings: { source: at("source") } }
    await Failure.orThrow(Transfer.run(options("made", { steps: 1, invocation }), engine))
    const { made } = (await configOf("made")) as unknown as { made: { versions: object; settings: object } }
    expect(made).toMatchObject({
      versions: { adafm: expect.any(String), node: process.versions.node, onnxruntime: expect.any(String) },
      commit: expect.stringMatching(/^[0-9a-f]{40}(\+changes)?$/),
      command: "adafm transfer …",
      settings: {
        source: at("source"),
        steps: 1,
        batch: 4,
        recipe: "adafm",
        lr: 2e-4,
        augment: ["color", "translation"],
      },
    })
    const file = join(at("made"), "config.json")
    const older = (await readFile(file, "utf8")).replace(/"node": "[^"]+"/, '"node": "1.2.3"')
    await writeFile(file, older)
    const notes: string[] = []
    const again = options("made", { steps: 2, onNote: (line) => notes.push(line) })
    await Failure.orThrow(Transfer.run(again, engine))
    expect(notes.join("\n")).toContain(`other versions: node 1.2.3, now ${process.versions.node}`)
    expect(await readFile(file, "utf8")).toBe(older)
  })

  test("is untouched if the images turn out to be unusable", async () => {
    const data = await pictures("spoiled", 3)
    await Failure.orThrow(Transfer.run(options("intact", { data, steps: 1 }), engine))
    for (const name of ["0.png", "1.png"]) await writeFile(join(data, name), "")
    expect(await failure(options("intact", { data, restart: true }))).toMatchObject({ _tag: "BrokenImages" })
    expect(existsSync(join(at("intact"), "checkpoints"))).toBe(true)
    expect((await readdir(folder)).filter((name) => name.startsWith("intact"))).toEqual(["intact"])
    expect(await failure(options("unmade", { data }))).toMatchObject({ _tag: "BrokenImages", path: "0.png" })
    expect(existsSync(at("unmade"))).toBe(false)
  })

  test.skipIf(process.platform === "win32")("is written without the one image that cannot be read", async () => {
    const data = await pictures("dangling", 3)
    await symlink(at("nowhere.png"), join(data, "3.png"))
    const skipped = options("skipping", { data, steps: 1, scoreCount: 4 })
    const situations: unknown[] = []
    const told: typeof skipped = { ...skipped, onChoices: (_, found) => situations.push(found) }
    const { broken, metrics } = await Failure.orThrow(Transfer.run(told, engine))
    expect(broken.map(({ name }) => name)).toEqual(["3.png"])
    expect(metrics).toMatchObject([{ step: 1, count: 3 }])
    // decoded images are counted, not names
    expect(await configOf("skipping")).toMatchObject({ data: { images: 3 } })
    expect(situations).toMatchObject([{ images: 3 }])
  })

  test("is moved aside, also if its name ends in a slash", async () => {
    const slashed = options("slashed/", { steps: 1, restart: true })
    for (let i = 0; i < 2; i++) await Failure.orThrow(Transfer.run(slashed, engine))
    const found = (await readdir(folder)).filter((name) => name.startsWith("slashed"))
    expect(found).toEqual(["slashed", "slashed.old-1"])
  })

  test("is not written for scores of a single image, which are refused at once", async () => {
    const one = { data: await pictures("single", 1), scoreCount: 10 }
    const told: unknown[] = []
    const refused = await failure(options("lone", { ...one, onChoices: (choices) => told.push(choices) }))
    expect(refused).toMatchObject({ _tag: "TooFewImages", file: one.data })
    expect(refused!.message).toMatch(/found 1.*--reference.*--score-count 0/)
    expect(told).toEqual([])
    expect(existsSync(at("lone"))).toBe(false)
  })

  test("is refused while another process is working in it, also with --new", async () => {
    await Failure.orThrow(Transfer.run(options("busy", { steps: 1 }), engine))
    const tries = async (): Promise<void> => {
      for (const restart of [false, true])
        expect(await failure(options("busy", { restart }))).toMatchObject({
          _tag: "RunInUse",
          file: at("busy"),
          message: expect.stringContaining(`process ${process.pid} on `),
        })
    }
    await Lock.within(at("busy"), tries, async () => undefined)
    expect(await failure(options("busy", { restart: true, steps: 1 }))).toBeUndefined()
    expect((await readdir(at("busy"))).includes("lock")).toBe(false)
  })
})

describe("a transfer with a small head", () => {
  test("records what it measured, and resumes from that bit for bit", async () => {
    const whole = await Failure.orThrow(Transfer.run(options("whole"), engine))
    expect(whole.plan.modulated).toBeGreaterThan(0)
    await Failure.orThrow(Transfer.run(options("parts", { steps: 2, every: 2 }), engine))
    const resumed = await Failure.orThrow(Transfer.run(options("parts"), engine))
    expect(resumed.steps).toBe(4)
    const [a, b] = await Promise.all(
      ["whole", "parts"].map((run) =>
        Failure.orThrow(Safetensors.read(join(at(run), "checkpoints/00000004.safetensors"))),
      ),
    )
    expect(Object.keys(a!.tensors).length).toBeGreaterThan(50)
    for (const [path, array] of Object.entries(a!.tensors))
      expect(Buffer.compare(NdArray.toBytes(b!.tensors[path]!), NdArray.toBytes(array)), path).toBe(0)

    const { source, model } = await configOf("whole")
    expect(source.graft).toMatchObject({ kind: "calibrated", latents: 1000 })
    expect(source.graft.deviation).toHaveLength(4)
    const mean = source.graft.deviation.reduce((sum, d) => sum + d, 0) / 4
    expect(model.config).toMatchObject({ architecture: "gpgan-small-head", head_blocks: 1 })
    expect((model.config as { head_scale: number }).head_scale).toBeCloseTo(mean, 5)
  })

  test("normalises its features with measured constants, which no step moves, or as the paper does", async () => {
    const measured = options("measured norm", { steps: 2, every: 1 })
    await Failure.orThrow(Transfer.run(measured, engine))
    const { model, source, trainable } = await configOf("measured norm")
    expect(model.config).toMatchObject({ head_norm: "measured" })
    expect(source.graft.over).toBe("all")
    const run = await Failure.orThrow(Model.open(at("measured norm"), { raw: true }))
    expect(Array.from(run.generator["small_H.norm.mean"]!.data)).toEqual(source.graft.head!.mean.map(Math.fround))
    // scale and shift of that layer train in proportion to their size
    const { head_scale } = model.config as { head_scale: number }
    const groups = (trainable as unknown as RunConfig.RunConfig["trainable"]).generator
    const own = groups.find(({ paths }) => paths.includes("small_H.weight"))!
    expect(own.paths).toEqual(["small_H.weight", "small_H.beta"])
    expect(own.factor).toBeCloseTo(head_scale / 1000, 9)

    const authors = options("authors' norm", { steps: 1, surgery: { headNorm: "authors" } })
    await Failure.orThrow(Transfer.run(authors, engine))
    const paper = await configOf("authors' norm")
    expect(paper.model.config).toMatchObject({ head_norm: "authors" })
    expect(paper.source.graft).toMatchObject({ over: "sample" })
    expect(paper.source.graft.head).toBeUndefined()
    // the contrast of each sample is less than the deviation over samples too
    for (const [c, deviation] of paper.source.graft.deviation.entries())
      expect(deviation).toBeLessThan(source.graft.deviation[c]!)
    const other = await Transfer.run({ ...measured, surgery: { ...measured.surgery, headNorm: "authors" } }, engine)()
    expect(E.isLeft(other) && other.left.message).toContain('model.config.head_norm: "measured" in the folder')
  })

  test("goes on as it was begun by a version that knew only the authors' norm", async () => {
    const first = options("of old", { steps: 1, surgery: { graft: "overall" } })
    await Failure.orThrow(Transfer.run(first, engine))
    const { model, source, ...rest } = await configOf("of old")
    const { head_norm: _, ...config } = model.config as { head_norm?: string }
    expect(source.graft).not.toHaveProperty("over")
    await writeFile(join(at("of old"), "config.json"), JSON.stringify({ ...rest, source, model: { ...model, config } }))
    for (const headNorm of [undefined, "authors"] as const) {
      const more = options("of old", { steps: 2, surgery: { headNorm } })
      expect(await Failure.orThrow(Transfer.run(more, engine))).toMatchObject({ steps: 2 })
    }
    const other = await Transfer.run(options("of old", { steps: 2, surgery: { headNorm: "measured" } }), engine)()
    expect(E.isLeft(other) && other.left._tag).toBe("OtherRun")
  })

  test("trusts its folder, not a second measurement, which may differ in the last bit", async () => {
    await Failure.orThrow(Transfer.run(options("believed", { steps: 1, every: 1 }), engine))
    const file = join(at("believed"), "config.json")
    const config = await configOf("believed")
    config.source.graft.mean[0]! += 1e-5
    await writeFile(file, JSON.stringify(config))
    const resumed = await Transfer.run(options("believed", { steps: 2 }), engine)()
    expect(E.isRight(resumed), JSON.stringify(resumed)).toBe(true)
  })

  test("killed before its first checkpoint, it starts again and has each step's score once", async () => {
    const scored = options("killed", { steps: 1, scoreCount: 4, scoreStart: true })
    await Failure.orThrow(Transfer.run(scored, engine))
    await rm(join(at("killed"), "checkpoints"), { recursive: true })
    const again = await Failure.orThrow(Transfer.run(scored, engine))
    expect(again.metrics.map(({ step }) => step)).toEqual([0, 1])
  })

  test("killed between a checkpoint and its score, it makes both score and grid on the next call, also if no step is left", async () => {
    const scored = options("unseen", { steps: 2, every: 1, scoreCount: 4 })
    const { metrics } = await Failure.orThrow(Transfer.run(scored, engine))
    const [file, grid] = [join(at("unseen"), "metric.jsonl"), join(at("unseen"), "samples-00000002.png")]
    const [written, shown] = [await readFile(file, "utf8"), await readFile(grid)]
    await writeFile(file, written.slice(0, written.indexOf("\n") + 1))
    for (const steps of [2, 3]) {
      await rm(grid)
      expect((await Failure.orThrow(Transfer.run({ ...scored, steps }, engine))).metrics.slice(0, 2)).toEqual(metrics)
      expect((await readFile(file, "utf8")).startsWith(written)).toBe(true)
      expect(await readFile(grid)).toEqual(shown)
    }
  })

  test("is resumed for more steps than at first, with its modulation starting at the step of the first call", async () => {
    const short = options("longer", { surgery: { unfreezeAt: undefined }, steps: 6, every: 6 })
    await Failure.orThrow(Transfer.run(short, engine))
    const more = await Failure.orThrow(Transfer.run({ ...short, steps: 12, every: 12 }, engine))
    expect(more).toMatchObject({ steps: 12, wanted: 12 })
    const { trainable } = (await configOf("longer")) as unknown as { trainable: { generator: { from: number }[] } }
    expect([...new Set(trainable.generator.map(({ from }) => from))]).toEqual([0, 1])
    const notes: string[] = []
    const onNote = (line: string): void => void notes.push(line)
    await Failure.orThrow(Transfer.run({ ...short, steps: 18, every: 18, onNote }, engine))
    expect(notes.join("\n")).toMatch(
      /trains from step 1, and in a new run of 18 steps it would train from step 3 \(--new/,
    )
    const other = await Transfer.run({ ...short, steps: 12, learningRate: 0.5 }, engine)()
    expect(E.isLeft(other) && other.left.message).toContain("learningRate.generator: 0.0002 in the folder, 0.5 now")
  })

  test("can start from a run whose filters are modulated, and folds them", async () => {
    await Failure.orThrow(Transfer.run(options("first", { steps: 3 }), engine))
    const model = await Failure.orThrow(Model.open(at("first")))
    const second = await prepared(model)
    const [path, folded] = ["resnet_2_0.conv_0.weight", Modulate.fold(model.modulation!.generator!, model.generator)]
    expect(second.networks.generator[path]).toEqual(folded[path])
    expect(folded[path]).not.toEqual(model.generator[path])
  })

  test("keeps the source's small head if the recipe has none, and makes a new one if it has", async () => {
    await Failure.orThrow(
      Transfer.run(options("headed", { steps: 1, surgery: { recipe: "g2d1", head: "small" } }), engine),
    )
    const source = await Failure.orThrow(Model.open(at("headed")))
    const [kept, fresh] = [await prepared(source, "finetune"), await prepared(source)]
    expect(kept.graft.counts.fresh).toBe(0)
    expect(kept.networks.generator["small_H.weight"]).toEqual(source.generator["small_H.weight"])
    expect(fresh.graft.generator.fates["small_fc.weight"]!.value).toBe("fresh")
  })

  test("from scratch is calibrated to the features of a freshly initialised network, and does not saturate", async () => {
    await Failure.orThrow(
      Transfer.run(options("anew", { surgery: { recipe: "scratch", head: "small" }, steps: 1 }), engine),
    )
    expect((await configOf("anew")).source.graft).toMatchObject({ kind: "calibrated" })
  })

  test("stops when its first images are black and white, says what to do, and can be allowed to continue", async () => {
    const authors = { surgery: { graft: "authors" }, steps: 1 } as const
    const stopped = await Transfer.run(options("loud", authors), engine)()
    expect(stopped).toMatchObject({ _tag: "Left", left: { _tag: "Saturated", file: at("loud") } })
    expect(E.isLeft(stopped) && stopped.left.message).toMatch(/% of the first images.*--graft calibrated/)
    await Failure.orThrow(Transfer.run(options("loud", { ...authors, maxSaturation: 1 }), engine))
    expect((await configOf("loud")).model.config).toMatchObject({ head_scale: 1000, head_gradient: 0.01 })
  })

  test("reports its scale in a dry run", async () => {
    const planned = await Failure.orThrow(TransferPlan.plan(options("none"), engine))
    expect(planned.head).toMatchObject({ start: "calibrated", norm: "measured", blocks: 1 })
    const { scale, gradient, rate, range } = planned.head!
    expect(rate).toBeCloseTo(scale / 1000, 9)
    expect(gradient).toBeCloseTo(scale * 1e-5, 9)
    expect(range![0]).toBeLessThanOrEqual(scale)
    expect(range![1]).toBeGreaterThanOrEqual(scale)
    const gp = await Failure.orThrow(TransferPlan.plan(options("none", { surgery: { head: "gp" } }), engine))
    expect(gp.head).toBeUndefined()
    expect(gp.fates.some(({ path }) => path === "fc.weight")).toBe(true)
  })
})

test("a modulation that would modulate nothing is refused", async () => {
  const refusal = async (surgery: NonNullable<Transfer.Options["surgery"]>): Promise<string> => {
    const planned = await TransferPlan.plan(options("none", { surgery }), engine)()
    return E.isLeft(planned) ? `${planned.left._tag}: ${planned.left.message}` : "fine"
  }
  expect(await refusal({ recipe: "finetune", modulation: { kind: "kml" } })).toMatch(/BadRecipe: finetune leaves no/)
  expect(await refusal({ recipe: "l2-sp", discriminator: { moves: "modulated" } })).toMatch(/no frozen filter/)
  const trained = { recipe: "g2d1-adafm", generator: { moves: "trained" }, modulation: { kind: "kml" } } as const
  expect(await refusal(trained)).toMatch(/BadRecipe/)
  expect(await refusal({ recipe: "g2d1", modulation: { kind: "kml" } })).toBe("fine")
  expect(await refusal({ generator: { moves: "frozen" } })).toBe("fine")
})

test("everything at once, with classes, resumes bit for bit at the step where the modulation starts and after it", async () => {
  const all: Partial<Transfer.Options> = {
    conditional: true,
    lecam: {},
    augment: ["color", "cutout"],
    surgery: { unfreezeAt: 2, discriminator: { moves: "modulated" }, modulation: { kind: "input-conditioned" } },
    ada: { target: -1, thousands: 0.02 },
    steps: 4,
    every: 4,
  }
  await Failure.orThrow(Transfer.run(options("at once", all), engine))
  for (const steps of [2, 3, 4])
    await Failure.orThrow(Transfer.run(options("bit by bit", { ...all, steps, every: steps }), engine))
  const [a, b] = await Promise.all(
    ["at once", "bit by bit"].map((run) =>
      Failure.orThrow(Safetensors.read(join(at(run), "checkpoints/00000004.safetensors"))),
    ),
  )
  const paths = Object.keys(a!.tensors)
  for (const part of ["generator", "g_adam_v", "generator_ema", "discriminator", "d_adam_v"])
    expect(paths.some((path) => path.startsWith(`${part}/`) && path.includes("input-conditioned.u"))).toBe(true)
  expect(paths).toEqual(expect.arrayContaining(["ada/p", "lecam/real"]))
  for (const path of paths)
    expect(Buffer.compare(NdArray.toBytes(b!.tensors[path]!), NdArray.toBytes(a!.tensors[path]!)), path).toBe(0)
})

test("the paper's preset has the authors' constants: head, loader, AdaFM's first update, rate, average, no augmentation", async () => {
  const paper = { ...options("paper", { maxSaturation: 1 }), ...Transfer.presets.paper }
  const { head, fates, steps, warnings } = await Failure.orThrow(TransferPlan.plan(paper, engine))
  expect([steps, warnings]).toEqual([60_000, []])
  expect(head).toMatchObject({ start: "authors", norm: "authors", scale: 1000, gradient: 0.01, rate: 1 })
  const modulation = fates.filter(({ path }) => path.includes("small_adafm_"))
  expect(modulation.length).toBeGreaterThan(0)
  // the authors' code switches it on at the end of iteration 10,000
  expect(new Set(modulation.map(({ unfreezeAt }) => unfreezeAt))).toEqual(new Set([10_001]))
  expect(fates.find(({ path }) => path === "fc.weight")).toMatchObject({ network: "discriminator", value: "fresh" })
  const notes: string[] = []
  await Failure.orThrow(Transfer.run({ ...paper, steps: 1, onNote: (line) => notes.push(line) }, engine))
  expect(notes.join()).toContain("begin to train at step 10001, which 1 steps never reach")
  const config = await configOf("paper")
  expect(config).toMatchObject({
    learningRate: { generator: 1e-4, discriminator: 1e-4 },
    ema: { decay: 0.999, ramp: false },
  })
  expect(config).not.toHaveProperty("augment")
})

describe("the authors' protocol for 25 images", () => {
  test("has four latent numbers, keeps all of D but the last block, and penalises fakes too", async () => {
    await Failure.orThrow(Transfer.run(options("few", { surgery: { recipe: "adafm-25" }, steps: 1 }), engine))
    const config = await configOf("few")
    expect(config.model).toMatchObject({ config: { z_dim: 4 }, latent: { dim: 4, distribution: "normal" } })
    expect(config.penalty).toEqual({ mode: "real_fake", weight: 20 * (16 / 128) ** 2 })
    const { fates } = await Failure.orThrow(
      TransferPlan.plan(options("none", { surgery: { recipe: "adafm-25" } }), engine),
    )
    const free = fates.filter(({ network, moves }) => network === "discriminator" && moves === "trainable")
    expect(new Set(free.map(({ path }) => path.split(".")[0]))).toEqual(new Set(["resnet_2_0", "resnet_2_1", "fc"]))
  })
})
