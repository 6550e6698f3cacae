/** A cell's surgery as a transfer takes it, the plan that comes of it, and what makes it impossible for a source. */
import { Failure, type Flat } from "@adafm/core"
import type { Gan, Step } from "@adafm/gan"
import { FreezeRules, Plan, Recipe, type Surgery, Target } from "@adafm/transfer"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import type * as Cell from "../declare/Cell.ts"

/** What of a training decides its plan. */
export type Decided = Pick<Cell.Training, "surgery" | "conditional"> & {
  readonly schedule: Pick<Cell.Schedule, "unfreezeAt">
}

/** A cell that names no norm is of the first version of the calibrated graft, and stays so. */
const graftOf = ({ graft, headNorm }: Surgery.Surgery): Pick<Surgery.Given, "graft"> =>
  graft === "calibrated" && headNorm === undefined ? { graft: "overall" } : {}

/** Where a recipe is named it decides in place of the networks' settings. */
export const given = ({ surgery, schedule }: Pick<Decided, "surgery" | "schedule">): Surgery.Given => {
  const { generator, discriminator, head, modulation, ...named } = surgery
  return surgery.recipe === undefined
    ? { ...surgery, ...graftOf(surgery), unfreezeAt: schedule.unfreezeAt ?? 0 }
    : named
}

const planned = (decided: Decided, source: Gan.Config): E.Either<Failure.Failure, Plan.Plan> =>
  pipe(
    Recipe.settle(given(decided), source),
    E.flatMap((surgery) =>
      FreezeRules.plan(
        surgery,
        // how many classes makes no difference to a plan, only whether there are several
        Target.of(source, Target.shapeOf(surgery), decided.conditional ? 2 : 1),
        surgery.unfreezeAt === undefined ? {} : { unfreezeAt: surgery.unfreezeAt },
      ),
    ),
  )

/** What becomes of every parameter of the target. */
export const plan = (decided: Decided, source: Gan.Config): Plan.Plan => Failure.orThrow(planned(decided, source))

/** Why a surgery is impossible on a source of this architecture, if it is. */
export const obstacle = (surgery: Surgery.Surgery, source: Gan.Config): string | undefined => {
  try {
    const found = planned({ surgery, schedule: {}, conditional: false }, source)
    return E.isLeft(found) ? found.left.message : undefined
  } catch (thrown) {
    return Failure.fromThrown(thrown).message
  }
}

/** The filters of a network that a plan modulates. */
export const modulated = (plan: Plan.Plan, gan: Gan.Gan, net: Step.Net): readonly Flat.Path[] => {
  const find = Plan.find(plan[net])
  return Object.keys(gan[net]).filter((path) => find(path)?.rule.fate === "modulate")
}
