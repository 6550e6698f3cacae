/** Runs a network over images in batches, while worker threads preprocess the next images. */
import { Failure, NdArray, Rng, Sha256 } from "@adafm/core"
import { DecodeMany, Image, ImageSet, PictureBudget } from "@adafm/data"
import * as TE from "fp-ts/lib/TaskEither.js"
import type * as Extractor from "./Extractor.ts"
import * as Preprocessing from "./Preprocessing.ts"

/**
 * The images: an image set, or batches `[N, 3, H, W]` of a generator, uint8 or float32 in [-1, 1]. Float images are quantised to
 * 8 bits.
 */
export type Source =
  | { readonly kind: "images"; readonly set: ImageSet.ImageSet }
  | {
      readonly kind: "batches"
      /** For the provenance. */
      readonly name: string
      readonly batches:
        | AsyncIterable<NdArray.NdArray<"float32" | "uint8">>
        | Iterable<NdArray.NdArray<"float32" | "uint8">>
    }

/** Every `of`-th image of a set, beginning with image `index` (0, …). */
export interface Shard {
  readonly index: number
  readonly of: number
}

export interface Options {
  /** Number of images, all by default: a seeded subset of a set, the first images of batches. */
  readonly count?: number
  /** Centre crop and resize to this size before the protocol's resize; neither by default. */
  readonly size?: number
  readonly seed?: number
  /** The part of the set for this run, if the statistics of several runs will be merged. */
  readonly shard?: Shard
  /** Batch size of the network. */
  readonly batch?: number
  /** The reference side in mode `authors`: random batches, with flips and dither. */
  readonly authorsReals?: boolean
  readonly onProgress?: (done: number, total: number | undefined, imagesPerSecond: number) => void
}

/** The least and the greatest of several numbers. */
export interface Range {
  readonly least: number
  readonly most: number
}

/** The range of both. */
export const widest = (a: Range | undefined, b: Range | undefined): Range | undefined =>
  a === undefined || b === undefined ? (a ?? b) : { least: Math.min(a.least, b.least), most: Math.max(a.most, b.most) }

export interface Origin {
  readonly path: string
  readonly count: number
  /** SHA-256 of the names and contents of a set, or of the pixels of batches. */
  readonly sha256: string
  readonly broken: number
  readonly warnings: readonly string[]
  /** Pixels of the images' shorter sides, unless they were brought to one size first; files of older versions do not have it. */
  readonly shorterSide?: Range
  /** For a shard: SHA-256 of the names of the whole set. */
  readonly partOf?: string
}

/** Larger batches are no faster on a CPU. */
const BATCH = 8

/** Receives the network's outputs, a batch at a time. */
export interface Sink {
  readonly features: (rows: NdArray.NdArray<"float32">) => void | Promise<void>
  readonly logits?: (rows: NdArray.NdArray<"float32">) => void
}

/** Collects inputs into batches and runs the network whenever one is full. */
const feeder = (extractor: Extractor.Extractor, size: number, sink: Sink) => {
  const { protocol } = extractor
  const shape = [3, ...extractor.size]
  const length = NdArray.sizeOf(shape)
  const scoring = extractor.hasLogits && sink.logits !== undefined
  const batches = Array.from({ length: scoring && protocol.scoreInput ? 2 : 1 }, () => new Float32Array(size * length))
  let filled = 0
  const run = (batch: Float32Array) =>
    extractor.run(NdArray.float32([filled, ...shape], batch.subarray(0, filled * length)))
  const flush = async (): Promise<void> => {
    if (filled === 0) return
    const results = await run(batches[0]!)
    const features = results.features!
    if (!features.data.every(Number.isFinite)) Failure.raise("BadFeatures", "the features are not finite numbers")
    await sink.features(features)
    if (scoring) sink.logits?.((batches[1] ? await run(batches[1]) : results)[protocol.logits]!)
    filled = 0
  }
  return {
    /** @param inputs `[3, H, W]` for the features, and another one for the Inception Score if it differs @returns whether the batch is full */
    add: (inputs: readonly Float32Array[]): boolean => {
      batches.forEach((batch, i) => {
        batch.set(inputs[i]!, filled * length)
      })
      return ++filled === size
    },
    flush,
  }
}

/** The seeded subset that `count` selects: uniform over the images, in order of name. */
export const places = (of: number, count: number, seed: number): readonly number[] =>
  [...Rng.permutation(Rng.at(seed, "metrics/subset"), of).subarray(0, count)].sort((a, b) => a - b)

const chosen = (set: ImageSet.ImageSet, count: number | undefined, seed: number): ImageSet.ImageSet =>
  count === undefined || count >= set.names.length ? set : ImageSet.pick(set, places(set.names.length, count, seed))

/** The authors' reference: every batch is the beginning of a new shuffle, so that images repeat (spec, section 5). */
const redrawn = (set: ImageSet.ImageSet, count = set.names.length, batch: number, seed: number): ImageSet.ImageSet => {
  const size = Math.min(batch, set.names.length)
  const draws = Array.from({ length: Math.ceil(count / size) }, (_, k) => [
    ...Rng.permutation(Rng.at(seed, "metrics/authors-redraw", k), set.names.length).subarray(0, size),
  ])
  return ImageSet.pick(set, draws.flat().slice(0, count))
}

/** For fewer images, starting threads takes longer than it saves. */
const MANY = 48

/** Preprocesses pictures while the network runs, and feeds them to it in order. */
const pipeline = (
  extractor: Extractor.Extractor,
  total: number | undefined,
  { size: fit, seed = 0, batch = BATCH, authorsReals = false, onProgress }: Options,
  sink: Sink,
) => {
  const { protocol, size: input } = extractor
  const { add, flush } = feeder(extractor, batch, sink)
  const began = performance.now()
  const many = total === undefined || total >= MANY
  let done = 0
  let sides: Range | undefined
  /** Reads in progress. They must reach the worker threads before the network blocks this thread. */
  const reading = new Set<Promise<unknown>>()
  return {
    ahead: 2 * batch,
    flush,
    done: () => done,
    /** For the origin: nothing if the images were brought to one size. */
    sizes: (): Pick<Origin, "shorterSide"> => (sides === undefined || fit !== undefined ? {} : { shorterSide: sides }),
    preprocess: async (place: number, picture: PictureBudget.Picture): Promise<Preprocessing.Preprocessed> => {
      const admitted = PictureBudget.admit(picture)
      reading.add(admitted)
      const settle = (): boolean => reading.delete(admitted)
      admitted.then(settle, settle)
      const { bytes, release } = await admitted
      const work = ((many ? extractor.preprocessing : undefined) ?? Preprocessing).run({
        form: picture.form,
        bytes,
        protocol,
        input,
        ...(fit !== undefined && { fit }),
        ...(authorsReals && { draw: { seed, index: place } }),
      })
      const result = await work.finally(release)
      const { shorterSide: side } = result
      if (side !== undefined) sides = widest(sides, { least: side, most: side })
      return result
    },
    add: async (inputs: readonly Float32Array[]): Promise<void> => {
      if (add(inputs)) {
        await Promise.allSettled(reading)
        await flush()
      }
      done++
      onProgress?.(done, total, (1000 * done) / (performance.now() - began))
    },
  }
}

/** The images of a set for one run, or for all shards of it. */
const selected = (
  set: ImageSet.ImageSet,
  { protocol }: Extractor.Extractor,
  { count, seed = 0, authorsReals = false }: Options,
): ImageSet.ImageSet => (authorsReals ? redrawn(set, count, protocol.batch ?? 1, seed) : chosen(set, count, seed))

const shardOf = (set: ImageSet.ImageSet, { index, of }: Shard): ImageSet.ImageSet =>
  ImageSet.pick(
    set,
    set.names.map((_, i) => i).filter((i) => i % of === index),
  )

/** The same for all shards of one set, whatever its path. */
const identity = ({ names }: ImageSet.ImageSet): string => Sha256.make().update(names.join("\n")).hex()

/** How images were read that Pillow, and with it other programs of FID, reads differently. */
const ODDITIES: Readonly<Record<Image.Oddity, string>> = {
  turned: "rotated according to the EXIF tag (Pillow does not do this)",
  transparent: "transparent and put on a white background (Pillow drops the transparency)",
  floating: "of floating-point numbers and read as 0 black, 1 white (Pillow reads 255 as white)",
  deep: "of more than 8 bits and reduced to the upper 8 (Pillow reads grey images differently)",
  cmyk: "CMYK and converted with the colour profile (Pillow ignores the profile)",
  animated: "animated and read as the first frame",
}

const skipped = (names: readonly string[]): string =>
  names.length === 1
    ? `skipped 1 broken image: ${names[0]}`
    : `skipped ${names.length} broken images, first ${names[0]}`

const ofSet = async (
  whole: ImageSet.ImageSet,
  extractor: Extractor.Extractor,
  options: Options,
  sink: Sink,
): Promise<Origin> => {
  const { count, shard } = options
  const all = selected(whole, extractor, options)
  const set = shard === undefined ? all : shardOf(all, shard)
  const { preprocess, add, flush, ahead, done, sizes } = pipeline(extractor, set.names.length, options, sink)
  const digests: string[] = []
  const odd = new Map<Image.Oddity, number>()
  const one = (place: number) =>
    TE.tryCatch(
      async () => {
        const { digest, inputs, oddities } = await preprocess(place, ImageSet.picture(set, place))
        digests[place] = digest
        for (const oddity of oddities) odd.set(oddity, (odd.get(oddity) ?? 0) + 1)
        return Failure.orThrow(inputs)
      },
      (thrown): Failure.Failure => ({ ...Failure.fromThrown(thrown), file: set.path, path: set.names[place]! }),
    )
  const broken = await Failure.orThrow(DecodeMany.through(set, one, ahead, ({ image }) => add(image)))
  await flush()
  const advice = ImageSet.advice(set)
  return {
    path: set.path,
    count: done(),
    sha256: ImageSet.hashOf(set.names, digests),
    broken: broken.length,
    ...sizes(),
    ...(shard !== undefined && { partOf: identity(all) }),
    warnings: [
      ...(set.lossy
        ? ["the images are JPEG, and compression artefacts change FID: compare only with sets stored in the same way"]
        : []),
      ...(set.form.grey === true ? ["the images were made grey, because the model makes grey images"] : []),
      ...Image.ODDITIES.filter((oddity) => odd.has(oddity)).map((oddity) => {
        const n = odd.get(oddity)!
        return `${n} ${n === 1 ? "image was" : "images were"} ${ODDITIES[oddity]}`
      }),
      ...(advice !== undefined ? [advice] : []),
      ...(broken.length > 0 ? [skipped(broken.map(({ name }) => name))] : []),
      ...(count !== undefined && count > whole.names.length
        ? [`${count} images were requested, but the set has ${whole.names.length}`]
        : []),
    ],
  }
}

const ofBatches = async (
  { name, batches }: Extract<Source, { readonly kind: "batches" }>,
  extractor: Extractor.Extractor,
  options: Options,
  sink: Sink,
): Promise<Origin> => {
  const { count } = options
  const { preprocess, add, flush, ahead, done, sizes } = pipeline(extractor, count, options, sink)
  const pixels = Sha256.make()
  const started: Promise<Preprocessing.Preprocessed>[] = []
  const settle = async (): Promise<void> => add(Failure.orThrow((await started.shift()!).inputs))
  let drawn = 0
  drawing: for await (const images of batches)
    for (const { shape, data } of Image.fromNchw(images)) {
      if (drawn === count) break drawing
      pixels.update(data)
      started.push(preprocess(drawn++, { form: { kind: "rgb", shape }, size: async () => 0, read: async () => data }))
      if (started.length > ahead) await settle()
    }
  while (started.length > 0) await settle()
  await flush()
  if (done() === 0 || (count !== undefined && done() < count))
    Failure.raise("TooFewImages", `${name} gave ${done()} images; expected ${count ?? "at least 1"}`)
  return { path: name, count: done(), sha256: pixels.hex(), broken: 0, ...sizes(), warnings: [] }
}

/** Runs the network over all images, in order of name. */
export const run = (source: Source, extractor: Extractor.Extractor, options: Options, sink: Sink): Promise<Origin> =>
  source.kind === "images" ? ofSet(source.set, extractor, options, sink) : ofBatches(source, extractor, options, sink)
