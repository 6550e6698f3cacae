/** A generator and discriminator ready for use, from a model folder, a run or a bundled model. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Modulate } from "@adafm/adafm"
import { Failure } from "@adafm/core"
import { type Gan, ModelFolder, RunFolder, State } from "@adafm/gan"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Builtin from "./Builtin.ts"
import { RunConfig } from "./RunConfig.ts"

export interface Model extends State.Networks {
  readonly path: string
  readonly description: ModelFolder.Description
  /** Resolves the modulation on the way in: `generator` and `discriminator` hold its parameters. */
  readonly gan: Gan.Gan
  readonly modulation?: ReturnType<typeof Modulate.make>
  /** Present when this is a run: the number of iterations behind the parameters. */
  readonly step?: number
}

export const modulationOf = (
  gan: Gan.Gan,
  modulation: RunConfig["modulation"],
): ReturnType<typeof Modulate.make> | undefined =>
  modulation &&
  Modulate.make(modulation.config, gan.generator, modulation.weights, Modulate.transposed(gan, "generator"))

/** The network that takes unresolved parameters. */
export const wrap = (gan: Gan.Gan, modulation: ReturnType<typeof modulationOf>): Gan.Gan =>
  modulation === undefined ? gan : Modulate.wrap(gan, { generator: modulation })

const ofRun = async (path: string, raw: boolean): Promise<Model> => {
  const config = await Failure.orRaise(ModelFolder.readJson(RunConfig, join(path, "config.json")))
  const step = (await Failure.orRaise(RunFolder.checkpoints(path))).at(-1)
  if (step === undefined) return Failure.raise("NoCheckpoint", "the run has no checkpoint yet", { file: path })
  const state = await Failure.orRaise(RunFolder.readCheckpoint(path, step))
  const gan = ModelFolder.ganOf(config.model)
  const modulation = modulationOf(gan, config.modulation)
  return {
    path,
    step,
    description: config.model,
    gan: wrap(gan, modulation),
    ...(modulation !== undefined && { modulation }),
    generator: raw ? State.network(state, "generator") : State.averagedGenerator(state),
    discriminator: State.network(state, "discriminator"),
  }
}

export interface Options {
  /** The generator as it is trained, not its moving average; runs only. */
  readonly raw?: boolean
}

export const open = (path: string, { raw = false }: Options = {}): TE.TaskEither<Failure.Failure, Model> =>
  Failure.attempt(async () => {
    const folder = Builtin.resolve(path)
    if (existsSync(join(folder, "model.json"))) return { path, ...(await Failure.orRaise(ModelFolder.read(folder))) }
    if (existsSync(join(folder, "config.json"))) return ofRun(folder, raw)
    return Failure.raise("NoModel", "expected a model folder (model.json) or a run (config.json)", { file: path })
  })
