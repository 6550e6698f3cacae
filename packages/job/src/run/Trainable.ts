/** Which parameters train under a surgery whose source is the network itself: for recorded trainings and benchmarks. */
import { Failure } from "@adafm/core"
import type { Gan, Step } from "@adafm/gan"
import { FreezeRules, Graft, Plan, Recipe, type Surgery } from "@adafm/transfer"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"

/** If any group of the generator is frozen, the authors' code freezes its embedding too, also with several classes. */
const withEmbedding = (plan: Plan.Plan, { generator }: Surgery.Settled): Plan.Plan =>
  generator.keep === 0
    ? plan
    : { ...plan, generator: [Plan.Rule.parse({ paths: "embedding.*", fate: "freeze" }), ...plan.generator] }

export const of = (gan: Gan.Gan, given: Surgery.Given): Pick<Step.Setup, "trainable" | "modulation"> => {
  const graft = pipe(
    Recipe.settle(given, gan.config),
    E.flatMap((surgery) =>
      pipe(
        FreezeRules.plan(surgery, gan.config, { unfreezeAt: surgery.unfreezeAt ?? 0, keepsHead: true }),
        E.flatMap((plan) => Graft.prepare(gan, withEmbedding(plan, surgery), gan)),
      ),
    ),
  )
  const { generator, discriminator } = Failure.orThrow(graft)
  return {
    trainable: { generator: generator.trainable, discriminator: discriminator.trainable },
    ...(generator.modulation !== undefined && { modulation: { generator: generator.modulation } }),
  }
}
