/** Scores between any two of: images, models, runs, features and statistics of a file. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Failure, Safetensors } from "@adafm/core"
import type { ImageSet } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { Comparison, Extractor, FeatureFile, type FeatureSet as Features_ } from "@adafm/metrics"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as ImageSelection from "../run/ImageSelection.ts"
import * as Model from "../run/Model.ts"
import * as Sampler from "../run/Sampler.ts"
import * as Features from "./Features.ts"

export interface Options extends Features.Look {
  /** The samples: a folder, zip, tensor file, run or model folder, features as safetensors, statistics as `.npz` or safetensors. */
  readonly a: string
  /** The reference: the same. */
  readonly reference: string
  readonly metrics?: readonly Comparison.Metric[]
  /** Images of each side; by default as many as the smaller image set has, or `COUNT` of two models. */
  readonly count?: number
  /**
   * Photographs are cropped and resized to this first; the model's size by default, none between two image sets. Features and
   * statistics that say how they were made give the defaults of the other side: size, extractor, mode, a model's count.
   */
  readonly size?: number
  readonly seed: number
  /** Neighbours of precision, recall, density and coverage. */
  readonly k?: number
  readonly raw?: boolean
  readonly onProgress?: NonNullable<Features_.Options["onProgress"]>
}

/** Images of a model whose reference says no number. */
const COUNT = 5000

type Side =
  | { readonly kind: "images"; readonly set: ImageSet.ImageSet }
  | { readonly kind: "model"; readonly model: Model.Model }
  | { readonly kind: "made"; readonly side: Comparison.Side }

const isModel = (path: string): boolean =>
  path.startsWith("builtin:") || ["model.json", "config.json"].some((file) => existsSync(join(path, file)))

/** Features or statistics that a file holds, if it does. */
const stored = async (path: string): Promise<Comparison.Side | undefined> => {
  if (path.endsWith(".npz")) return Failure.orThrow(FeatureFile.readMoments(path))
  if (!path.endsWith(".safetensors")) return undefined
  const { entries } = await Failure.orThrow(Safetensors.readHeader(path))
  if ("features" in entries) return Failure.orThrow(FeatureFile.readFeatures(path))
  return "scatter" in entries ? Comparison.ofSummary(await Failure.orThrow(FeatureFile.readSummary(path))) : undefined
}

const open = async (path: string, { raw = false, count, seed }: Options): Promise<Side> => {
  if (isModel(path)) return { kind: "model", model: await Failure.orThrow(Model.open(path, { raw })) }
  const side = await stored(path)
  if (side === undefined) return { kind: "images", set: await Failure.orThrow(ImageSelection.open(path)) }
  return { kind: "made", side: count === undefined ? side : Comparison.take(side, { count, seed }) }
}

interface Opened {
  readonly what: Features_.Source | Comparison.Side
  readonly close: () => Promise<void>
}

/** Makes a side's images come; the generator is let go when the scores are done. */
const sourceOf = async (
  side: Side,
  name: string,
  seed: number,
  count: number,
  engine: () => Promise<Engine.Engine>,
): Promise<Opened> => {
  if (side.kind === "made") return { what: side.side, close: async () => undefined }
  if (side.kind === "images") return { what: side, close: side.set.close }
  const generator = await Sampler.open(side.model, await engine(), 64)
  const batches = Sampler.stream(generator, side.model.gan, { count, seed })
  return { what: { kind: "batches", name, batches }, close: generator.dispose }
}

/** What a side that exists already says of its making. */
const madeBy = (sides: readonly Side[]): Features_.Provenance | undefined =>
  sides.flatMap((side) => (side.kind === "made" ? (Comparison.provenanceOf(side.side) ?? []) : []))[0]

/** The network and protocol of the side that exists, unless others are asked for (which the comparison then refuses). */
const lookOf = (options: Options, sides: readonly Side[]): Features.Look => {
  const made = madeBy(sides)
  const { extractor = made?.extractor.name, mode = made?.mode } = options
  if (options.extractor === undefined && made !== undefined && !Extractor.isKnown(made.extractor.name))
    Failure.raise(
      "MissingExtractor",
      `the features of ${made.origin.path} are those of ${made.extractor.name}, somebody's own network: name its .onnx with --extractor`,
    )
  return { ...options, ...(extractor !== undefined && { extractor }), ...(mode !== undefined && { mode }) }
}

const countOf = (sides: readonly Side[]): number | undefined => {
  if (!sides.some(({ kind }) => kind === "model")) return undefined
  const sizes = sides.flatMap((side) => (side.kind === "images" ? [side.set.names.length] : []))
  return sizes.length > 0 ? Math.min(...sizes) : (madeBy(sides)?.origin.count ?? COUNT)
}

const sizeOf = (sides: readonly Side[]): number | undefined =>
  sides.flatMap((side) => (side.kind === "model" ? [side.model.gan.image[0]] : []))[0] ?? madeBy(sides)?.size

/** @param engine asked for where a model makes images */
export const run = (
  options: Options,
  engine: () => Promise<Engine.Engine>,
): TE.TaskEither<Failure.Failure, Comparison.Report> =>
  Failure.attempt(async () => {
    const { seed, metrics, k, onProgress } = options
    const sides = [await open(options.a, options), await open(options.reference, options)] as const
    const count = options.count ?? countOf(sides)
    const size = options.size ?? sizeOf(sides)
    const a = await sourceOf(sides[0], options.a, seed, count ?? COUNT, engine)
    // two models draw different latents, so that a model against itself is no comparison of equal images
    const b = await sourceOf(sides[1], options.reference, seed + 1, count ?? COUNT, engine)
    const how = {
      seed,
      ...(metrics !== undefined && { metrics }),
      ...(k !== undefined && { k }),
      ...(count !== undefined && { count }),
      ...(size !== undefined && { size }),
      ...(onProgress !== undefined && { onProgress }),
    }
    try {
      if (!("kind" in a.what) && !("kind" in b.what))
        return await Failure.orThrow(Comparison.scores(a.what, b.what, how))
      return await Features.look(lookOf(options, sides), (extractor) =>
        Failure.orThrow(Comparison.evaluate({ a: a.what, b: b.what, extractor, ...how })),
      )
    } finally {
      await a.close()
      await b.close()
    }
  })
