/** From an experiment and a profile to orders: sources and targets are opened, every cell gets its name. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Failure, Leaf } from "@adafm/core"
import { Gan, ModelFolder } from "@adafm/gan"
import { Model, Weights } from "@adafm/job"
import { Extractor } from "@adafm/metrics"
import * as Cell from "./Cell.ts"
import type { Experiment, Profile, ProfileName, Variant } from "./Experiment.ts"
import * as Operation from "./Operation.ts"
import type * as Runner from "./Runner.ts"
import * as Target from "./Target.ts"

export interface Choices {
  readonly profile: ProfileName
  readonly data?: string
  readonly source?: string
  readonly seeds?: number
  readonly extractor?: string
  /** Variants by name. */
  readonly only?: readonly string[]
}

export interface Entry {
  readonly variant: Variant
  readonly seed: number
  readonly order: Runner.Order
  /** Name and hashes of the target. */
  readonly target: Target.Target
}

export interface Plan {
  readonly profile: Profile
  readonly source: { readonly path: string; readonly sha256: string; readonly config: Gan.Config }
  readonly entries: readonly Entry[]
  /** Variants that ask for more groups than the source has. */
  readonly impossible: readonly string[]
}

const BUILTIN = "builtin:cifar32-small"
const PHOTOGRAPHS = join("..", "shared", "data", "flowers", "flowers.zip")

/** Seconds-long experiments need a network, not a trained one. */
const tinySource = async (): Promise<string> => {
  const folder = join("runs", "sources", "tiny")
  const gan = Gan.of({ architecture: "gpgan", resolution: 16, nf: 4, nf_max: 8, z_dim: 8, embed: 4, nlabels: 3 })
  await Failure.orRaise(
    ModelFolder.write(folder, ModelFolder.describe(gan), {
      generator: Leaf.initAll(gan.generator, 0, "generator"),
      discriminator: Leaf.initAll(gan.discriminator, 0, "discriminator"),
    }),
  )
  return folder
}

const missing = (what: string, profile: ProfileName): never =>
  Failure.raise("BadArguments", `profile ${profile} has no ${what} of its own; name one with --${what}`)

const sourceOf = async ({ source, profile }: Choices, own: Profile["source"]): Promise<string> =>
  source ?? (own === "tiny" ? tinySource() : own === "default" ? BUILTIN : missing("source", profile))

const dataOf = ({ data, profile }: Choices, own: Profile["data"], size: number): string => {
  const drawn = `drawn:flowers?size=${size}`
  if (data !== undefined) return data
  if (own === undefined) return missing("data", profile)
  return own === "default" && existsSync(PHOTOGRAPHS) ? PHOTOGRAPHS : drawn
}

export const make = async (experiment: Experiment, choices: Choices): Promise<Plan> => {
  const profile = experiment.profiles[choices.profile]
  const names = choices.only ?? profile.variants ?? experiment.variants.map(({ id }) => id)
  const unknown = names.find((name) => !experiment.variants.some(({ id }) => id === name))
  if (unknown !== undefined)
    Failure.raise(
      "BadArguments",
      `no variant is called ${unknown}; there are ${experiment.variants.map((v) => v.id).join(", ")}`,
    )
  const path = await sourceOf(choices, profile.source)
  const model = await Failure.orRaise(Model.open(path))
  const { config } = model.description
  const sha256 = Operation.fingerprint(model)
  const data = dataOf(choices, profile.data, model.gan.image[0])
  const wanted = choices.extractor ?? profile.score.extractor
  const extractor = wanted === "best" ? Extractor.best({ folders: Weights.folders() }) : wanted

  const chosen = experiment.variants.filter(({ id }) => names.includes(id))
  const possible = chosen.filter(({ surgery }) => Operation.isPossible(surgery, config))
  const entries: Entry[] = []
  for (let seed = 0; seed < (choices.seeds ?? profile.seeds); seed++) {
    const target = await Target.open(data, seed, profile.images)
    for (const variant of possible) {
      const cell = Cell.Cell.parse({
        surgery: variant.surgery,
        schedule: { ...profile.schedule, ...variant.schedule },
        score: { ...profile.score, extractor },
        ...{ source: sha256, data: target.hashes.train, heldOut: target.hashes.heldOut, seed },
      })
      const { reference, train, heldOut } = target
      const places = { data, reference, train: [...train], heldOut: [...heldOut] }
      const order = { id: Cell.id(cell), title: `${variant.title}, seed ${seed}`, cell, source: path, places }
      entries.push({ variant, seed, target, order })
    }
  }
  return {
    profile,
    source: { path, sha256, config },
    entries,
    impossible: chosen.filter((v) => !possible.includes(v)).map(({ id }) => id),
  }
}
