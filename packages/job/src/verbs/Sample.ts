/** Samples of a model as files: a contact sheet, a PNG for each, or tensors. */
import { join } from "node:path"
import { Failure, Flat, Layout, NdArray, Safetensors } from "@adafm/core"
import { Colours, Image, Pipeline } from "@adafm/data"
import * as PictureFile from "@adafm/data/PictureFile"
import type * as Engine from "@adafm/engine"
import type { Gan } from "@adafm/gan"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as ImageSelection from "../run/ImageSelection.ts"
import * as Model from "../run/Model.ts"
import * as ModelChannels from "../run/ModelChannels.ts"
import type * as RunCheckpoint from "../run/RunCheckpoint.ts"
import * as Sampler from "../run/Sampler.ts"
import * as LatentWalk from "../run/sheet/LatentWalk.ts"
import * as ModulationFade from "../run/sheet/ModulationFade.ts"
import * as SampleSheet from "../run/sheet/SampleSheet.ts"
import * as StyleMixing from "../run/sheet/StyleMixing.ts"
import * as Truncation from "../run/sheet/Truncation.ts"

export interface Options extends Model.Notes {
  /** A model folder or a run. */
  readonly model: string
  readonly seed: number
  /** Which samples of this seed. */
  readonly numbers: readonly number[]
  /** The class of all images; drawn by default. */
  readonly label?: number
  /** Style mixing: the styles of these samples on the layout of those of `numbers`. */
  readonly mix?: readonly number[]
  /** The first style block that takes the other sample's style; 0 by default. */
  readonly mixFrom?: number
  /** Pictures of a walk from each sample to the next. */
  readonly interpolate?: number
  /** Pictures in which the modulation grows from none to the trained one, of each sample. */
  readonly fade?: number
  /** Truncation: the share of the latents' distance from their mean that remains; 1 by default. */
  readonly psi?: number
  /** One picture with all samples. */
  readonly grid?: string
  /** A folder of PNG. */
  readonly folder?: string
  /** An animation of `interpolate` or `fade`: GIF, WebP, MP4 or WebM, as the name says. */
  readonly animation?: string
  /** Frames in a second of the animation; 12 by default. */
  readonly fps?: number
  readonly tensor?: string
  readonly raw?: boolean
  /** Which checkpoint of a run; the last by default. */
  readonly checkpoint?: RunCheckpoint.Wanted
  /** Give the samples the colours of these images (mean and deviation of each channel): a baseline without any transfer. */
  readonly matchColours?: string
  readonly limit?: number
  readonly onProgress?: (done: number, total: number) => void
}

export interface Outcome {
  readonly files: readonly string[]
  readonly count: number
  /** Only of a run: the checkpoint that was read. */
  readonly checkpoint?: RunCheckpoint.Chosen
}

/** The colours of a set of images, after the crop and resize to the network's size. */
const coloursOf = (path: string, gan: Gan.Gan, { limit, seed }: Options): Promise<Colours.Moments> =>
  ImageSelection.use(path, { seed, ...(limit !== undefined && { limit }) }, async (set) => {
    const batch = set.names.length
    const look = { size: gan.image[0], channels: ModelChannels.of(gan), flip: false, dither: false }
    const pipeline = await Failure.orThrow(Pipeline.open(set, { ...look, batch, seed }))
    const { x } = await pipeline.batch(0)
    return Colours.moments(Layout.imagesToFile(x))
  })

/** Whether `--out` names an animation rather than a folder. */
export const isAnimation = PictureFile.isAnimation

/** Images of one run of the generator. */
const CHUNK = 64

const sheetOf = (model: Model.Model, options: Options): SampleSheet.Sheet => {
  const { mix, interpolate, fade, animation } = options
  if (animation !== undefined && interpolate !== undefined) return LatentWalk.loop(model.gan, options, interpolate)
  if (mix !== undefined) return StyleMixing.sheet(model.gan, options, mix)
  if (interpolate !== undefined) return LatentWalk.sheet(model.gan, options, interpolate)
  if (fade !== undefined) return ModulationFade.sheet(model, options, fade)
  return SampleSheet.plain(model.gan, options)
}

/** The pictures of a sheet, in parts, each with its places on the sheet. `[n, C, H, W]` */
async function* draw(
  generator: Sampler.Generator,
  { inputs, names, columns = 1, parameters }: SampleSheet.Sheet,
): AsyncGenerator<{ readonly places: readonly number[]; readonly images: NdArray.NdArray<"float32"> }> {
  const all = [...names.keys()]
  const rounds = parameters ?? [undefined]
  for (const [k, params] of rounds.entries()) {
    if (params !== undefined) generator.use(params)
    const places = params === undefined ? all : all.filter((i) => i % columns === k)
    for (let from = 0; from < places.length; from += CHUNK) {
      const part = places.slice(from, from + CHUNK)
      yield { places: part, images: await generator.images(Flat.map(inputs, (a) => Sampler.picked(a, part))) }
    }
  }
}

/** The frames of an animation, enlarged to at least this many pixels where they are smaller. */
const SHOWN = 128

/** A walk shows one picture after the other, a fade the column of all samples at each degree. */
const framesOf = (pictures: readonly Image.Rgb[], { names, columns = 1 }: SampleSheet.Sheet): readonly Image.Rgb[] => {
  const scale = Math.max(1, Math.floor(SHOWN / pictures[0]!.shape[0]!))
  const groups =
    columns === 1
      ? pictures.map((picture) => [picture])
      : Array.from({ length: columns }, (_, k) => pictures.filter((_, i) => i % columns === k))
  return names.length === 0 ? [] : groups.map((group) => Image.sheet(group, { scale }))
}

export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    const { grid, folder, animation, tensor, mixFrom, psi, raw = false, checkpoint, onProgress } = options
    if (grid !== undefined) PictureFile.requireStill(grid)
    if (animation !== undefined && options.interpolate === undefined && options.fade === undefined)
      Failure.raise("BadArguments", `${animation}: an animation needs --interpolate N or --fade N`)
    const model = await Failure.orThrow(
      Model.open(options.model, { raw, onNote: options.onNote, ...(checkpoint !== undefined && { checkpoint }) }),
    )
    const { gan } = model
    Model.requireClass(model, options.label)
    const plain = sheetOf(model, options)
    const sheet = psi === undefined ? plain : await Truncation.apply(plain, model, psi, engine, options.seed)
    const count = sheet.names.length
    const styles = { ...(mixFrom !== undefined && { mixFrom }), ...(psi !== undefined && { psi }) }
    const generator = await Sampler.open(model, engine, Math.min(CHUNK, count), styles)
    const files: string[] = []
    const [height, width, channels] = gan.image
    const size = height * width * channels
    const images = NdArray.zeros("float32", [count, channels, height, width])
    try {
      let done = 0
      for await (const part of draw(generator, sheet)) {
        part.places.forEach((place, i) => {
          images.data.set(part.images.data.subarray(i * size, (i + 1) * size), place * size)
        })
        done += part.places.length
        onProgress?.(done, count)
      }
    } finally {
      await generator.dispose()
    }
    const target = options.matchColours === undefined ? undefined : await coloursOf(options.matchColours, gan, options)
    const shown = target === undefined ? images : Colours.match(images, target, Colours.moments(images))
    if (folder !== undefined)
      for (const [i, picture] of Image.fromNchw(shown, true).entries()) {
        const file = join(folder, `${sheet.names[i]!}.png`)
        await Failure.orThrow(Image.writePng(file, picture))
        files.push(file)
      }
    if (grid !== undefined) {
      const { columns } = sheet
      const all = Image.sheet(Image.fromNchw(shown), {
        scale: height < 64 ? 2 : 1,
        ...(columns !== undefined && { columns }),
      })
      await Failure.orThrow(PictureFile.write(grid, all))
      files.push(grid)
    }
    if (animation !== undefined) {
      const frames = framesOf(Image.fromNchw(shown), sheet)
      await Failure.orThrow(PictureFile.animate(animation, { frames, fps: options.fps ?? 12 }))
      files.push(animation)
    }
    if (tensor !== undefined) {
      await Failure.orThrow(Safetensors.write(tensor, { images: shown }))
      files.push(tensor)
    }
    return { files, count, ...(model.checkpoint && { checkpoint: model.checkpoint }) }
  })
