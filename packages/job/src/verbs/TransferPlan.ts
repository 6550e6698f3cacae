/** What a transfer would do: every parameter's fate, the settings and their reasons. Nothing is written. */
import { Failure } from "@adafm/core"
import { DecodeMany, Image, PhotoCheck } from "@adafm/data"
import * as PictureFile from "@adafm/data/PictureFile"
import type * as Engine from "@adafm/engine"
import { SmallHead, type Step } from "@adafm/gan"
import { Calibration, Graft, PreparedTarget } from "@adafm/transfer"
import type * as TE from "fp-ts/lib/TaskEither.js"
import * as Defaults from "../run/Defaults.ts"
import * as Forecast from "../run/Forecast.ts"
import * as ImageSelection from "../run/ImageSelection.ts"
import * as Model from "../run/Model.ts"
import * as ModelChannels from "../run/ModelChannels.ts"
import * as Training from "../run/Training.ts"
import * as TransferChecks from "../run/TransferChecks.ts"
import * as TransferConfig from "../run/TransferConfig.ts"

/** What `--dry-run` prints: every parameter's fate and the counts. */
export interface DryRun {
  readonly recipe: string
  readonly steps: number
  /** What was chosen from the number of images; of a hundred where none are named. */
  readonly choices: readonly Defaults.Choice[]
  readonly plan: Graft.Counts
  readonly fates: ReturnType<typeof Graft.table>
  /** Paths of the source that are not used. */
  readonly unused: Readonly<Record<Step.Net, readonly string[]>>
  readonly warnings: readonly string[]
  /** Only with images. */
  readonly time?: Forecast.Forecast
  /** Of a small head: the deviation of the features that it starts with, and the gradient that passes back through it. */
  readonly head?: {
    readonly start: Calibration.Config["kind"]
    readonly norm: SmallHead.Norm
    readonly blocks: number
    readonly scale: number
    readonly gradient: number
    /** Times the learning rate, for scale and shift of its last layer. */
    readonly rate: number
    /** The quietest and the loudest channel, where they were measured. */
    readonly range?: readonly [number, number]
  }
}

const headOf = ({ gan: { config }, start }: PreparedTarget.PreparedTarget): Pick<DryRun, "head"> =>
  config.architecture !== "gpgan-small-head" || start === undefined
    ? {}
    : {
        head: {
          start: start.kind,
          norm: SmallHead.normOf(config),
          blocks: config.head_blocks,
          scale: config.head_scale,
          gradient: config.head_gradient,
          rate: Calibration.rate(start, config),
          ...(start.kind === "calibrated" && {
            range: [Math.min(...start.deviation), Math.max(...start.deviation)] as const,
          }),
        },
      }

/** The number of images that a dry run without images assumes. */
const SUPPOSED = 100

export interface Photos extends Omit<PhotoCheck.PhotoCheck, "crops"> {
  /** Classes that the target would have. */
  readonly labels: number
  /** Whether so many pictures are broken that a transfer refuses the set. */
  readonly refused: boolean
}

/** What the images of a transfer hold. @param crops a picture to write: what the network would see of each */
export const photos = (
  {
    source,
    data,
    conditional,
    crops,
    ...selection
  }: ImageSelection.Options & {
    readonly source: string
    readonly data: string
    readonly conditional?: boolean
    readonly crops?: string
  },
  onProgress?: PhotoCheck.Options["onProgress"],
): TE.TaskEither<Failure.Failure, Photos> =>
  Failure.attempt(async () => {
    if (crops !== undefined) PictureFile.requireStill(crops)
    const size = (await Failure.orThrow(Model.open(source))).gan.image[0]
    return ImageSelection.use(data, selection, async (set) => {
      const labels = ImageSelection.labelsOf(set, conditional)
      const { crops: shown, ...check } = await Failure.orThrow(
        PhotoCheck.of(set, { size, ...(onProgress !== undefined && { onProgress }) }),
      )
      if (crops !== undefined && shown.length > 0)
        await Failure.orThrow(PictureFile.write(crops, Image.sheet(shown, { scale: size < 64 ? 2 : 1 })))
      const refused = DecodeMany.isRefused(set.names.length - check.used, set.names.length)
      return { ...check, labels, refused }
    })
  })

export interface Options extends TransferConfig.Options, Pick<TransferChecks.Given, "forHead">, Model.Notes {
  readonly size?: number
  readonly steps?: number
  /** Images and classes of the data, if there are any. */
  readonly images?: number
  readonly labels?: number
  /** The scores of the run: with them and with images, its time and its disk are measured. */
  readonly timed?: Pick<Forecast.Planned, "scoreCount" | "extractor" | "keepBytes"> & { readonly every?: number }
}

/** The time of the run; no images are read for it. */
const forecast = async (
  options: Options,
  { steps }: Defaults.Chosen,
  source: Model.Model,
  prepared: PreparedTarget.PreparedTarget,
  engine: Engine.Engine,
): Promise<Forecast.Forecast | undefined> => {
  const { images, timed } = options
  if (images === undefined || timed === undefined) return undefined
  const data = { path: "", sha256: "", images, classes: [] }
  const config = TransferConfig.of(options, source, prepared, data, engine)
  const { every = Training.everyOf(steps), ...scores } = timed
  return Forecast.of(config, prepared.networks, { steps, every, ...scores }, engine)
}

export const plan = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, DryRun> =>
  Failure.attempt(async () => {
    const source = await Failure.orThrow(
      Model.open(options.source, { raw: options.raw ?? false, onNote: options.onNote }),
    )
    const situation = TransferConfig.situationOf(source, options.images ?? SUPPOSED)
    TransferChecks.size(options, situation.size)
    ModelChannels.requirePhotographs(source.gan, options.source)
    const chosen = Defaults.resolve(options, situation)
    const { surgery, steps } = chosen
    const prepared = await PreparedTarget.of(source, { ...options, surgery, steps }, engine)
    TransferChecks.used(options, prepared)
    const nowhere = { path: "", sha256: "", images: situation.images, classes: [] }
    const config = TransferConfig.of(options, source, prepared, nowhere, engine)
    await TransferChecks.trainable(config, prepared, options.source)
    const { graft, recipe } = prepared
    const choices = Defaults.explain(options, chosen, situation, source.gan.config)
    const unused = { generator: graft.generator.unused, discriminator: graft.discriminator.unused }
    const warnings = TransferChecks.tooLate(prepared, steps)
    const time = await forecast(options, chosen, source, prepared, engine)
    return {
      recipe,
      steps,
      choices,
      plan: graft.counts,
      ...headOf(prepared),
      fates: Graft.table(graft),
      unused,
      warnings,
      ...(time !== undefined && { time }),
    }
  })
