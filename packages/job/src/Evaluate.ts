/** Scores between any two of: images, models, runs, statistics of a file. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Failure } from "@adafm/core"
import { ImageSet } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import { Evaluate, type Features as Features_, Npz } from "@adafm/metrics"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Features from "./Features.ts"
import * as Model from "./Model.ts"
import * as Sample from "./Sample.ts"

export interface Options extends Features.Look {
  /** The samples: a folder, zip, tensor file, run or model folder. */
  readonly a: string
  /** The reference: the same, or `.npz` statistics. */
  readonly reference: string
  readonly metrics?: readonly Evaluate.Metric[]
  /** Images of each side; by default as many as the smaller image set has, or `COUNT` of two models. */
  readonly count?: number
  /** Photographs are cropped and resized to this first; the model's size by default, none between two image sets. */
  readonly size?: number
  readonly seed: number
  readonly raw?: boolean
  readonly onProgress?: (done: number, total: number | undefined) => void
}

/** Images of a model whose reference says no number. */
const COUNT = 5000

type Side =
  | { readonly kind: "images"; readonly set: ImageSet.ImageSet }
  | { readonly kind: "model"; readonly model: Model.Model }
  | { readonly kind: "moments"; readonly path: string; readonly npz: Npz.Npz }

const isModel = (path: string): boolean => ["model.json", "config.json"].some((file) => existsSync(join(path, file)))

const open = async (path: string, { raw = false }: Options): Promise<Side> => {
  if (path.endsWith(".npz")) return { kind: "moments", path, npz: await Failure.orRaise(Npz.read(path)) }
  if (isModel(path)) return { kind: "model", model: await Failure.orRaise(Model.open(path, { raw })) }
  return { kind: "images", set: await Failure.orRaise(ImageSet.open(path)) }
}

/** Makes a side's images come; the generator is let go when the scores are done. */
const sourceOf = async (
  side: Exclude<Side, { readonly kind: "moments" }>,
  name: string,
  purpose: number,
  count: number,
  engine: Engine.Engine,
): Promise<{ readonly source: Features_.Source; readonly close: () => Promise<void> }> => {
  if (side.kind === "images") return { source: side, close: side.set.close }
  const generator = await Sample.open(side.model, engine, 64)
  const batches = Sample.stream(generator, side.model.gan, { count, seed: purpose })
  return { source: { kind: "batches", name, batches }, close: generator.dispose }
}

const countOf = (sides: readonly Side[]): number | undefined => {
  if (!sides.some(({ kind }) => kind === "model")) return undefined
  const sizes = sides.flatMap((side) => (side.kind === "images" ? [side.set.names.length] : []))
  return sizes.length > 0 ? Math.min(...sizes) : COUNT
}

const sizeOf = (sides: readonly Side[]): number | undefined =>
  sides.flatMap((side) => (side.kind === "model" ? [side.model.gan.image[0]] : []))[0]

export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Evaluate.Report> =>
  Failure.attempt(async () => {
    const { seed, metrics } = options
    const [a, b] = [await open(options.a, options), await open(options.reference, options)]
    if (a.kind === "moments")
      return Failure.raise("NeedsImages", "statistics can be the reference only, not the samples", { file: a.path })
    const count = options.count ?? countOf([a, b])
    const size = options.size ?? sizeOf([a, b])
    const samples = await sourceOf(a, options.a, seed, count ?? COUNT, engine)
    // two models draw different latents, so that a model against itself is no comparison of equal images
    const against = b.kind === "moments" ? b : await sourceOf(b, options.reference, seed + 1, count ?? COUNT, engine)
    try {
      return await Features.look(options, (extractor) =>
        Failure.orRaise(
          Evaluate.evaluate({
            a: samples.source,
            b: "source" in against ? against.source : against,
            extractor,
            seed,
            ...(metrics !== undefined && { metrics }),
            ...(count !== undefined && { count }),
            ...(size !== undefined && { size }),
            ...(options.onProgress !== undefined && { onProgress: options.onProgress }),
          }),
        ),
      )
    } finally {
      await samples.close()
      if ("source" in against) await against.close()
    }
  })
