/** A surgery of a cell carried out: the plan for a transfer, and the source with its low groups as the cell wants them. */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { Failure, Flat, NdArray, Rng } from "@adafm/core"
import { type Gan, ModelFolder, type State, type Step } from "@adafm/gan"
import type { Model } from "@adafm/job"
import { Groups, Plan, Recipe } from "@adafm/transfer"
import * as E from "fp-ts/lib/Either.js"
import type { Network, Surgery } from "../declare/Cell.ts"

const nets = ["generator", "discriminator"] as const satisfies readonly Step.Net[]

type Config = Model.Model["description"]["config"]

/** What stands against a surgery on this source, if anything. */
export const obstacle = ({ head, recipe, ...surgery }: Surgery, source: Config): string | undefined => {
  if (recipe !== undefined) {
    const plan = Recipe.plan(recipe, Recipe.target(source, { head }))
    return E.isLeft(plan) ? plan.left.message : undefined
  }
  if (head === "small" && source.architecture !== "gpgan")
    return `the small head stands above GP-GAN's groups, the source is a ${source.architecture}`
  const config = Recipe.target(source, { head })
  const short = nets.find((net) => surgery[net].keep > Groups.of(config, net).groups.length)
  return short === undefined ? undefined : `the ${short} has ${Groups.of(config, short).groups.length} groups to keep`
}

const lowPatterns = (config: Config, net: Step.Net, keep: number): readonly string[] =>
  Groups.of(config, net)
    .groups.slice(0, keep)
    .flatMap(({ patterns, filters }) => [...patterns, ...filters])

/** The rules that keep a network's low groups, changed where the cell departs from them. */
const rulesOf = (
  config: Config,
  net: Step.Net,
  { keep, low, moves, rest, top }: Network,
  unfreezeAt: number,
): readonly Plan.Rule[] => {
  if (keep === 0 && rest === "fresh") return Plan.fresh
  const isModulated = moves === "modulated"
  const counts = net === "generator" ? { m: keep, n: 0 } : { m: 0, n: keep }
  const plan = Recipe.keep(
    { ...counts, ...(isModulated && { modulation: { kind: "adafm" } }), trainNorms: true },
    config,
    {
      copy: rest === "copied" ? "whole body" : "only frozen",
      unfreezeAt,
      modulateD: isModulated,
      top: rest === "fresh" ? "fresh" : top,
    },
  )
  if (E.isLeft(plan)) throw new Failure.Raised(plan.left)
  const isLow = new Set(lowPatterns(config, net, keep))
  return plan.right[net].map((rule) => {
    if (!isLow.has(rule.paths)) return rule
    const value = low === "fresh" ? "fresh" : rule.value
    return moves === "trained" ? { paths: rule.paths, value, fate: "train" as const } : { ...rule, value }
  })
}

/** What becomes of every parameter of the target. */
export const plan = (
  { head, modulation, ...surgery }: Surgery,
  source: Config,
  { unfreezeAt = 0, conditional = false }: { readonly unfreezeAt?: number; readonly conditional?: boolean },
): Plan.Plan => {
  // one class or several: how many makes no difference to a plan
  const config = Recipe.target(source, { head, labels: conditional ? 2 : 1 })
  return Plan.Plan.parse({
    generator: rulesOf(config, "generator", surgery.generator, unfreezeAt),
    discriminator: rulesOf(config, "discriminator", surgery.discriminator, unfreezeAt),
    ...(modulation !== undefined && { modulation }),
  })
}

/** The filters of a network that a plan modulates. */
export const modulated = (plan: Plan.Plan, gan: Gan.Gan, net: Step.Net): readonly Flat.Path[] => {
  const find = Plan.find(plan[net])
  return Object.keys(gan[net]).filter((path) => find(path)?.rule.fate === "modulate")
}

type Array32 = NdArray.NdArray<"float32">

/** Normal values with the tensor's own mean and deviation. */
const matched = (key: Rng.Key, { shape, data }: Array32): Array32 => {
  const mean = data.reduce((sum, v) => sum + v, 0) / data.length
  const variance = data.reduce((sum, v) => sum + (v - mean) ** 2, 0) / data.length
  return Rng.normal(key, shape, mean, Math.sqrt(variance))
}

/** The kernels of a convolution `[a, b, kh, kw]` in another order; other tensors stay. */
const shuffled = (key: Rng.Key, array: Array32): Array32 => {
  if (array.shape.length !== 4) return array
  const [a = 0, b = 0, kh = 1, kw = 1] = array.shape
  const out = new Float32Array(array.data.length)
  Rng.permutation(key, a * b).forEach((from, to) => {
    out.set(array.data.subarray(from * kh * kw, (from + 1) * kh * kw), to * kh * kw)
  })
  return NdArray.float32(array.shape, out)
}

const altered = (source: Model.Model, net: Step.Net, { keep, low }: Network, seed: number): State.Params => {
  const change = low === "matched" ? matched : low === "shuffled" ? shuffled : undefined
  if (change === undefined) return source[net]
  const patterns = lowPatterns(source.description.config, net, keep).map(Plan.pattern)
  return Flat.map(source[net], (array, path) =>
    patterns.some((p) => p.test(path)) ? change(Rng.at(seed, `experiments/${low}/${net}/${path}`), array) : array,
  )
}

/** The path of the source that a transfer reads: the given one, or a changed copy under `folder`. */
export const sourceFor = async (
  source: Model.Model,
  surgery: Surgery,
  seed: number,
  folder: string,
): Promise<string> => {
  const { generator, discriminator } = surgery
  const changes = [generator, discriminator].some(({ low }) => low === "matched" || low === "shuffled")
  if (!changes) return source.path
  const copy = join(folder, "source")
  if (existsSync(join(copy, "model.json"))) return copy
  const networks = {
    generator: altered(source, "generator", generator, seed),
    discriminator: altered(source, "discriminator", discriminator, seed),
  }
  await Failure.orRaise(ModelFolder.write(copy, source.description, networks))
  return copy
}
