/**
 * Repeats recorded training iterations (weights, batches, noise) and writes every state in between, to compare this training with
 * another implementation. Adam(1e-4, 0, 0.99), moving average 0.999 without a ramp, the authors' order within an iteration.
 */
import { Failure, Flat, Layout, NdArray, Optimizer, Safetensors } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { Gan, GpGan, State, Step } from "@adafm/gan"
import { Groups, type Surgery } from "@adafm/transfer"
import type * as TE from "fp-ts/lib/TaskEither.js"
import { z } from "zod"
import * as Trainable from "../run/Trainable.ts"

export interface Options {
  /**
   * Safetensors with `init/generator/…`, `init/discriminator/…`, `batch/<iteration>/{x, y, z, noise/k}` and, in its metadata,
   * `config`.
   */
  readonly file: string
  readonly out: string
  /** Every iteration starts from the file's `after/<iteration - 1>/…`, not from our own previous state. */
  readonly fromStored?: boolean
  readonly onProgress?: (done: number, total: number) => void
}

export interface Losses {
  readonly iteration: number
  readonly g_loss: number
  readonly d_loss: number
  readonly reg_real: number
  readonly reg_fake: number
}

export interface Outcome {
  readonly out: string
  readonly iterations: number
  readonly losses: readonly Losses[]
}

const size = z.number().int().positive()

/** Other keys (seeds, notes) are ignored. */
const Config = z.object({
  model: z.enum(["plain", "adafm"]).default("plain"),
  resolution: GpGan.Resolution,
  nf: size,
  nf_max: size.optional(),
  z_dim: size,
  embed: size.default(1),
  nlabels: size.default(1),
  style_dim: size.default(256),
  head_blocks: size.default(2),
  reg: z.enum(["real", "real_fake", "none"]).default("real"),
  reg_weight: z.number().nonnegative().default(10),
  /** Groups of the generator and of the discriminator that are frozen, counted from the image. */
  m: z.number().int().nonnegative().default(0),
  n: z.number().int().nonnegative().default(0),
  /** The iteration at whose end AdaFM is unfrozen; -1, or nothing: it trains from the first. */
  adafm_from: z.number().int().min(-1).default(-1),
})
type Config = z.output<typeof Config>

type Float32 = NdArray.NdArray<"float32">
type Recording = Safetensors.Safetensors

const configOf = ({ metadata }: Recording, file: string): Config => {
  const fail = (message: string): never => Failure.raise("BadConfig", message, { file, path: "__metadata__/config" })
  if (metadata.config === undefined) return fail("the metadata has no config")
  let value: unknown
  try {
    value = JSON.parse(metadata.config)
  } catch (thrown) {
    return fail(`the config is not JSON: ${String(thrown)}`)
  }
  const parsed = Config.safeParse(value)
  return parsed.success ? parsed.data : fail(Failure.ofIssues(parsed.error.issues, value))
}

const ganOf = ({ model, resolution, nf, nf_max, z_dim, embed, nlabels, style_dim, head_blocks }: Config): Gan.Gan => {
  const sizes = { resolution, nf, z_dim, embed, nlabels, ...(nf_max !== undefined && { nf_max }) }
  return Gan.of(
    Gan.Config.parse(
      model === "plain"
        ? { architecture: "gpgan", ...sizes }
        : { architecture: "gpgan-small-head", ...sizes, style_dim, head_blocks },
    ),
  )
}

const surgeryOf = (config: Config, gan: Gan.Gan): Surgery.Given => ({
  generator:
    config.model === "adafm"
      ? { keep: Groups.of(gan.config, "generator").groups.length, moves: "modulated" }
      : { keep: config.m },
  discriminator: { keep: config.n },
  ...(config.model === "adafm" && { unfreezeAt: config.adafm_from + 1 }),
})

/** The recorded training, without its numbers. */
const setupOf = (config: Config, batchSize: number): Step.Setup => {
  const gan = ganOf(config)
  return {
    gan,
    batchSize,
    optimizer: { generator: Optimizer.adam, discriminator: Optimizer.adam },
    penalty: { mode: config.reg, weight: config.reg_weight },
    ema: { decay: 0.999, ramp: false },
    ...Trainable.of(gan, surgeryOf(config, gan)),
    recordGradients: true,
  }
}

const float32s = ({ tensors }: Recording, prefix: string): Flat.Flat<Float32> =>
  Flat.map(Flat.under(tensors, prefix), NdArray.toFloat32)

const batchOf = ({ tensors }: Recording, { gan, ...setup }: Step.Setup, step: number, file: string): Engine.Arrays => {
  const at = (name: string): Float32 =>
    NdArray.toFloat32(
      tensors[`batch/${step}/${name}`] ??
        Failure.raise("MissingTensor", "the recording has no such tensor", { file, path: `batch/${step}/${name}` }),
    )
  const label = (array: Float32): Engine.Arrays[string] => NdArray.int32(array.shape, Int32Array.from(array.data))
  return Flat.merge<Engine.Arrays[string]>(
    { x: Layout.imagesToCompute(at("x")), z: at("z") },
    gan.labels > 1 ? { y: label(at("y")) } : {},
    Flat.fromEntries(gan.noise.map((_, k) => [`noise/${k}`, Layout.imagesToCompute(at(`noise/${k}`))] as const)),
    Flat.map(Step.schedule({ gan, ...setup }, step), NdArray.scalar),
  )
}

/**
 * The state after an iteration: everything that trains at some time, and Adam's moments of what has been updated. A parameter that
 * no loss reaches (the embedding of an unconditional model) has no moments.
 */
const after = (setup: Step.Setup, state: Engine.Arrays, step: number): Flat.Flat<Float32> => {
  const names = Step.nets.flatMap((net) => {
    const letter = net === "generator" ? "g" : "d"
    const ever = Step.paths(setup.trainable[net])
    const updated = Step.paths(Step.active(setup, net, step)).filter((path) =>
      state[`${letter}_adam_v/${path}`]!.data.some((v) => v !== 0),
    )
    return [
      ...ever.flatMap((path) => [`${net}/${path}`, ...(net === "generator" ? [`generator_ema/${path}`] : [])]),
      ...updated.flatMap((path) => [`${letter}_adam_m/${path}`, `${letter}_adam_v/${path}`]),
    ]
  })
  const file = State.toFile(Flat.fromEntries(names.map((name) => [name, state[name]!] as const)))
  return Flat.prefix(file as Flat.Flat<Float32>, `after/${step}`)
}

const KEYS = ["g_loss", "d_loss", "reg_real", "reg_fake"] as const

export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const { file, out, fromStored = false, onProgress } = options
    const recording = await Failure.orThrow(Safetensors.read(file))
    const numbers = Object.keys(recording.tensors).flatMap((path) => /^batch\/(\d+)\/z$/.exec(path)?.[1] ?? [])
    const iterations = numbers.length
    const first = recording.tensors["batch/0/z"]
    if (first === undefined)
      return Failure.raise("MissingTensor", "the file has no recorded iteration", { file, path: "batch/0/z" })
    const setup = setupOf(configOf(recording, file), first.shape[0]!)
    const stored = (step: number): Engine.Arrays => {
      const values = float32s(recording, `after/${step}`)
      return Object.keys(values).length > 0
        ? State.toCompute(values)
        : Failure.raise("MissingTensor", "the recording has no such state", { file, path: `after/${step}` })
    }
    const networks = {
      generator: float32s(recording, "init/generator"),
      discriminator: float32s(recording, "init/discriminator"),
    }
    const initial = State.initial(setup, networks)

    const losses: Losses[] = []
    let state: Engine.Arrays = initial
    let written: Flat.Flat<NdArray.NdArray> = {}
    let program: Engine.Program | undefined
    try {
      for (let step = 0; step < iterations; step++) {
        if (fromStored && step > 0) state = Flat.merge(state, stored(step - 1))
        const batch = batchOf(recording, setup, step, file)
        if (Step.phases(setup).includes(step)) {
          await program?.dispose()
          state = State.enter(setup, state, step)
          program = await engine.compile(Step.make(setup, step), State.specs(state, batch))
        }
        program!.write(state)
        const stats = await program!.run(batch)
        state = await program!.read()
        const found = Object.fromEntries(KEYS.map((key) => [key, stats[key]?.data[0] ?? 0])) as Omit<
          Losses,
          "iteration"
        >
        losses.push({ iteration: step, ...found })
        written = Flat.merge<NdArray.NdArray>(
          written,
          after(setup, state, step),
          Flat.fromEntries(
            KEYS.map(
              (key) => [`loss/${step}/${key}`, NdArray.make("float64", [], Float64Array.of(found[key]))] as const,
            ),
          ),
        )
        onProgress?.(step + 1, iterations)
      }
    } finally {
      await program?.dispose()
    }
    await Failure.orThrow(Safetensors.write(out, written, { config: recording.metadata.config! }))
    return { out, iterations, losses }
  })
