/** The plan of a recipe for a target of this architecture; its first and last layers are new unless a test says otherwise. */
import type { Failure } from "@adafm/core"
import type { Gan } from "@adafm/gan"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as FreezeRules from "../../src/surgery/FreezeRules.ts"
import type * as Plan from "../../src/surgery/Plan.ts"
import * as Recipe from "../../src/surgery/Recipe.ts"
import * as Surgery from "../../src/surgery/Surgery.ts"

const top = { top: "fresh" } as const

/**
 * @param both what is asked of either network
 * @param given what is asked of one, and when a modulation begins
 * @param options of the rules
 */
export const planOf = (
  recipe: string,
  target: Gan.Config,
  both: Surgery.Given["generator"] = {},
  given: Surgery.Given = {},
  options: FreezeRules.Options = {},
): E.Either<Failure.Failure, Plan.Plan> =>
  pipe(
    Recipe.settle(
      Surgery.merge({ generator: { ...top, ...both }, discriminator: { ...top, ...both } }, { recipe, ...given }),
      target,
    ),
    E.flatMap((surgery) =>
      FreezeRules.plan(surgery, target, {
        ...options,
        ...(surgery.unfreezeAt !== undefined && { unfreezeAt: surgery.unfreezeAt }),
      }),
    ),
  )
