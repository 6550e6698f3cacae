/** What became of a trial. */
import type { Failure } from "@adafm/core"

export const ALL = [
  "refused",
  "unchanged",
  "accepted",
  "unnoticed",
  "unnamed",
  "unexpected",
  "crash",
  "hang",
  "memory",
] as const
/**
 * `refused`: a failure that names the file. `unchanged`: the damage did not reach the result. `accepted`: another result, of a format
 * without checksums. The others are faults: `unnoticed` is another result of a format that has checksums.
 */
export type Verdict = (typeof ALL)[number]

export const isFault = (verdict: Verdict): boolean => !["refused", "unchanged", "accepted"].includes(verdict)

/** How a reader ended: with a digest of what it read, or with a failure. */
export type Outcome =
  | { readonly digest: string; readonly megabytes: number }
  | { readonly failure: Failure.Failure; readonly megabytes: number }

/** Most memory of a reader of files of a few kilobytes. */
const MEGABYTES = 1500

export const of = (outcome: Outcome, whole: string, hasChecksum: boolean): Verdict => {
  if (outcome.megabytes > MEGABYTES) return "memory"
  if ("failure" in outcome) {
    if (outcome.failure._tag === "Unexpected") return "unexpected"
    return outcome.failure.file === undefined ? "unnamed" : "refused"
  }
  if (outcome.digest === whole) return "unchanged"
  return hasChecksum ? "unnoticed" : "accepted"
}
