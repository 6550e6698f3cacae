/** A generator and discriminator ready for use, from a model folder, a run or a bundled model. */

import { Modulate } from "@adafm/adafm"
import { Disk, Failure, Files, type Flat, NdArray, Path, Sha256 } from "@adafm/core"
import { type Gan, ModelFolder, RunFolder, State, type Step } from "@adafm/gan"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as HubModel from "#hub/HubModel"
import * as BundledModels from "#run/BundledModels"
import * as BundledDigests from "./BundledDigests.ts"
import * as RunCheckpoint from "./RunCheckpoint.ts"
import { RunConfig } from "./RunConfig.ts"

export interface Model extends State.Networks {
  readonly path: string
  readonly description: ModelFolder.Description
  /** Applies the modulation itself: `generator` and `discriminator` hold the filters and the modulation's parameters. */
  readonly gan: Gan.Gan
  readonly modulation?: Modulations
  /** Only of a run: the iterations after which its checkpoint was written. */
  readonly step?: number
  /** Only of a run: which of its checkpoints this is. */
  readonly checkpoint?: RunCheckpoint.Chosen
}

/** The modulation of each network that has one. */
export type Modulations = Partial<Record<Step.Net, Modulate.Modulation>>

export const modulationsOf = (gan: Gan.Gan, recorded: RunConfig["modulation"]): Modulations | undefined => {
  if (recorded === undefined) return undefined
  const { config, weights, discriminator = [] } = recorded
  const of = (net: Step.Net, filters: readonly Flat.Path[]): Modulate.Modulation | undefined =>
    filters.length === 0 ? undefined : Modulate.make(config, gan[net], filters, Modulate.transposed(gan, net))
  const [g, d] = [of("generator", weights), of("discriminator", discriminator)]
  return { ...(g !== undefined && { generator: g }), ...(d !== undefined && { discriminator: d }) }
}

/** The GAN that applies the modulations to the parameters it is given. */
export const wrap = (gan: Gan.Gan, modulations: Step.Setup["modulation"]): Gan.Gan =>
  modulations === undefined ? gan : Modulate.wrap(gan, modulations)

/** Refuses a label that the model has no class for. */
export const requireClass = ({ path, gan: { labels } }: Model, label: number | undefined): void => {
  if (label !== undefined && label >= labels)
    Failure.raise(
      "NoClass",
      `--class ${label}: ${labels === 1 ? "this model is not conditional, leave --class out" : `the classes of this model are 0 to ${labels - 1}`}`,
      { file: path },
    )
}

const ofRun = async (path: string, { raw = false, checkpoint, onNote }: Options): Promise<Model> => {
  const config = await Failure.orThrow(ModelFolder.readJson(RunConfig, Path.join(path, "config.json")))
  const { state, chosen } = await RunCheckpoint.read(path, checkpoint, onNote)
  const gan = ModelFolder.ganOf(config.model)
  const modulation = Failure.within(Path.join(path, "config.json"), () => modulationsOf(gan, config.modulation))
  return {
    path,
    step: chosen.step,
    checkpoint: chosen,
    description: config.model,
    gan: wrap(gan, modulation),
    ...(modulation !== undefined && { modulation }),
    generator: raw ? State.network(state, "generator") : State.averagedGenerator(state),
    discriminator: State.network(state, "discriminator"),
  }
}

/** Of verbs that open a model. */
export interface Notes {
  /** Receives what users should know of the model's files. */
  readonly onNote?: ModelFolder.Note | undefined
}

export interface Options extends Notes {
  /** The trained generator, not its moving average; runs only. */
  readonly raw?: boolean
  /** Which checkpoint of a run; the last one by default. A model folder has none. */
  readonly checkpoint?: RunCheckpoint.Wanted
}

/** Why a path is not a model, and what to do. */
const noModel = async (path: string): Promise<string> => {
  const found = await Disk.stat(path).catch(() => undefined)
  const expected = "expected a model folder (with model.json) or a run (with config.json)"
  if (found === undefined)
    return `${expected}, but this path does not exist; bundled models are builtin:NAME, those of the Hugging Face Hub hf:owner/name`
  return found.isDirectory()
    ? `${expected}, but this folder has neither`
    : `${expected}, but this is a file; to make a model folder of a checkpoint: adafm import ${path} --out FOLDER`
}

/** The folder of a model's path. The files of a bundled model are compared with their checksums. */
const bundledOrOwn = async (path: string): Promise<string> => {
  const folder = BundledModels.resolve(path)
  if (folder !== path) await BundledDigests.verify(folder)
  return folder
}

export const open = (path: string, options: Options = {}): TE.TaskEither<Failure.Failure, Model> =>
  Failure.attempt(async () => {
    if (HubModel.isReference(path)) {
      const fetched = await HubModel.fetch(path)
      return { path: fetched.path, ...(await Failure.orThrow(ModelFolder.read(fetched.folder))) }
    }
    const folder = await bundledOrOwn(path)
    if (await Files.exists(Path.join(folder, "model.json"))) {
      if (options.checkpoint !== undefined)
        Failure.raise("NoCheckpoint", "this is a model folder, which has no checkpoints: leave --checkpoint out", {
          file: path,
        })
      // the bundled models' checksums are not in their files
      const note = folder === path ? options.onNote : undefined
      return { path, ...(await Failure.orThrow(ModelFolder.read(folder, note))) }
    }
    if (await Files.exists(Path.join(folder, "config.json"))) return ofRun(folder, options)
    return Failure.raise("NoModel", await noModel(path), { file: path })
  })

/** The file that holds the generator of a model folder, a bundled model or (with everything else) a run; any other path is returned unchanged. */
export const tensorFile = async (path: string): Promise<string> => {
  const folder = HubModel.isReference(path) ? (await HubModel.fetch(path)).folder : await bundledOrOwn(path)
  if (await Files.exists(Path.join(folder, "model.json"))) return ModelFolder.tensorFile(folder, "generator")
  if (!(await Files.exists(Path.join(folder, "config.json")))) return folder
  const step = (await Failure.orThrow(RunFolder.checkpoints(folder))).at(-1)
  return step === undefined ? folder : RunFolder.checkpointFile(folder, step)
}

/** SHA-256 over configuration, paths and values: equal for equal models in any folder. */
export const fingerprint = ({ description: { config, latent }, generator, discriminator }: Model): string => {
  const hash = Sha256.make().update(JSON.stringify({ config, latent }))
  for (const [net, params] of Object.entries({ generator, discriminator })) {
    for (const path of Object.keys(params).sort()) hash.update(`${net}/${path}`).update(NdArray.toBytes(params[path]!))
  }
  return hash.hex()
}
