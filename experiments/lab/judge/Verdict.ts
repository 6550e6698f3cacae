/** The verdict of paired scores on a claim "ours is lower than the other". */
import { Rng } from "@adafm/core"

export const VERDICTS = ["holds", "contradicted", "undecided", "not-tested"] as const
export type Verdict = (typeof VERDICTS)[number]

export interface Judgement {
  readonly verdict: Verdict
  /** Mean of `other - ours`; positive is in favour of the claim. */
  readonly effect: number | null
  /** Standard deviation of the effect: the spread over pairs and the noise of their scores. */
  readonly deviation: number | null
  /** 95 % interval of the effect over resampled pairs. */
  readonly interval: readonly [low: number, high: number] | null
  readonly pairs: number
}

/** Two scores with the same target, draw and seed. */
export interface Pair {
  readonly ours: number
  readonly other: number
  /** Standard deviation of `other - ours` over resampled images, from the scores' bootstrap. */
  readonly noise?: number
}

/** With fewer pairs a common sign of all differences says little. */
export const MIN_PAIRS = 3

/** Too few pairs for a verdict: they illustrate. */
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
 * oppose it as clearly. The deviation joins the spread over pairs, divided by √n, and the bootstrap noise, which is not divided: all
 * draws of a target are scored against the same photographs and from the same latents, so they share that noise.
 */
export const decide = (
  pairs: readonly Pair[],
): { readonly verdict: Verdict; readonly effect: number; readonly deviation: number } => {
  const n = pairs.length
  const all = differences(pairs)
  const effect = mean(all)
  const noise = mean(pairs.map((p) => (p.noise ?? 0) ** 2))
  const deviation = Math.sqrt(variance(all) / n + noise)
  const clear = n >= MIN_PAIRS && Math.abs(effect) > 2 * deviation
  const oneSign = all.every((d) => d > 0) || all.every((d) => d < 0)
  const verdict = !(clear && oneSign) ? "undecided" : effect > 0 ? "holds" : "contradicted"
  return { verdict, effect, deviation }
}

/** The decision with the interval of its effect. */
export const of = (pairs: readonly Pair[]): Judgement => {
  const n = pairs.length
  if (n === 0) return { verdict: "not-tested", effect: null, deviation: null, interval: null, pairs: 0 }
  return { ...decide(pairs), interval: n > 1 ? bootstrap(differences(pairs)) : null, pairs: n }
}
