/** What paired scores say about a claim "this one is lower than that one". */

export const VERDICTS = ["holds", "contradicted", "undecided", "not-tested"] as const
export type Verdict = (typeof VERDICTS)[number]

export interface Judgement {
  readonly verdict: Verdict
  /** Mean of `other - ours`: positive is in the claim's favour. */
  readonly effect: number | null
  /** Of the effect: the pairs' own spread and the noise of their scores. */
  readonly deviation: number | null
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
export const ENOUGH = 3

/**
 * Holds when all paired differences favour the claim and their mean exceeds twice its deviation; contradicted when they all
 * oppose it alike. The deviation joins the spread over pairs and the bootstrap's noise, both of a mean of n. (The spread holds
 * some of that noise already; with few pairs it may do so by luck too little, hence the sum.)
 */
export const of = (pairs: readonly Pair[]): Judgement => {
  const n = pairs.length
  if (n === 0) return { verdict: "not-tested", effect: null, deviation: null, pairs: 0 }
  const differences = pairs.map(({ ours, other }) => other - ours)
  const effect = differences.reduce((sum, d) => sum + d, 0) / n
  const spread = differences.reduce((sum, d) => sum + (d - effect) ** 2, 0) / Math.max(1, n - 1)
  const noise = pairs.reduce((sum, p) => sum + (p.noise ?? 0) ** 2, 0) / n
  const deviation = Math.sqrt((spread + noise) / n)
  const clear = n >= ENOUGH && Math.abs(effect) > 2 * deviation
  const oneSign = differences.every((d) => d > 0) || differences.every((d) => d < 0)
  const verdict = !(clear && oneSign) ? "undecided" : effect > 0 ? "holds" : "contradicted"
  return { verdict, effect, deviation, pairs: n }
}
