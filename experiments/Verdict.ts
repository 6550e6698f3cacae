/** What paired scores say about a claim "this one is lower than that one". */

export const VERDICTS = ["holds", "contradicted", "undecided", "not-tested"] as const
export type Verdict = (typeof VERDICTS)[number]

export interface Judgement {
  readonly verdict: Verdict
  /** Mean of `other - ours`: positive is in the claim's favour. */
  readonly effect: number | null
  readonly pairs: number
}

/** Below this many pairs all differences having one sign says little. */
export const ENOUGH = 3

/**
 * Holds when all paired differences favour the claim and their mean exceeds twice the deviation of that mean; contradicted
 * when they all oppose it alike.
 *
 * @param pairs `[ours, other]` under the same seed and draw
 */
export const of = (pairs: readonly (readonly [ours: number, other: number])[]): Judgement => {
  const differences = pairs.map(([ours, other]) => other - ours)
  const n = differences.length
  if (n === 0) return { verdict: "not-tested", effect: null, pairs: 0 }
  const effect = differences.reduce((sum, d) => sum + d, 0) / n
  const variance = differences.reduce((sum, d) => sum + (d - effect) ** 2, 0) / Math.max(1, n - 1)
  const clear = n >= ENOUGH && Math.abs(effect) > 2 * Math.sqrt(variance / n)
  const oneSign = differences.every((d) => d > 0) || differences.every((d) => d < 0)
  const verdict = !(clear && oneSign) ? "undecided" : effect > 0 ? "holds" : "contradicted"
  return { verdict, effect, pairs: n }
}
