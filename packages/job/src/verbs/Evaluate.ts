/** Scores between any two of these: images, models, runs, files of features, files of statistics. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Failure, Safetensors } from "@adafm/core"
import type { ImageSet } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { Comparison, Extractor, FeatureFile, type FeatureSet as Features_ } from "@adafm/metrics"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as HubModel from "#hub/HubModel"
import * as ImageSelection from "../run/ImageSelection.ts"
import * as Model from "../run/Model.ts"
import * as ModelChannels from "../run/ModelChannels.ts"
import type * as RunCheckpoint from "../run/RunCheckpoint.ts"
import * as Sampler from "../run/Sampler.ts"
import * as Features from "./Features.ts"

export interface Options extends Features.Look, Model.Notes {
  /** The samples: a folder, zip or tensor file of images; a run or model folder; features (safetensors); statistics (`.npz`, safetensors). */
  readonly a: string
  /** The reference: the same kinds. */
  readonly reference: string
  readonly metrics?: readonly Comparison.Metric[]
  /** Images on each side; by default as many as the smaller image set has, `COUNT` between two models. */
  readonly count?: number
  /**
   * Photographs are cropped and resized to this first; by default the model's size, and not at all between two image sets.
   * Features and statistics that record how they were made set the other side's defaults: size, extractor, mode, a model's count.
   */
  readonly size?: number
  readonly seed: number
  /** Neighbours of precision, recall, density and coverage. */
  readonly k?: number
  readonly raw?: boolean
  /** Which checkpoint of a run; the last by default. */
  readonly checkpoint?: RunCheckpoint.Wanted
  readonly onProgress?: NonNullable<Features_.Options["onProgress"]>
}

/** Images of a model whose reference does not set their number. */
const COUNT = 5000

type Side =
  | { readonly kind: "images"; readonly set: ImageSet.ImageSet }
  | { readonly kind: "model"; readonly model: Model.Model }
  | { readonly kind: "stored"; readonly side: Comparison.Side }

const isRun = (path: string): boolean => existsSync(join(path, "config.json")) && !existsSync(join(path, "model.json"))

const isModel = (path: string): boolean =>
  path.startsWith("builtin:") ||
  HubModel.isReference(path) ||
  ["model.json", "config.json"].some((file) => existsSync(join(path, file)))

/** The features or statistics in a file; undefined if it holds neither. */
const stored = async (path: string): Promise<Comparison.Side | undefined> => {
  if (path.endsWith(".npz")) return Failure.orThrow(FeatureFile.readMoments(path))
  if (!path.endsWith(".safetensors")) return undefined
  const { entries } = await Failure.orThrow(Safetensors.readHeader(path))
  if ("features" in entries) return Failure.orThrow(FeatureFile.readFeatures(path))
  return "scatter" in entries ? Comparison.ofSummary(await Failure.orThrow(FeatureFile.readSummary(path))) : undefined
}

const open = async (path: string, { raw = false, count, seed, checkpoint, onNote }: Options): Promise<Side> => {
  if (isModel(path)) {
    const chosen = checkpoint !== undefined && isRun(path) ? { checkpoint } : {}
    return { kind: "model", model: await Failure.orThrow(Model.open(path, { raw, onNote, ...chosen })) }
  }
  const side = await stored(path)
  if (side === undefined) return { kind: "images", set: await Failure.orThrow(ImageSelection.open(path)) }
  return { kind: "stored", side: count === undefined ? side : Comparison.take(side, { count, seed }) }
}

interface Opened {
  readonly what: Features_.Source | Comparison.Side
  readonly close: () => Promise<void>
}

/** A side as the comparison takes it. `close` releases its files or its generator. */
const sourceOf = async (
  side: Side,
  name: string,
  seed: number,
  count: number,
  engine: () => Promise<Engine.Engine>,
): Promise<Opened> => {
  if (side.kind === "stored") return { what: side.side, close: async () => undefined }
  if (side.kind === "images") return { what: side, close: side.set.close }
  const generator = await Sampler.open(side.model, await engine(), 64)
  const batches = Sampler.stream(generator, side.model.gan, { count, seed })
  return { what: { kind: "batches", name, batches }, close: generator.dispose }
}

/** How stored features or statistics were made, if they record it. */
const provenanceOf = (sides: readonly Side[]): Features_.Provenance | undefined =>
  sides.flatMap((side) => (side.kind === "stored" ? (Comparison.provenanceOf(side.side) ?? []) : []))[0]

/** The extractor and mode of the stored side, unless others are asked for (which the comparison then refuses). */
const lookOf = (options: Options, sides: readonly Side[]): Features.Look => {
  const made = provenanceOf(sides)
  const { extractor = made?.extractor.name, mode = made?.mode } = options
  if (options.extractor === undefined && made !== undefined && !Extractor.isKnown(made.extractor.name))
    Failure.raise(
      "MissingExtractor",
      `the features of ${made.origin.path} were made by ${made.extractor.name}, which is not one of the built-in extractors: give its .onnx file with --extractor`,
    )
  return { ...options, ...(extractor !== undefined && { extractor }), ...(mode !== undefined && { mode }) }
}

const countOf = (sides: readonly Side[]): number | undefined => {
  if (!sides.some(({ kind }) => kind === "model")) return undefined
  const sizes = sides.flatMap((side) => (side.kind === "images" ? [side.set.names.length] : []))
  return sizes.length > 0 ? Math.min(...sizes) : (provenanceOf(sides)?.origin.count ?? COUNT)
}

const sizeOf = (sides: readonly Side[]): number | undefined =>
  sides.flatMap((side) => (side.kind === "model" ? [side.model.gan.image[0]] : []))[0] ?? provenanceOf(sides)?.size

export interface Outcome extends Comparison.Report {
  /** The checkpoint of the samples, if they are a run's. */
  readonly checkpoint?: RunCheckpoint.Chosen
}

/** Photographs are compared with a grey model's images as grey ones. */
const likened = ([a, b]: readonly [Side, Side]): readonly [Side, Side] => {
  const channels = [a, b].flatMap((side) => (side.kind === "model" ? [side.model.gan.image[2]] : []))[0] ?? 3
  const like = (side: Side): Side =>
    side.kind === "images" ? { ...side, set: ModelChannels.seen(side.set, channels) } : side
  return [like(a), like(b)]
}

/** @param engine opened only if a model generates images */
export const run = (options: Options, engine: () => Promise<Engine.Engine>): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    if (options.checkpoint !== undefined && ![options.a, options.reference].some(isRun))
      Failure.raise("NoCheckpoint", "neither side is a run, which has checkpoints: leave --checkpoint out", {
        file: options.a,
      })
    const { seed, metrics, k, onProgress } = options
    const sides = [await open(options.a, options), await open(options.reference, options)] as const
    const count = options.count ?? countOf(sides)
    const size = options.size ?? sizeOf(sides)
    const [left, right] = likened(sides)
    const a = await sourceOf(left, options.a, seed, count ?? COUNT, engine)
    // two models draw different latents: a model against itself must not compare equal images
    const b = await sourceOf(right, options.reference, seed + 1, count ?? COUNT, engine)
    const how = {
      seed,
      ...(metrics !== undefined && { metrics }),
      ...(k !== undefined && { k }),
      ...(count !== undefined && { count }),
      ...(size !== undefined && { size }),
      ...(onProgress !== undefined && { onProgress }),
    }
    const { checkpoint } = sides[0].kind === "model" ? sides[0].model : {}
    const compare = async (): Promise<Comparison.Report> =>
      !("kind" in a.what) && !("kind" in b.what)
        ? Failure.orThrow(Comparison.scores(a.what, b.what, how))
        : Features.look(lookOf(options, sides), (extractor) =>
            Failure.orThrow(Comparison.evaluate({ a: a.what, b: b.what, extractor, ...how })),
          )
    try {
      return { ...(await compare()), ...(checkpoint && { checkpoint }) }
    } finally {
      await a.close()
      await b.close()
    }
  })
