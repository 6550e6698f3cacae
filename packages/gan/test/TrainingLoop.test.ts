import { createHash } from "node:crypto"
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Flat, Leaf, NdArray, Optimizer, Rng, Safetensors } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Eager from "@adafm/engine/backends/Eager"
import * as Onnx from "@adafm/engine/backends/Onnx"
import * as E from "fp-ts/lib/Either.js"
import { afterEach, beforeEach, describe, expect, test } from "vitest"
import * as Dcgan from "../src/architectures/Dcgan.ts"
import * as GpGan from "../src/architectures/GpGan.ts"
import * as ModelFolder from "../src/folders/ModelFolder.ts"
import * as RunFolder from "../src/folders/RunFolder.ts"
import type { Gan } from "../src/Gan.ts"
import * as State from "../src/training/State.ts"
import type * as Step from "../src/training/Step.ts"
import * as TrainingLoop from "../src/training/TrainingLoop.ts"

let folder = ""
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "adafm-train-"))
})
afterEach(() => rm(folder, { recursive: true }))

const gpgan = GpGan.of(
  GpGan.Config.parse({ architecture: "gpgan", resolution: 16, nf: 1, nf_max: 2, z_dim: 3, embed: 2, nlabels: 2 }),
)
const networksOf = (gan: Gan): State.Networks => ({
  generator: Leaf.initAll(gan.generator, 0, "generator"),
  discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
})

const late = "resnet_2_0.conv_0.weight"
const job = async (more: Partial<TrainingLoop.Job> = {}): Promise<TrainingLoop.Job> => ({
  setup: {
    gan: gpgan,
    batchSize: 2,
    optimizer: { generator: Optimizer.adam, discriminator: Optimizer.adam },
    penalty: { mode: "real", weight: 10 },
    ema: { decay: 0.999, ramp: true },
    trainable: {
      generator: [
        { name: "head", paths: ["fc.weight", "fc.bias"], from: 0 },
        { name: "late", paths: [late], from: 3, factor: 10 },
      ],
      discriminator: [{ name: "top", paths: ["fc.weight", "resnet_2_1.conv_1.weight"], from: 0 }],
    },
  },
  engine: await Eager.cpu(),
  networks: networksOf(gpgan),
  steps: 5,
  seed: 7,
  batches: async (step) => ({
    x: Rng.uniform(Rng.at(1, "x", step), [2, 16, 16, 3], -1, 1),
    y: Rng.int(Rng.at(1, "y", step), [2], 0, 2),
  }),
  ...more,
})

/** The same safetensors file as older versions wrote it. */
const withoutDigests = (file: Uint8Array): Uint8Array => {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))
  const header = JSON.parse(new TextDecoder().decode(file.subarray(8, 8 + length))) as Record<string, unknown>
  const { __metadata__: _, ...tensors } = header
  const json = new TextEncoder().encode(JSON.stringify(tensors))
  const size = new Uint8Array(8)
  new DataView(size.buffer).setBigUint64(0, BigInt(json.length), true)
  return Buffer.concat([size, json, file.subarray(8 + length)])
}

const bytes = (state: Engine.Arrays) => Flat.map(state, ({ data }) => [...data])

describe("a run", () => {
  test("that was interrupted at any step equals the uninterrupted one bit for bit", async () => {
    const unbroken = await Failure.orThrow(TrainingLoop.run(await job()))
    for (const steps of [2, 3, 4, 5])
      await Failure.orThrow(TrainingLoop.run(await job({ folder, steps, config: { seed: 7 } })))
    const resumed = await Failure.orThrow(RunFolder.readCheckpoint(folder, 5))
    expect(bytes(resumed)).toEqual(bytes(unbroken.state))
    const lines = await Failure.orThrow(RunFolder.lines(folder, "stats"))
    expect(lines.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4])
    expect(await Failure.orThrow(RunFolder.checkpoints(folder))).toEqual([4, 5])
  })

  test("on the compiled engine has the same hash after 50 steps, however they are divided into calls and runs", async () => {
    const engine = await Onnx.create({ threads: 2 })
    const hash = (state: Engine.Arrays): string => {
      const digest = createHash("sha256")
      for (const path of Object.keys(state).sort()) digest.update(path).update(NdArray.toBytes(state[path]!))
      return digest.digest("hex")
    }
    const losses: number[] = []
    const onStats = (_: number, stats: TrainingLoop.Stats): void => void losses.push(stats.d_loss!)
    const unbroken = await Failure.orThrow(
      TrainingLoop.run(await job({ engine, steps: 50, checkpointEvery: 20, onStats })),
    )
    expect(losses.length).toBe(50)
    const again = losses.splice(0)
    for (const [steps, stepsPerCall] of [
      [17, 4],
      [50, 1],
    ] as const)
      await Failure.orThrow(TrainingLoop.run(await job({ engine, steps, stepsPerCall, folder, onStats })))
    expect(losses).toEqual(again)
    expect(hash(await Failure.orThrow(RunFolder.readCheckpoint(folder, 50)))).toBe(hash(unbroken.state))
  })

  test("trains each group from its first step on, and keeps moments for nothing else", async () => {
    const start = State.initial((await job()).setup, networksOf(gpgan))
    const states = new Map<number, Engine.Arrays>()
    await Failure.orThrow(
      TrainingLoop.run(
        await job({
          checkpointEvery: 1,
          onCheckpoint: async ({ step, state }) => void states.set(step, await state()),
        }),
      ),
    )
    const moved = (step: number): string[] =>
      Object.keys(start).filter((path) => bytes(states.get(step)!)[path]!.some((v, i) => v !== start[path]!.data[i]))
    const networks = (step: number): string[] =>
      moved(step).filter((path) => path.startsWith("generator/") || path.startsWith("discriminator/"))
    const always = ["fc.weight", "fc.bias"].map((path) => `generator/${path}`)
    const top = ["resnet_2_1.conv_1.weight", "fc.weight"].map((path) => `discriminator/${path}`)
    expect(networks(3).sort()).toEqual([...always, ...top].sort())
    expect(networks(4).sort()).toEqual([...always, `generator/${late}`, ...top].sort())
    expect(Object.keys(states.get(3)!)).not.toContain(`g_adam_v/${late}`)
    expect(Object.keys(states.get(4)!)).toContain(`g_adam_v/${late}`)
    expect(Object.keys(states.get(5)!).some((path) => path.includes("_adam_m"))).toBe(false)
    // the first step of Adam without momentum has the length of the learning rate, here with a factor of ten
    const step = states.get(4)![`generator/${late}`]!.data.map((v, i) => v - start[`generator/${late}`]!.data[i]!)
    expect(Math.max(...step.map(Math.abs))).toBeCloseTo(1e-3, 5)
  })

  test("stops at a loss that is not a number, and names the step and the last checkpoint", async () => {
    const { batches, ...rest } = await job({ folder, checkpointEvery: 2 })
    const holes = NdArray.float32([2, 16, 16, 3], new Float32Array(2 * 16 * 16 * 3).fill(Number.NaN))
    const poisoned = await TrainingLoop.run({
      ...rest,
      batches: async (step) => ({ ...(await batches(step)), ...(step === 3 && { x: holes }) }),
    })()
    expect(poisoned).toMatchObject({ left: { _tag: "Diverged" } })
    expect(E.isLeft(poisoned) && poisoned.left.message).toMatch(
      /at step 3; the last checkpoint is from step 2\. Train with a smaller/,
    )
    expect((await Failure.orThrow(RunFolder.lines(folder, "stats"))).length).toBe(3)
  })

  test("saves no state that is not finite, because no run could continue from it", async () => {
    const { setup, ...rest } = await job({ folder, checkpointEvery: 1 })
    const trainable = { ...setup.trainable, generator: [{ name: "late", paths: [late], from: 0, factor: 1e300 }] }
    const refused = await TrainingLoop.run({ ...rest, setup: { ...setup, trainable } })()
    expect(refused).toMatchObject({ left: { _tag: "Diverged", path: `generator/${late}`, file: folder } })
    expect(E.isLeft(refused) && refused.left.message).toMatch(/not finite after 1 step; there is no checkpoint/)
    expect(await Failure.orThrow(RunFolder.checkpoints(folder))).toEqual([])
  })

  test("refuses a folder with another configuration, and names the differences", async () => {
    const config = { seed: 7, penalty: { weight: 10, mode: "real" } }
    await Failure.orThrow(TrainingLoop.run(await job({ folder, steps: 1, config })))
    const other = { seed: 8, penalty: { weight: 5, mode: "real" }, more: true }
    const refused = await TrainingLoop.run(await job({ folder, steps: 1, config: other }))()
    expect(refused).toMatchObject({ left: { _tag: "OtherRun" } })
    expect(E.isLeft(refused) && refused.left.message).toContain(
      "(seed: 7 in the folder, 8 now; penalty.weight: 10 in the folder, 5 now; more: not set in the folder, true now)",
    )
  })

  test("that was killed in the middle of a line continues with a new line, and an error names a damaged line", async () => {
    const file = join(folder, "stats.jsonl")
    await writeFile(file, '{"step":0}\n{"step":1,"g_lo')
    await Failure.orThrow(RunFolder.append(folder, "stats", [{ step: 1 }, { step: 2 }]))
    expect(await Failure.orThrow(RunFolder.lines(folder, "stats"))).toEqual([{ step: 0 }, { step: 1 }, { step: 2 }])
    await writeFile(file, '{"step":0}\n\u0000\n')
    const damaged = await RunFolder.lines(folder, "stats")()
    expect(damaged).toMatchObject({ left: { _tag: "BadJson", path: "line 2", file } })
  })

  test.each(["5", "null", "[1]", '"text"', "true", '{"step":{}}', '{"step":[0]}', '{"step":0,"FID":true}'])(
    "names the file and the line of a record that is %s",
    async (line) => {
      const file = join(folder, "metric.jsonl")
      await writeFile(file, `{"step":0}\n${line}\n`)
      const refused = await RunFolder.lines(folder, "metric")()
      expect(refused).toMatchObject({ left: { _tag: "BadLine", path: "line 2", file } })
    },
  )

  test("reads a score that was not finite as absent", async () => {
    await writeFile(join(folder, "metric.jsonl"), '{"step":0,"FID":null,"KID":1}\n')
    expect(await Failure.orThrow(RunFolder.lines(folder, "metric"))).toEqual([{ step: 0, KID: 1 }])
  })

  /** The steps in the file itself, as programs read it that know nothing of runs. */
  const stepsIn = async (): Promise<readonly number[]> =>
    (await readFile(join(folder, "stats.jsonl"), "utf8"))
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { step: number }).step)

  test.each([
    { name: "after its checkpoint", kept: 3, killedAfter: [3, 4] },
    { name: "after its checkpoint, twice", kept: 3, killedAfter: [3, 3, 4] },
    { name: "before its first checkpoint", kept: 0, killedAfter: [0, 1, 2] },
  ])("that was killed $name has one line for each step once it goes on", async ({ kept, killedAfter }) => {
    if (kept > 0) await Failure.orThrow(TrainingLoop.run(await job({ folder, steps: kept })))
    const after = killedAfter.map((step) => ({ step, g_loss: -1 }))
    await Failure.orThrow(RunFolder.append(folder, "stats", after))
    await Failure.orThrow(TrainingLoop.run(await job({ folder })))
    expect(await stepsIn()).toEqual([0, 1, 2, 3, 4])
    expect(await readFile(join(folder, "stats.jsonl"), "utf8")).not.toContain('"g_loss":-1')
  })

  test("refuses a checkpoint with a flipped bit or a NaN, and names the file and the tensor", async () => {
    await Failure.orThrow(TrainingLoop.run(await job({ folder, steps: 2 })))
    const file = RunFolder.checkpointFile(folder, 2)
    const { tensors } = await Failure.orThrow(Safetensors.read(file))
    const bytes = await readFile(file)
    bytes[bytes.length - 1]! ^= 0x40
    await writeFile(file, bytes)
    const resume = async () => TrainingLoop.run(await job({ folder }))()
    expect(await resume()).toMatchObject({
      left: { _tag: "BadChecksum", file, path: Object.keys(tensors).sort().at(-1) },
    })
    const path = "generator/fc.bias"
    const spoiled = NdArray.float32(tensors[path]!.shape, new Float32Array(tensors[path]!.data.length).fill(Number.NaN))
    await Failure.orThrow(Safetensors.write(file, { ...tensors, [path]: spoiled }))
    expect(await resume()).toMatchObject({ left: { _tag: "NotFinite", file, path } })
  })

  test("of an older version, whose checkpoint has no checksums, is resumed with a note", async () => {
    await Failure.orThrow(TrainingLoop.run(await job({ folder, steps: 2 })))
    const file = RunFolder.checkpointFile(folder, 2)
    await writeFile(file, withoutDigests(await readFile(file)))
    const notes: string[] = []
    const { state } = await Failure.orThrow(
      TrainingLoop.run(await job({ folder, onNote: (line) => void notes.push(line) })),
    )
    expect(notes).toEqual([ModelFolder.unchecked(file)])
    expect(bytes(state)).toEqual(bytes((await Failure.orThrow(TrainingLoop.run(await job()))).state))
  })

  test("that was killed after its last checkpoint logs each step once in the file itself", async () => {
    await Failure.orThrow(TrainingLoop.run(await job({ folder, steps: 2, config: { seed: 7 } })))
    await Failure.orThrow(
      RunFolder.append(folder, "stats", [
        { step: 2, ms: 1 },
        { step: 3, ms: 1 },
      ]),
    )
    await Failure.orThrow(TrainingLoop.run(await job({ folder, steps: 4, config: { seed: 7 } })))
    const written = (await readFile(join(folder, "stats.jsonl"), "utf8")).trimEnd().split("\n")
    expect(written.map((line) => (JSON.parse(line) as { step: number }).step)).toEqual([0, 1, 2, 3])
    expect(JSON.parse(written[2]!)).toHaveProperty("g_loss")
    // a run without a checkpoint starts again
    await rm(join(folder, "checkpoints"), { recursive: true })
    await Failure.orThrow(TrainingLoop.run(await job({ folder, steps: 1, config: { seed: 7 } })))
    expect((await readFile(join(folder, "stats.jsonl"), "utf8")).trimEnd().split("\n")).toHaveLength(1)
  })

  test("is swept of the temporary files of a killed process, and of nothing else", async () => {
    const places = ["stats.jsonl", "config.json.tmp-12", "mine.tmp", join("checkpoints", "00000004.safetensors.tmp-7")]
    await mkdir(join(folder, "checkpoints"), { recursive: true })
    for (const place of places) await writeFile(join(folder, place), "")
    await Failure.orThrow(RunFolder.sweep(folder))
    expect((await readdir(folder, { recursive: true })).sort()).toEqual(["checkpoints", "mine.tmp", "stats.jsonl"])
  })

  test("of a network with batch norm updates the generator's statistics and not the discriminator's", async () => {
    const gan = Dcgan.of(Dcgan.Config.parse(Dcgan.standard({ resolution: 16, nf: 1, z_dim: 2 })))
    const networks = networksOf(gan)
    const base = await job()
    const parameters = (net: Step.Net) =>
      Object.entries(gan[net]).flatMap(([path, { role }]) => (role === "parameter" ? [path] : []))
    const { state } = await Failure.orThrow(
      TrainingLoop.run({
        ...base,
        steps: 2,
        networks,
        setup: {
          ...base.setup,
          gan,
          trainable: {
            generator: [{ name: "all", paths: parameters("generator"), from: 0 }],
            discriminator: [{ name: "all", paths: parameters("discriminator"), from: 0 }],
          },
        },
      }),
    )
    const same = (path: string, start: Float32Array): boolean => state[path]!.data.every((v, i) => v === start[i])
    expect(same("generator/main.1.running_mean", networks.generator["main.1.running_mean"]!.data)).toBe(false)
    expect(state["generator_ema/main.1.running_mean"]).not.toEqual(state["generator/main.1.running_mean"])
    expect(same("discriminator/main.3.running_mean", networks.discriminator["main.3.running_mean"]!.data)).toBe(true)
  })
})

describe("a model folder", () => {
  test("with a flipped bit, NaN or infinity is refused with the file and the tensor", async () => {
    const networks = networksOf(gpgan)
    await Failure.orThrow(ModelFolder.write(folder, ModelFolder.describe(gpgan), networks))
    const file = join(folder, "discriminator.safetensors")
    const whole = await readFile(file)
    const flipped = Uint8Array.from(whole)
    flipped[whole.length - 3]! ^= 1
    await writeFile(file, flipped)
    expect(await ModelFolder.read(folder)()).toMatchObject({ left: { _tag: "BadChecksum", file } })
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const bad = NdArray.float32([2], [0, value])
      await Failure.orThrow(Safetensors.write(file, { ...networks.discriminator, "fc.bias": bad }))
      expect(await ModelFolder.read(folder)()).toMatchObject({ left: { _tag: "NotFinite", file, path: "fc.bias" } })
    }
    await writeFile(file, withoutDigests(whole))
    const notes: string[] = []
    await Failure.orThrow(ModelFolder.read(folder, (line) => void notes.push(line)))
    expect(notes).toEqual([ModelFolder.unchecked(file)])
  })

  test("reads back what was written", async () => {
    const networks = networksOf(gpgan)
    const source = { sha256: "0".repeat(64) }
    await Failure.orThrow(ModelFolder.write(folder, ModelFolder.describe(gpgan, { source }), networks))
    const model = await Failure.orThrow(ModelFolder.read(folder))
    expect(model.description.config).toEqual(gpgan.config)
    expect(model.description.source).toEqual(source)
    expect(bytes(model.generator)).toEqual(bytes(networks.generator))
    expect(bytes(model.discriminator)).toEqual(bytes(networks.discriminator))
  })

  test("lists every difference between its tensors and its architecture", async () => {
    const { generator, discriminator } = networksOf(gpgan)
    const { "fc.bias": _, ...missing } = generator
    const wrong = { ...missing, "fc.weight": NdArray.zeros("float32", [2, 2]), extra: NdArray.zeros("float32", [1]) }
    await Failure.orThrow(ModelFolder.write(folder, ModelFolder.describe(gpgan), { generator: wrong, discriminator }))
    const result = await ModelFolder.read(folder)()
    expect(result).toMatchObject({ left: { _tag: "WrongParameters", path: "generator" } })
    for (const part of [
      "fc.bias: expected [32], found nothing",
      "fc.weight: expected [32, 5], found [2, 2]",
      "extra: expected nothing",
    ])
      expect(E.isLeft(result) && result.left.message).toContain(part)
  })
})
