/** The finished results of an experiment, and the numbers that claims and tables take from them. */
import type { Experiment, Measure, ProfileName, Variant } from "../declare/Experiment.ts"
import type * as CellRunner from "../run/CellRunner.ts"
import type { Entry, Plan } from "../run/ExperimentPlan.ts"
import type * as ReferenceScores from "./ReferenceScores.ts"
import * as Verdict from "./Verdict.ts"

export interface Results {
  readonly experiment: Experiment
  readonly profile: ProfileName
  readonly plan: Plan
  /** By the cell's id. */
  readonly results: ReadonlyMap<string, CellRunner.Result>
  /** By the target's name. */
  readonly floors: ReadonlyMap<string, ReferenceScores.References>
  readonly commit: string | null
}

/** The planned variants, in the experiment's order. */
export const variantsOf = ({ plan, experiment }: Results): readonly Variant[] => {
  const planned = new Set(plan.entries.map(({ variant }) => variant.id))
  return experiment.variants.filter(({ id }) => planned.has(id))
}

export const targetsOf = ({ plan }: Results): readonly string[] => [
  ...new Set(plan.entries.map(({ target }) => target.name)),
]

/** A variant's finished cells on one target, in the order of draws. */
export const doneOf = ({ plan, results }: Results, variant: string, target?: string): readonly CellRunner.Result[] =>
  plan.entries
    .filter((e) => e.variant.id === variant && (target === undefined || e.target.name === target))
    .flatMap(({ order }) => results.get(order.id) ?? [])

/** Finished cells of a target's first draw, in the order of variants. */
export const firstOf = (
  found: Results,
  target: string,
): readonly { readonly entry: Entry; readonly result: CellRunner.Result }[] =>
  variantsOf(found).flatMap(({ id }) => {
    const entry = found.plan.entries.find((e) => e.variant.id === id && e.target.name === target && e.seed === 0)
    const result = entry && found.results.get(entry.order.id)
    return result === undefined ? [] : [{ entry: entry!, result }]
  })

/** The label of a metric, from any result that has it. */
export const labelOf = ({ results }: Results, metric: string, otherwise: string): string =>
  [...results.values()].find(({ metrics }) => metric in metrics)?.metrics[metric]?.label ?? otherwise

export const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value)

/**
 * Preset levels of a target's curve, as multiples of the distance between the source's own images and photographs. (Until all draws
 * on flowers were done they were 0.5, 0.25 and 0.1; no variant reached those, so they separated nothing.)
 */
export const LEVELS = [2, 1, 0.5] as const

export const levelOf = ({ curve }: ReferenceScores.References, distance: number): number =>
  curve.pool + distance * (curve.source - curve.pool)

/** The first point of the curve at or below a level; `undefined` for never. */
export const reaches = (result: CellRunner.Result, level: number): CellRunner.Result["curve"][number] | undefined =>
  result.curve.find(({ kid }) => kid <= level)

const isArrival = (what: string): what is "steps" | "seconds" => what === "steps" || what === "seconds"

/** Where a cell's curve reaches the level that claims use. */
const arrives = (
  { floors, results }: Results,
  { target, order }: Entry,
): CellRunner.Result["curve"][number] | undefined => {
  const [floor, result] = [floors.get(target.name), results.get(order.id)]
  return floor && result && reaches(result, levelOf(floor, LEVELS[1]))
}

/** Seconds of training up to a step at the run's median speed, so that pauses do not count. */
export const secondsOf = ({ msPerStep }: CellRunner.Result, step: number): number => (msPerStep * step) / 1000

/** The step of arrival. "Never" counts as one checkpoint after the end, a lower bound. */
const arrival = (found: Results, entry: Entry, { curve }: CellRunner.Result): number | undefined => {
  if (!found.floors.has(entry.target.name)) return undefined
  const [last, before] = [curve.at(-1), curve.at(-2)]
  const beyond = last === undefined ? undefined : last.step + (last.step - (before?.step ?? 0))
  return arrives(found, entry)?.step ?? beyond
}

/** A measure of one cell. */
export const measure = (found: Results, entry: Entry, what: string): number | undefined => {
  const result = found.results.get(entry.order.id)
  if (result === undefined) return undefined
  if (isArrival(what)) {
    const step = arrival(found, entry, result)
    return step === undefined || what === "steps" ? step : secondsOf(result, step)
  }
  const value = result.metrics[what]?.value
  return isNumber(value) ? value : undefined
}

/** 95 % of a normal distribution lie within 1.96 deviations. */
const Z95 = 1.96

/** Standard deviation of a score over resampled images, from its bootstrap interval; 0 if it has none. */
export const noiseOf = (result: CellRunner.Result | undefined, what: string): number => {
  const interval = result?.metrics[what]?.interval as { readonly low: number; readonly high: number } | undefined
  return interval === undefined ? 0 : (interval.high - interval.low) / (2 * Z95)
}

/**
 * Standard deviation of the difference of two scores over resampled images. Where both recorded their resamples, a resample has the
 * same photographs and latents on both sides, so what they share cancels. Older cells have intervals only, which are added as if they
 * were independent: too much.
 */
export const pairNoise = (
  ours: CellRunner.Result | undefined,
  other: CellRunner.Result | undefined,
  what: string,
): number => {
  const [a, b] = [ours, other].map((result) => result?.metrics[what]?.resampled as readonly number[] | undefined)
  return a !== undefined && a.length === b?.length
    ? Math.sqrt(Verdict.variance(a.map((value, k) => b[k]! - value)))
    : Math.hypot(noiseOf(ours, what), noiseOf(other, what))
}

/** Whether all scores of a variant have a bootstrap interval. */
export const saysNoise = (found: Results, variant: string, what: string): boolean =>
  doneOf(found, variant).every(({ metrics }) => metrics[what]?.interval !== undefined)

const keyOf = ({ target, seed }: Entry): string => `${target.name}, ${seed}`

/** A variant's cells, by target and seed. */
const cellsOf = ({ plan }: Results, variant: string): ReadonlyMap<string, Entry> =>
  new Map(plan.entries.filter((e) => e.variant.id === variant).map((entry) => [keyOf(entry), entry]))

export const scoresOf = (found: Results, variant: string, what: Measure, target?: string): readonly number[] =>
  [...cellsOf(found, variant).values()]
    .filter((entry) => target === undefined || entry.target.name === target)
    .flatMap((entry) => measure(found, entry, what) ?? [])

/** The metrics that are KID in other features. */
export const opinionsOf = ({ results }: Results): readonly string[] =>
  [...new Set([...results.values()].flatMap(({ metrics }) => Object.keys(metrics)))].filter((name) =>
    name.startsWith("kid-"),
  )

type Asked = Omit<Experiment["claims"][number], "measure"> & { readonly measure: string }

/**
 * Judges a claim over all pairs of cells with the same target, draw and seed. A pair in which neither cell arrives at the level is
 * left out; if no other pair exists the claim is undecided.
 */
export const judge = (found: Results, { better, than, measure: what, higher }: Asked): Verdict.Judgement => {
  const others = cellsOf(found, than)
  const sign = higher ? -1 : 1
  const resultOf = ({ order }: Entry): CellRunner.Result | undefined => found.results.get(order.id)
  const made = [...cellsOf(found, better)].flatMap(([key, entry]) => {
    const rival = others.get(key)
    const [ours, other] = [measure(found, entry, what), rival && measure(found, rival, what)]
    if (ours === undefined || other === undefined) return []
    const tells = !isArrival(what) || [entry, rival!].some((one) => arrives(found, one) !== undefined)
    const noise = pairNoise(resultOf(entry), resultOf(rival!), what)
    return [{ ours: sign * ours, other: sign * other, noise, tells }]
  })
  const judged = Verdict.of(made.filter(({ tells }) => tells))
  return made.length > 0 && judged.pairs === 0 ? { ...judged, verdict: "undecided" } : judged
}
