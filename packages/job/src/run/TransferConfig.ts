/** The configuration of a transfer's run: everything that decides its numbers, resolved. */
import type * as Engine from "@adafm/engine"
import { Gan, type Step } from "@adafm/gan"
import { PreparedTarget, Recipe } from "@adafm/transfer"
import type { z } from "zod"
import * as Defaults from "./Defaults.ts"
import * as Habits from "./Habits.ts"
import * as Model from "./Model.ts"
import { RunConfig } from "./RunConfig.ts"
import * as Training from "./Training.ts"
import type * as TransferChecks from "./TransferChecks.ts"

export interface Options
  extends Omit<Defaults.Given, "ada" | "surgery">,
    Training.Stabilisers,
    Omit<TransferChecks.Given, "forHead"> {
  /** A model folder or a run. */
  readonly source: string
  /** Take the source run's generator itself, not its moving average. */
  readonly raw?: boolean
  readonly seed: number
  /** The moving average's decay is 0.999 from the first step, as in the paper, instead of growing towards it. */
  readonly constantEma?: boolean
}

/** The filters that are modulated, as a run remembers them. */
const modulationOf = ({
  graft,
  plan,
}: PreparedTarget.PreparedTarget): Pick<z.input<typeof RunConfig>, "modulation"> => {
  const filters = (net: Step.Net): readonly string[] =>
    Object.values(graft[net].fates).flatMap(({ path, moves }) => (moves === "modulated" ? [path] : []))
  const [weights, discriminator] = [filters("generator"), filters("discriminator")]
  if (weights.length + discriminator.length === 0) return {}
  return { modulation: { config: plan.modulation, weights, ...(discriminator.length > 0 && { discriminator }) } }
}

/** The trainable groups, with the learning rate of the modulation's parameters multiplied by `rate`. */
const rated = (
  groups: readonly Step.Group[],
  modulation: Step.Modulation | undefined,
  rate: number,
): RunConfig["trainable"]["generator"] =>
  groups.flatMap(({ name, paths, from, factor = 1 }) => {
    const isOwn = (path: string): boolean => modulation !== undefined && path in modulation.leaves
    const [own, others] = [paths.filter(isOwn), paths.filter((path) => !isOwn(path))]
    return [
      ...(others.length > 0 ? [{ name, paths: others, from, factor }] : []),
      ...(own.length > 0 ? [{ name: `modulation, ${name}`, paths: own, from, factor: factor * rate }] : []),
    ]
  })

/** What decides the settings that were not given. */
export const situationOf = ({ gan }: Pick<Model.Model, "gan">, images: number): Defaults.Situation => ({
  images,
  size: gan.image[0],
  architecture: Gan.plain(gan.config).architecture,
})

/** Everything that decides the numbers of a run, resolved. */
export const of = (
  options: Options,
  source: Model.Model,
  prepared: PreparedTarget.PreparedTarget,
  data: RunConfig["data"],
  engine: Engine.Engine,
): RunConfig => {
  const { description, graft, start } = prepared
  const { modulationRate = 1, seed } = options
  const { batch, learningRate, penalty, augment } = Defaults.resolve(options, situationOf(source, data.images))
  const { regularise } = Recipe.training(prepared.recipe)
  return RunConfig.parse({
    kind: "transfer",
    model: description,
    ...modulationOf(prepared),
    trainable: {
      generator: rated(graft.generator.trainable, graft.generator.modulation, modulationRate),
      discriminator: rated(graft.discriminator.trainable, graft.discriminator.modulation, modulationRate),
    },
    source: {
      path: options.source,
      sha256: Model.fingerprint(source),
      recipe: prepared.recipe,
      ...(options.raw === true && source.step !== undefined && { raw: true }),
      decided: prepared.surgery,
      surgery: prepared.origins,
      ...(start !== undefined && { graft: start }),
    },
    data,
    seed,
    batch,
    learningRate: { generator: learningRate, discriminator: learningRate },
    ...Habits.of(source.gan.config.architecture).training,
    penalty,
    ...(augment.length > 0 && { augment }),
    ...Training.stabilisers(options, { thousands: 100 }),
    ...(regularise !== undefined && {
      regularise: {
        config: { ...regularise, weight: options.regulariserWeight ?? regularise.weight },
        anchored: PreparedTarget.anchored(graft),
      },
    }),
    ema: { decay: 0.999, ramp: options.constantEma !== true },
    ...Training.engineOf(engine),
  })
}
