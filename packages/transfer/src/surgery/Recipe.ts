/**
 * Surgeries by name. `gMdN` keeps m groups of the generator and n of the discriminator, counted from the image, and freezes them;
 * `gMdN-adafm` also modulates the generator's frozen filters; `gMdN-random` and `gMdN-shuffled` keep the statistics of the source's
 * filters only. `adafm` is the default of this project, `adafm-25` the authors' protocol for 25 images, `scratch` keeps nothing.
 * Other published methods have the names of `@adafm/baselines`.
 */
import { RandomisedFilters, Recipes, type Regularisation } from "@adafm/baselines"
import { Failure } from "@adafm/core"
import { Gan, type GradientPenalty, type Step } from "@adafm/gan"
import * as E from "fp-ts/lib/Either.js"
import { pipe } from "fp-ts/lib/function.js"
import * as Groups from "./Groups.ts"
import * as Surgery from "./Surgery.ts"

const suffixes = ["adafm", ...RandomisedFilters.KINDS] as const
const LITERAL = new RegExp(`^g(\\d+)d(\\d+)(?:-(${suffixes.join("|")}))?$`)

/** The recipes of this project, which the paper's small head belongs to. */
const isOurs = (name: string): boolean => name === "adafm" || name === "adafm-25"

const fresh = { keep: 0, rest: "fresh" } as const satisfies Surgery.Given["generator"]

/** The surgery that a name means for a source of this architecture. */
const decisions = (name: string, source: Gan.Config): E.Either<Failure.Failure, Surgery.Given> => {
  const count = (net: Step.Net): number => Groups.of(source, net).groups.length
  const [G, D] = [count("generator"), count("discriminator")]
  if (name === "scratch") return E.right({ generator: fresh, discriminator: fresh })
  if (isOurs(name)) {
    // a small head leaves exactly the groups that are kept; elsewhere the two at the lowest resolutions stay free
    const { architecture } = Gan.plain(source)
    const m = architecture === "gpgan-small-head" || architecture === "dcgan" ? G : Math.min(4, G - 2)
    const hasSmallHead = source.architecture === "gpgan" || source.architecture === "gpgan-small-head"
    return E.right({
      generator: { keep: m, moves: "modulated" },
      discriminator: { keep: Math.min(name === "adafm-25" ? D - 1 : 2, D), norms: "frozen" },
      ...(hasSmallHead && { head: "small" }),
      ...(name === "adafm-25" && { zDim: 4 }),
    })
  }
  const published = Recipes.of(name)
  if (published !== undefined) {
    const { generator, discriminator } = published.keep({ generator: G, discriminator: D })
    return E.right({
      generator: { keep: generator },
      discriminator: { keep: discriminator },
      ...(published.minerSteps !== undefined && { miner: true, unfreezeAt: published.minerSteps }),
    })
  }
  const [, m, n, suffix] = LITERAL.exec(name) ?? []
  if (m === undefined)
    return E.left(
      Failure.make(
        "BadRecipe",
        `no recipe is called ${name}; there are adafm, adafm-25, gMdN, ${suffixes.map((s) => `gMdN-${s}`).join(", ")}, scratch, ${Recipes.names.join(", ")}`,
      ),
    )
  const low = RandomisedFilters.KINDS.find((kind) => kind === suffix)
  const both = { norms: "frozen", ...(low !== undefined && { low }) } as const
  return E.right({
    generator: { keep: Number(m), ...both, ...(suffix === "adafm" && { moves: "modulated" }) },
    discriminator: { keep: Number(n), ...both },
  })
}

/**
 * A surgery with everything decided: the recipe's decisions for a source of this architecture, and what is given in place of them.
 * @returns `BadRecipe` where no recipe has the name
 */
export const settle = (given: Surgery.Given, source: Gan.Config): E.Either<Failure.Failure, Surgery.Settled> => {
  const { recipe } = given
  return pipe(
    recipe === undefined ? E.right({}) : decisions(recipe, source),
    E.map((named): Surgery.Settled => {
      // naming a modulation switches it on
      const moves = given.modulation === undefined ? {} : { generator: { moves: "modulated" } as const }
      const merged = Surgery.merge(Surgery.merge(named, moves), given)
      const networks = recipe === "scratch" ? { generator: fresh, discriminator: fresh } : {}
      return Surgery.settled(Surgery.Surgery.parse({ ...merged, ...networks }), Surgery.stages(source))
    }),
  )
}

/** What a recipe adds to training. */
export interface Training {
  /** The gradient penalty at 128 px. */
  readonly penalty?: GradientPenalty.Config
  /** What holds trained parameters near the source's. */
  readonly regularise?: Regularisation.Config
}

/** For 25 images fakes are penalised too, all twice as much. */
export const training = (name: string | undefined): Training => {
  const regularise = name === undefined ? undefined : Recipes.of(name)?.regularise
  return {
    ...(name === "adafm-25" && { penalty: { mode: "real_fake", weight: 20 } as const }),
    ...(regularise !== undefined && { regularise }),
  }
}
