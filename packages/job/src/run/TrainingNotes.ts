/** What a training tells people before it begins. */
import { DecodeMany, ImageSet, type Pipeline } from "@adafm/data"
import type { RunConfig } from "./RunConfig.ts"
import * as Scorer from "./Scorer.ts"

type OnNote = ((line: string) => void) | undefined

/** The network and the counts of the scores to come. */
export const scores = (
  { extractor: { name }, count }: Scorer.Scorer,
  { extractor, command = "npx adafm" }: { readonly extractor?: string; readonly command?: string },
): string => {
  const own =
    name === "embedded" && extractor === undefined
      ? `; this is the small bundled network, whose scores compare only with each other (for FID as published: \`${command} weights fetch inception\`)`
      : ""
  return `scores: ${name}, ${count} images on each side${own}`
}

/** Says that scores from here on are not comparable with those of the run so far. */
export const otherScores = (last: Scorer.Line | undefined, scorer: Scorer.Scorer | undefined, onNote: OnNote): void => {
  if (last === undefined || scorer === undefined) return
  const changed = Scorer.differing(last, { ...scorer.about })
  if (changed.length > 0)
    onNote?.(
      `scores up to step ${last.step} had other settings (${changed.join(", ")}): later scores do not compare with them, and a report draws two curves`,
    )
}

/** Says which pictures are skipped, and why. */
export const omissions = (set: ImageSet.ImageSet, broken: Pipeline.Pipeline["broken"], onNote: OnNote): void => {
  const foreign = ImageSet.advice(set)
  if (foreign !== undefined) onNote?.(foreign)
  if (broken.length > 0)
    onNote?.(
      `skipped ${broken.length} of ${set.names.length} images, which cannot be decoded: ${DecodeMany.reasons(broken)}`,
    )
}

/** Says that the rounding changes where a run goes on. */
export const threads = (
  written: Pick<RunConfig, "threads">,
  { threads: now }: Pick<RunConfig, "threads">,
  onNote: OnNote,
): void => {
  if (written.threads !== undefined && now !== undefined && written.threads !== now)
    onNote?.(
      `this run was begun with ${written.threads} ${written.threads === 1 ? "thread" : "threads"} and goes on with ${now}: sums are rounded in another order, so its bits differ from those of a run that never stopped; --threads ${written.threads} keeps them`,
    )
}
