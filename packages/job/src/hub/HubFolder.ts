/** A model as the files of a Hugging Face repository: weights, ONNX, configuration, samples and a model card. */
import { createHash } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join, resolve } from "node:path"
import { Failure, Leaf, OutputFolder } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { ModelFolder, RunFolder } from "@adafm/gan"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Model from "../run/Model.ts"
import type * as RunCheckpoint from "../run/RunCheckpoint.ts"
import { RunConfig } from "../run/RunConfig.ts"
import * as Export from "../verbs/Export.ts"
import * as Sample from "../verbs/Sample.ts"
import * as ModelCard from "./ModelCard.ts"

export interface Options extends Model.Notes {
  /** A model folder or a run. */
  readonly model: string
  /** The folder to write. */
  readonly out: string
  readonly seed: number
  readonly raw?: boolean
  /** Which checkpoint of a run; the last by default. */
  readonly from?: RunCheckpoint.Wanted
  /** An identifier such as `cc-by-4.0`; `unknown` by default. */
  readonly licence?: string
  /** Where the photographs are from and under which terms. */
  readonly dataStatement?: string
}

export interface Outcome {
  readonly out: string
  /** SHA-256 by name. */
  readonly files: Readonly<Record<string, string>>
  /** Only of a run: the checkpoint that was read. */
  readonly checkpoint?: RunCheckpoint.Chosen
}

/** Samples on the card's picture. */
const SHOWN = 64

/** The configuration of a run without paths of the author's disk. */
const shareable = ({ data, source, made, ...config }: RunConfig): object => ({
  ...config,
  data: { path: ModelCard.nameOf(data.path), sha256: data.sha256, images: data.images, classes: data.classes },
  ...(source !== undefined && { source: { ...source, path: ModelCard.nameOf(source.path) } }),
  ...(made !== undefined && {
    made: { versions: made.versions, ...(made.commit !== undefined && { commit: made.commit }) },
  }),
})

interface Recorded {
  readonly config?: RunConfig
  readonly scores?: RunFolder.Line
}

/** What a run's folder says about itself, up to the step of its model. */
const recordOf = async ({ path, step }: Model.Model): Promise<Recorded> => {
  const file = join(path, "config.json")
  if (step === undefined || !existsSync(file)) return {}
  const config = await Failure.orThrow(ModelFolder.readJson(RunConfig, file))
  const lines = await Failure.orThrow(RunFolder.lines(path, "metric"))
  const scores = lines.findLast((line) => Number(line.step) === step)
  return { config, ...(scores !== undefined && { scores }) }
}

export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const { out, seed, raw = false, from, licence = "unknown", dataStatement } = options
    const model = await Failure.orThrow(
      Model.open(options.model, { raw, onNote: options.onNote, ...(from !== undefined && { checkpoint: from }) }),
    )
    const { description, step } = model
    const { gan, generator, discriminator } = Export.folded(model)
    if (Object.values(model.modulation ?? {}).some(({ folds }) => !folds))
      Failure.raise("NotExportable", "an input-conditioned modulation cannot be folded into filters: use --onnx", {
        file: options.model,
      })
    const temporary = await mkdtemp(join(tmpdir(), "adafm-hub-"))
    try {
      const at = (name: string): string => join(temporary, name)
      await Failure.orThrow(ModelFolder.write(temporary, description, { generator, discriminator }))
      await Failure.orThrow(
        Export.run(
          { model: options.model, onnx: at("generator.onnx"), seed, raw, ...(from !== undefined && { from }) },
          engine,
        ),
      )
      const numbers = [...Array(SHOWN).keys()]
      await Failure.orThrow(
        Sample.run(
          {
            model: options.model,
            seed,
            numbers,
            raw,
            grid: at("samples.png"),
            ...(from !== undefined && { checkpoint: from }),
          },
          engine,
        ),
      )
      const names = [
        "model.json",
        "generator.safetensors",
        ...(description.missing === undefined ? ["discriminator.safetensors"] : []),
        "generator.onnx",
        "samples.png",
      ]
      const contents: Record<string, Uint8Array> = {}
      for (const name of names) contents[name] = await readFile(at(name))
      const { config, scores } = await recordOf(model)
      const shared = {
        library_name: "adafm",
        model_type: gan.config.architecture,
        ...(config === undefined ? { model: description } : shareable(config)),
        ...(scores !== undefined && { scores: { ...scores, reference: ModelCard.nameOf(String(scores.reference)) } }),
      }
      contents["config.json"] = new TextEncoder().encode(`${JSON.stringify(shared, null, 2)}\n`)
      const files = Object.fromEntries(
        Object.entries(contents).map(([name, bytes]) => [name, createHash("sha256").update(bytes).digest("hex")]),
      )
      const card = ModelCard.text(
        {
          title: basename(resolve(out)),
          architecture: gan.config.architecture,
          image: gan.image,
          latent: description.latent,
          parameters: { generator: Leaf.count(gan.generator), discriminator: Leaf.count(gan.discriminator) },
          ...(config !== undefined && { config }),
          ...(step !== undefined && { step }),
          ...(scores !== undefined && { scores }),
          ...(description.source !== undefined && { importedFrom: description.source.sha256 }),
          files,
        },
        { licence, ...(dataStatement !== undefined && { data: dataStatement }) },
      )
      await Failure.orThrow(OutputFolder.write(out, { ...contents, "README.md": card }))
      return { out, files, ...(model.checkpoint && { checkpoint: model.checkpoint }) }
    } finally {
      await rm(temporary, { recursive: true, force: true })
    }
  })
