/** Trains a GAN from scratch, or from an earlier model of the same architecture. */
import { Failure, Flat, Leaf } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import { type DiffAugment, Gan, Grow, ModelFolder, type State, type Step, Widen } from "@adafm/gan"
import { type Graft, Target, UnconditionalView } from "@adafm/transfer"
import type * as TE from "fp-ts/lib/TaskEither.js"
import type { z } from "zod"
import * as Habits from "../run/Habits.ts"
import * as ImageSelection from "../run/ImageSelection.ts"
import * as Model from "../run/Model.ts"
import * as ModelChannels from "../run/ModelChannels.ts"
import { RunConfig } from "../run/RunConfig.ts"
import * as Training from "../run/Training.ts"

export interface Options extends Training.Options, Training.Stabilisers, ImageSelection.Options {
  readonly data: string
  /** Configuration of an architecture; with `conditional` the number of labels comes from the data. */
  readonly config: Gan.Config
  readonly conditional?: boolean
  /** A model of the same architecture to start from; `config` may be wider by a whole factor, a GP-GAN's also of more pixels. */
  readonly from?: string
  readonly batch?: number
  readonly learningRate?: number
  readonly penaltyWeight?: number
  /** DiffAugment of what the discriminator sees. */
  readonly augment?: DiffAugment.Policy
}

/** R1's weight: 10 at 128 px in the paper, less in proportion to fewer pixels. */
export const penaltyWeight = (size: number, at128 = 10): number => at128 * (size / 128) ** 2

const everything = (leaves: Flat.Flat<Leaf.Leaf>): Step.Group => ({
  name: "all",
  from: 0,
  paths: Object.keys(Flat.filter(leaves, (_, { role }) => role === "parameter")),
})

/** Everything trains, from fresh values or from the earlier model's. */
const counts = ({ generator, discriminator }: Gan.Gan, fresh: number): Graft.Counts => {
  const total = Leaf.count(generator) + Leaf.count(discriminator)
  return { total, copied: total - fresh, fresh, frozen: 0, modulated: 0, trainable: total }
}

/** The model's networks for the classes of the data; if the model has none, every class starts with the same values. */
const withClasses = (model: Model.Model, { labels, config }: Gan.Gan, seed: number): State.Networks => {
  const [own, wanted] = [Gan.plain(model.gan.config), Gan.plain(config)]
  return model.gan.labels === labels || own.architecture !== "gpgan" || wanted.architecture !== "gpgan"
    ? model
    : UnconditionalView.of(own, model, { labels, embed: wanted.embed, seed })
}

interface Beginning {
  readonly networks: State.Networks
  /** Number of parameters that no earlier model gave. */
  readonly fresh: number
  /** What the run records of the earlier model. */
  readonly source?: RunConfig["source"]
}

const begin = async ({ from, seed, onNote, command = "npx adafm" }: Options, gan: Gan.Gan): Promise<Beginning> => {
  if (from === undefined) {
    const of = (net: Step.Net): State.Params => Leaf.initAll(gan[net], seed, net)
    const fresh = Leaf.count(gan.generator) + Leaf.count(gan.discriminator)
    return { networks: { generator: of("generator"), discriminator: of("discriminator") }, fresh }
  }
  const model = await Failure.orThrow(Model.open(from, { onNote }))
  if (model.modulation !== undefined)
    Failure.raise(
      "BadSource",
      `--from cannot start from a modulated run; fold its modulation first: ${command} export ${from} --checkpoint FILE, then import FILE`,
      { file: from },
    )
  const own = withClasses(model, gan, seed)
  const [small, large] = [Gan.plain(model.gan.config), Gan.plain(gan.config)]
  const isGrown = small.architecture === "gpgan" && large.architecture === "gpgan" && Grow.stages(small, large) > 0
  const sizes = isGrown ? { from: small, to: large } : undefined
  const enlarged = (net: Step.Net): State.Params => {
    try {
      const grown = sizes === undefined ? own[net] : Grow.params(own[net], gan[net], net, sizes, seed)
      return Widen.params(grown, gan[net], seed)
    } catch (thrown) {
      return Failure.raise("WrongParameters", Failure.fromThrown(thrown).message, { file: from, path: net })
    }
  }
  const networks = { generator: enlarged("generator"), discriminator: enlarged("discriminator") }
  const isWider = Leaf.count(gan.generator) > Leaf.count(model.gan.generator)
  const recipe = isGrown ? "grown" : isWider ? "widened" : "continued"
  const nets = ["generator", "discriminator"] as const
  const fresh =
    sizes === undefined ? 0 : nets.reduce((sum, net) => sum + Leaf.count(Grow.added(gan[net], net, sizes)), 0)
  return { networks, fresh, source: { path: from, sha256: Model.fingerprint(model), recipe } }
}

export interface Outcome extends Training.Outcome {
  readonly plan: Graft.Counts
}

export const run = (options: Options, engine: Engine.Engine): TE.TaskEither<Failure.Failure, Outcome> =>
  Failure.attempt(async () => {
    ImageSelection.keepApart(options)
    return ImageSelection.use(options.data, options, async (set) => {
      const { seed } = options
      const wanted = options.config
      const labels = ImageSelection.labelsOf(set, options.conditional)
      const gan = Gan.of(labels > 1 ? Target.of(wanted, {}, labels) : wanted)
      const { networks, fresh, source } = await begin(options, gan)
      const habits = Habits.of(gan.config.architecture)
      const { batch = habits.batch, learningRate = habits.learningRate, augment = habits.augment } = options
      const pipeline = await Training.read(
        set,
        { size: gan.image[0], channels: ModelChannels.of(gan), batch, seed },
        options,
      )
      const config = RunConfig.parse({
        kind: "pretrain",
        model: ModelFolder.describe(gan),
        ...(source !== undefined && { source }),
        trainable: { generator: [everything(gan.generator)], discriminator: [everything(gan.discriminator)] },
        data: await ImageSelection.describe(set, options, pipeline.count, options.onImages),
        seed,
        batch,
        learningRate: { generator: learningRate, discriminator: learningRate },
        ...habits.training,
        penalty:
          options.penaltyWeight === undefined && !habits.penalty
            ? { mode: "none", weight: 0 }
            : { mode: "real", weight: options.penaltyWeight ?? penaltyWeight(gan.image[0]) },
        ...(augment.length > 0 && { augment }),
        ...Training.stabilisers(options, { thousands: 500 }),
        ema: { decay: 0.999, ramp: true },
        ...Training.engineOf(engine),
      } satisfies z.input<typeof RunConfig>)
      return { ...(await Training.run(config, networks, pipeline, set, engine, options)), plan: counts(gan, fresh) }
    })
  })
