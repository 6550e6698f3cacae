/**
 * The models that transfers begin from. A run may still be training, so an experiment uses a snapshot of it: the checkpoint of
 * `RUN@STEP`, or the latest one, copied to a model folder whose name holds the step.
 */
import { existsSync, readdirSync } from "node:fs"
import { basename, join } from "node:path"
import { Failure, Files, Leaf } from "@adafm/core"
import { Gan, ModelFolder, RunFolder } from "@adafm/gan"
import { Model, RunConfig } from "@adafm/job"
import { Import } from "@adafm/transfer"

const FOLDER = join("runs", "sources")

export interface Source {
  /** A model folder or `builtin:NAME`, whose content does not change. */
  readonly path: string
  readonly sha256: string
  readonly config: Gan.Config
  /** The step of a run's snapshot. */
  readonly step?: number
  /** The scores that the run recorded at or before that step. */
  readonly scores?: RunFolder.Line
}

/** A checkpoint of another architecture from the shared data: a DCGAN of faces. */
const faces = async (): Promise<string> => {
  const out = join(FOLDER, "faces")
  if (existsSync(join(out, "model.json"))) return out
  const folder = join("..", "shared", "data", "checkpoints", "dcgan-celeba32")
  const [generator, discriminator] = [join(folder, "generator.pt"), join(folder, "discriminator.pt")]
  if (!existsSync(generator))
    Failure.raise("NoModel", "the DCGAN of faces is in the shared data, and that file is missing", { file: generator })
  await Failure.orThrow(Import.importModel({ out, files: [], generator, discriminator }))
  return out
}

/** A random network, for experiments of seconds. */
export const tiny = async (): Promise<string> => {
  const folder = join(FOLDER, "tiny")
  const gan = Gan.of({ architecture: "gpgan", resolution: 16, nf: 4, nf_max: 8, z_dim: 8, embed: 4, nlabels: 3 })
  await Failure.orThrow(
    ModelFolder.write(folder, ModelFolder.describe(gan), {
      generator: Leaf.initAll(gan.generator, 0, "generator"),
      discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
    }),
  )
  return folder
}

const isRun = (path: string): boolean => existsSync(join(path, "config.json"))

/** The folder of a snapshot that an earlier call made. */
const kept = (name: string): string | undefined => {
  const found = existsSync(FOLDER) ? readdirSync(FOLDER).find((folder) => folder.startsWith(`${name}-`)) : undefined
  return found === undefined ? undefined : join(FOLDER, found)
}

/** The last scores that the run recorded at or before a step. */
const scoresOf = async (run: string, step: number): Promise<RunFolder.Line | undefined> => {
  const lines = await Failure.orThrow(RunFolder.lines(run, "metric"))
  return lines.filter((line) => Number(line.step) <= step).at(-1)
}

/** The source before its first step. */
const untrained = async (run: string): Promise<string> => {
  const folder = join(FOLDER, `${basename(run)}@0`)
  const { model, seed } = await Failure.orThrow(ModelFolder.readJson(RunConfig.RunConfig, join(run, "config.json")))
  const gan = ModelFolder.ganOf(model)
  await Failure.orThrow(Files.write(join(folder, "snapshot.json"), `${JSON.stringify({ run, step: 0 }, null, 2)}\n`))
  await Failure.orThrow(
    ModelFolder.write(folder, model, {
      generator: Leaf.initAll(gan.generator, seed, "generator"),
      discriminator: Leaf.initAll(gan.discriminator, seed, "discriminator"),
    }),
  )
  return folder
}

const snapshot = async (run: string, wanted: number | undefined): Promise<string> => {
  if (wanted === 0) return untrained(run)
  const steps = await Failure.orThrow(RunFolder.checkpoints(run))
  const step = wanted ?? steps.at(-1)
  if (step === undefined) return Failure.raise("NoCheckpoint", "the run has no checkpoint yet", { file: run })
  const name = `${basename(run)}@${step}`
  if (!steps.includes(step)) {
    return (
      kept(name) ??
      Failure.raise("NoCheckpoint", `no checkpoint of step ${step}; there are ${steps.join(", ")}`, { file: run })
    )
  }
  const sha256 = await Failure.orThrow(Files.sha256(RunFolder.checkpointFile(run, step)))
  const folder = join(FOLDER, `${name}-${sha256.slice(0, 8)}`)
  if (existsSync(join(folder, "model.json"))) return folder
  const { description, generator, discriminator } = await Failure.orThrow(Model.open(run, { checkpoint: step }))
  const scores = await scoresOf(run, step)
  await Failure.orThrow(
    Files.write(join(folder, "snapshot.json"), `${JSON.stringify({ run, step, scores }, null, 2)}\n`),
  )
  await Failure.orThrow(ModelFolder.write(folder, description, { generator, discriminator }))
  return folder
}

/** The path and the step of `RUN@STEP`. */
const parts = (text: string): readonly [path: string, step: number | undefined] => {
  const found = /^(.+)@(\d+)$/.exec(text)
  return found === null || existsSync(text) ? [text, undefined] : [found[1]!, Number(found[2])]
}

/** Opens a model folder, a bundled model, a run or `RUN@STEP`. */
export const open = async (text: string): Promise<Source> => {
  const [given, step] = parts(text === "faces" ? await faces() : text)
  if (step !== undefined && !isRun(given))
    Failure.raise("NoModel", "RUN@STEP needs a run, and this is a model", { file: given })
  const path = isRun(given) ? await snapshot(given, step) : given
  const model = await Failure.orThrow(Model.open(path))
  const note = join(path, "snapshot.json")
  const about = existsSync(note)
    ? (JSON.parse(new TextDecoder().decode(await Failure.orThrow(Files.read(note)))) as Pick<Source, "step" | "scores">)
    : {}
  return {
    path,
    sha256: Model.fingerprint(model),
    config: model.description.config,
    ...(about.step !== undefined && { step: about.step }),
    ...(about.scores !== undefined && { scores: about.scores }),
  }
}
