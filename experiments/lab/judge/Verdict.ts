/** What paired scores say about a claim "this one is lower than that one". */
import { Rng } from "@adafm/core"

export const VERDICTS = ["holds", "contradicted", "undecided", "not-tested"] as const
export type Verdict = (typeof VERDICTS)[number]

export interface Judgement {
  readonly verdict: Verdict
  /** Mean of `other - ours`: positive is in the claim's favour. */
  readonly effect: number | null
  /** Of the effect: the pairs' own spread and the noise of their scores. */
  readonly deviation: number | null
  /** Of the effect, over resampled pairs: 95 %. */
  readonly interval: readonly [low: number, high: number] | null
  readonly pairs: number
}

/** Two scores under the same target, draw and seed. */
export interface Pair {
  readonly ours: number
  readonly other: number
  /** Standard deviation of `other - ours` that the scores' images alone make, from their bootstrap. */
  readonly noise?: number
}

/** Below this many pairs all differences having one sign says little. */
export const MIN_PAIRS = 3

/** So few pairs show something and decide nothing. */
export const isIllustration = ({ pairs }: Pick<Judgement, "pairs">): boolean => pairs > 0 && pairs < MIN_PAIRS

export const mean = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length

/** `other - ours` of every pair. */
export const differences = (pairs: readonly Pair[]): readonly number[] => pairs.map(({ ours, other }) => other - ours)

/** Variance with n - 1; 0 of a single value. */
export const variance = (values: readonly number[]): number => {
  const centre = mean(values)
  return values.reduce((sum, v) => sum + (v - centre) ** 2, 0) / Math.max(1, values.length - 1)
}

/** Percentile interval of the mean over resamples of the values with replacement. */
export const bootstrap = (
  values: readonly number[],
  { resamples = 2000, level = 0.95, seed = 0 } = {},
): readonly [low: number, high: number] => {
  const n = values.length
  const means = Float64Array.from({ length: resamples }, (_, k) => {
    const places = Rng.int(Rng.at(seed, "verdict/bootstrap", k), [n], 0, n).data
    return places.reduce((sum, place) => sum + values[place]!, 0) / n
  }).sort()
  const at = (share: number): number => means[Math.round(share * (resamples - 1))]!
  return [at((1 - level) / 2), at((1 + level) / 2)]
}

/**
 * Holds when all paired differences favour the claim and their mean exceeds twice its deviation; contradicted when they all
 * oppose it alike. The deviation joins the spread over pairs, of a mean of n, and the bootstrap's noise as it is: all draws of a
 * target are scored against the same photographs, from the same latents, so that noise is theirs in common and no mean lessens it.
 */
export const of = (pairs: readonly Pair[]): Judgement => {
  const n = pairs.length
  if (n === 0) return { verdict: "not-tested", effect: null, deviation: null, interval: null, pairs: 0 }
  const all = differences(pairs)
  const effect = mean(all)
  const noise = mean(pairs.map((p) => (p.noise ?? 0) ** 2))
  const deviation = Math.sqrt(variance(all) / n + noise)
  const clear = n >= MIN_PAIRS && Math.abs(effect) > 2 * deviation
  const oneSign = all.every((d) => d > 0) || all.every((d) => d < 0)
  const verdict = !(clear && oneSign) ? "undecided" : effect > 0 ? "holds" : "contradicted"
  return { verdict, effect, deviation, interval: n > 1 ? bootstrap(all) : null, pairs: n }
}
