/** Images of a model as files: a contact sheet, one PNG each, or tensors. */
import { join } from "node:path"
import { Failure, Flat, Layout, NdArray, Safetensors } from "@adafm/core"
import { Colours, Image, Pipeline } from "@adafm/data"
import type * as Engine from "@adafm/engine"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Images from "./Images.ts"
import * as Model from "./Model.ts"
import * as Sample from "./Sample.ts"

export interface Options {
  /** A model folder or a run. */
  readonly model: string
  readonly seed: number
  /** Which images of this seed. */
  readonly numbers: readonly number[]
  /** The class of all images; drawn by default. */
  readonly label?: number
  readonly grid?: string
  readonly folder?: string
  readonly tensor?: string
  readonly raw?: boolean
  /** Images whose colours (mean and deviation of each channel) the drawn ones are given: a baseline that is no transfer. */
  readonly matchColours?: string
  readonly limit?: number
  readonly onProgress?: (done: number, total: number) => void
}

export interface Outcome {
  readonly files: readonly string[]
  readonly count: number
}

/** The colours of a set of images as a network of this size would see them. */
const coloursOf = (path: string, size: number, { limit, seed }: Options): Promise<Colours.Moments> =>
  Images.use(path, { seed, ...(limit !== undefined && { limit }) }, async (set) => {
    const batch = set.names.length
    const pipeline = await Failure.orRaise(Pipeline.open(set, { size, batch, seed, flip: false, dither: false }))
    const { x } = await pipeline.batch(0)
    return Colours.moments(Layout.imagesToFile(x))
  })

/** Images made at a time. */
const CHUNK = 64

export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const { seed, numbers, label, grid, folder, tensor, raw = false, onProgress } = options
    const model = await Failure.orRaise(Model.open(options.model, { raw }))
    const { gan } = model
    if (label !== undefined && label >= gan.labels)
      Failure.raise(
        "NoClass",
        `the model has ${gan.labels} ${gan.labels === 1 ? "class" : "classes"}, there is no ${label}`,
        { file: options.model },
      )
    const generator = await Sample.open(model, engine, Math.min(CHUNK, numbers.length))
    const files: string[] = []
    const kept: NdArray.NdArray<"float32">[] = []
    const pictures: Image.Rgb[] = []
    const draw = async (part: readonly number[]): Promise<NdArray.NdArray<"float32">> => {
      const drawn = Sample.inputs(gan, seed, part)
      const chosen =
        label !== undefined && gan.labels > 1
          ? {
              y: NdArray.int32(
                [part.length],
                part.map(() => label),
              ),
            }
          : {}
      return generator.images(Flat.merge<Engine.Arrays[string]>(drawn, chosen))
    }
    try {
      const target =
        options.matchColours === undefined ? undefined : await coloursOf(options.matchColours, gan.image[0], options)
      const own = target && Colours.moments(await draw(numbers))
      for (let from = 0; from < numbers.length; from += CHUNK) {
        const part = numbers.slice(from, from + CHUNK)
        const made = await draw(part)
        const images = target === undefined ? made : Colours.match(made, target, own)
        if (tensor !== undefined) kept.push(images)
        for (const [i, picture] of Image.fromNchw(images).entries()) {
          if (grid !== undefined) pictures.push(picture)
          if (folder === undefined) continue
          const file = join(folder, `seed${String(part[i]).padStart(4, "0")}.png`)
          await Failure.orRaise(Image.writePng(file, picture))
          files.push(file)
        }
        onProgress?.(from + part.length, numbers.length)
      }
    } finally {
      await generator.dispose()
    }
    if (grid !== undefined) {
      await Failure.orRaise(Image.writePng(grid, Image.sheet(pictures, { scale: gan.image[0] < 64 ? 2 : 1 })))
      files.push(grid)
    }
    if (tensor !== undefined) {
      const data = new Float32Array(kept.reduce((n, part) => n + part.data.length, 0))
      let at = 0
      for (const part of kept) {
        data.set(part.data, at)
        at += part.data.length
      }
      const images = NdArray.float32([numbers.length, ...kept[0]!.shape.slice(1)], data)
      await Failure.orRaise(Safetensors.write(tensor, { images }))
      files.push(tensor)
    }
    return { files, count: numbers.length }
  })
