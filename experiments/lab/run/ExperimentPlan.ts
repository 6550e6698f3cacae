/** Turns an experiment and a profile into cells to run: opens sources and targets, and names every cell. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Failure } from "@adafm/core"
import { Gan } from "@adafm/gan"
import { WeightFolders } from "@adafm/job"
import { Embedded, Extractor } from "@adafm/metrics"
import { Surgery } from "@adafm/transfer"
import * as Cell from "../declare/Cell.ts"
import type { Experiment, Profile, ProfileName, Variant } from "../declare/Experiment.ts"
import * as CifarResNet from "../material/CifarResNet.ts"
import * as FeatureExtractors from "../material/FeatureExtractors.ts"
import * as SourceModel from "../material/SourceModel.ts"
import * as TargetImages from "../material/TargetImages.ts"
import type * as CellRunner from "./CellRunner.ts"
import * as CellSurgery from "./CellSurgery.ts"

export interface Choices {
  readonly profile: ProfileName
  /** Targets instead of the profile's: `flowers`, `horse`, `ship`, `drawn`, `PATH` or `PATH#class`. */
  readonly data?: readonly string[]
  readonly source?: string
  readonly seeds?: number
  readonly extractor?: string
}

export interface Entry {
  readonly variant: Variant
  readonly seed: number
  readonly order: CellRunner.Order
  readonly target: TargetImages.Target
}

/** A variant that cannot be run here, and why. */
export interface Missing {
  readonly variant: Variant
  readonly reason: string
}

export interface Plan {
  readonly profile: Profile
  readonly source: SourceModel.Source
  readonly entries: readonly Entry[]
  readonly missing: readonly Missing[]
}

const BUILTIN = "builtin:cifar32-small"
const shared = (...parts: readonly string[]): string => join("..", "shared", "data", ...parts)

/** The targets in the shared data. */
const TARGETS = {
  flowers: { path: shared("flowers", "flowers.zip") },
  horse: { path: shared("cifar10", "train.zip"), only: "horse" },
  ship: { path: shared("cifar10", "train.zip"), only: "ship" },
} as const

const missing = (what: string, profile: ProfileName): never =>
  Failure.raise("BadArguments", `profile ${profile} has no default ${what}; name one with --${what}`)

const sourceOf = async ({ source, profile }: Choices, own: Profile["source"]): Promise<string> =>
  source ?? (own === "tiny" ? SourceModel.tiny() : own === "default" ? BUILTIN : missing("source", profile))

const isKnown = (name: string): name is keyof typeof TARGETS => Object.hasOwn(TARGETS, name)

const targetOf = (name: string, size: number): string => {
  if (name === "drawn") return `drawn:flowers?size=${size}`
  if (!isKnown(name)) return name
  const { path, ...rest } = TARGETS[name]
  if (!existsSync(path))
    Failure.raise("BadArguments", `the images of ${name} are missing (${path}); name others with --data`)
  return "only" in rest ? `${path}#${rest.only}` : path
}

/** The source of a variant that names one: `@STEP` is another step of the given run, anything else a path. */
const sourceFor = (given: string, own: string): string =>
  own.startsWith("@") ? `${given.replace(/@\d+$/, "")}${own}` : own

/** Why a variant cannot be made from a source, or `undefined`. */
const obstacle = ({ needs, surgery, lesson }: Variant, config: Gan.Config): string | undefined => {
  if (needs !== undefined) return needs
  if (lesson?.start === "resnet-20" && !CifarResNet.isHere("resnet-20"))
    return "the ResNet for CIFAR-10 is in the shared data, and that file is missing"
  return CellSurgery.obstacle(surgery, config)
}

const once = <A>(make: (key: string) => Promise<A>): ((key: string) => Promise<A>) => {
  const known = new Map<string, Promise<A>>()
  return (key) => {
    const found = known.get(key) ?? make(key)
    known.set(key, found)
    return found
  }
}

/** For each target, the variants that claims compare come first, with all their draws. */
const ranked = ({ claims }: Experiment, entries: readonly Entry[]): readonly Entry[] => {
  const claimed = new Set(claims.flatMap(({ better, than }) => [better, than]))
  const targets = [...new Set(entries.map(({ target }) => target.name))]
  return targets.flatMap((name) => {
    const own = entries.filter(({ target }) => target.name === name)
    return [true, false].flatMap((first) => own.filter(({ variant }) => claimed.has(variant.id) === first))
  })
}

export const make = async (experiment: Experiment, choices: Choices): Promise<Plan> => {
  const profile = experiment.profiles[choices.profile]
  const variants = experiment.variants.filter(({ id }) => profile.variants?.includes(id) ?? true)
  const given = await sourceOf(choices, profile.source)
  const openSource = once(SourceModel.open)
  const source = await openSource(given)
  const size = Gan.of(source.config).image[0]
  const data = choices.data ?? profile.targets ?? missing("data", choices.profile)
  const paths = data.map((name) => targetOf(name, size))
  const wanted = choices.extractor ?? profile.score.extractor
  const extractor = wanted === "best" ? Extractor.best({ folders: WeightFolders.all() }) : wanted
  const { curve, second } = profile.score
  const score = {
    ...profile.score,
    extractor,
    curve: FeatureExtractors.isHere(curve) ? curve : Embedded.NAME,
    second: second.filter(FeatureExtractors.isHere),
  }
  const openTarget = once((key) => {
    const { path, ...options } = JSON.parse(key) as TargetImages.Options & { readonly path: string }
    return TargetImages.open(path, options)
  })
  /** The variant's source, or the reason why there is none. */
  const ownOf = async ({ source: own }: Variant): Promise<SourceModel.Source | string> => {
    if (own === undefined) return source
    if (own.startsWith("@") && source.step === undefined) return "the source is not a run, so it has no other steps"
    try {
      return await openSource(sourceFor(given, own))
    } catch (thrown) {
      return Failure.fromThrown(thrown).message
    }
  }
  const entries: Entry[] = []
  const refused = new Map<string, Missing>()
  for (const path of paths)
    for (let seed = 0; seed < (choices.seeds ?? profile.seeds); seed++)
      for (const variant of variants) {
        const own = await ownOf(variant)
        const reason = typeof own === "string" ? own : obstacle(variant, own.config)
        if (typeof own === "string" || reason !== undefined) {
          refused.set(variant.id, { variant, reason: reason! })
          continue
        }
        const { images = profile.images, perClass } = variant
        const amount = perClass !== undefined ? { perClass } : images === "all" ? {} : { images }
        const target = await openTarget(JSON.stringify({ path, draw: seed, count: score.count, ...amount }))
        const { places } = target
        const training = Cell.Training.parse({
          surgery: Surgery.settled(
            profile.asAuthors ? Cell.asAuthors(variant.surgery) : variant.surgery,
            Surgery.stages(own.config),
          ),
          schedule: { ...profile.schedule, ...variant.schedule },
          ...(perClass !== undefined && { conditional: true }),
          source: own.sha256,
          data: places.train.sha256,
          seed,
        })
        const { lesson } = variant
        const cell = Cell.Cell.parse({
          training: Cell.resolved(training, size),
          score: { ...score, ...variant.score },
          ...(lesson !== undefined && { lesson: { ...lesson, ...profile.lesson } }),
          choosing: places.choosing.sha256,
          reporting: places.reporting.sha256,
        })
        const title = `${target.name}, ${variant.title}, seed ${seed}`
        entries.push({ variant, seed, target, order: { id: Cell.id(cell), title, cell, source: own.path, places } })
      }
  return { profile, source, entries: ranked(experiment, entries), missing: [...refused.values()] }
}
