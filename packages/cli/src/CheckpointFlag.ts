/** `--checkpoint`: which checkpoint of a run a verb reads, and what it says about it. */
import type { RunCheckpoint as RunCheckpoint_ } from "@adafm/job"
import { z } from "zod"
import * as ScoreText from "./ScoreText.ts"
import * as Values from "./Values.ts"

/** `best`, `last` or a step. */
export const value = z.exactOptional(
  z.union([z.enum(["best", "last"]), Values.natural], { error: "expected best, last or a step" }),
)

export const flag = [
  "--checkpoint <which>",
  "which checkpoint of a run: last (default), best (the best score, see --keep-best of transfer), or a step",
] as const

/** `step 3000, the last checkpoint (KID-768 0.1128); step 1200 scored better (0.0838): --checkpoint best`; nothing of a model folder. */
export const lines = (checkpoint: RunCheckpoint_.Chosen | undefined): readonly string[] => {
  if (checkpoint === undefined) return []
  const { step, which, score, better } = checkpoint
  const name = which === "step" ? "" : `, the ${which} checkpoint`
  const own = score === undefined ? "" : ` (${ScoreText.of(score.label, score.value)})`
  const offer =
    better === undefined
      ? ""
      : `; step ${better.step} scored better (${ScoreText.digits(better.value)}): --checkpoint best`
  return [`read step ${step}${name}${own}${offer}`]
}
