/** Which checkpoint of a run is read: the last, the best by its score, or that of a step. */
import { Failure } from "@adafm/core"
import type { Arrays } from "@adafm/engine"
import { type ModelFolder, RunFolder } from "@adafm/gan"
import * as Scorer from "./Scorer.ts"

/** A number is a step. */
export type Wanted = "last" | "best" | number

/** A score that chooses between checkpoints; lower is better. */
export interface Score {
  readonly step: number
  readonly label: string
  readonly value: number
}

export interface Chosen {
  /** Iterations after which it was written. */
  readonly step: number
  readonly which: "last" | "best" | "step"
  /** Its own score, if one was taken. */
  readonly score?: Score
  /** The best checkpoint, if that is another one with a better score. */
  readonly better?: Score
}

const scoreAt = (lines: readonly Scorer.Line[], step: number): Score | undefined => {
  const found = lines.find((line) => line.step === step)
  const score = found && Scorer.choosing(found)
  return score && { step, ...score }
}

/** The best checkpoint that a run keeps, with its score; undefined if it keeps none. */
export const best = async (folder: string): Promise<Score | undefined> => {
  const step = await Failure.orThrow(RunFolder.best(folder))
  return step === undefined ? undefined : scoreAt(await Failure.orThrow(RunFolder.lines(folder, "metric")), step)
}

/** @param steps of all checkpoints, the best one's among them */
const whyMissing = (wanted: Wanted, steps: readonly number[]): string => {
  if (steps.length === 0) return "this run has no checkpoint yet: resume it with the command that started it"
  if (wanted === "last")
    return `the last checkpoint is missing; the best one, of step ${steps[0]}, is there: --checkpoint best`
  const some = `it has ${steps.length === 1 ? "that of step" : "those of the steps"} ${steps.join(", ")}`
  return wanted === "best"
    ? `this run keeps no best checkpoint, because no score was taken, or with --no-keep-best; ${some}`
    : `this run has no checkpoint of step ${wanted}; ${some}`
}

/** Where a wanted checkpoint is. The best one stays when that of its step is removed. */
const find = (
  wanted: Wanted,
  steps: readonly number[],
  kept: number | undefined,
): { readonly step: number; readonly isBest: boolean } | undefined => {
  const step = wanted === "last" ? steps.at(-1) : wanted === "best" ? kept : wanted
  if (step === undefined) return undefined
  if (wanted !== "best" && steps.includes(step)) return { step, isBest: false }
  return step === kept ? { step, isBest: true } : undefined
}

/** @throws `NoCheckpoint` where the run does not have it */
export const read = async (
  folder: string,
  wanted: Wanted = "last",
  note?: ModelFolder.Note,
): Promise<{ readonly state: Arrays; readonly chosen: Chosen }> => {
  const steps = await Failure.orThrow(RunFolder.checkpoints(folder))
  // a damaged best checkpoint is no reason to refuse another one
  const kept =
    wanted === "best"
      ? await Failure.orThrow(RunFolder.best(folder))
      : await Failure.orThrow(RunFolder.best(folder)).catch(() => undefined)
  const all = [...new Set([...steps, ...(kept === undefined ? [] : [kept])])].sort((a, b) => a - b)
  const found = find(wanted, steps, kept) ?? Failure.raise("NoCheckpoint", whyMissing(wanted, all), { file: folder })
  const state = await Failure.orThrow(
    found.isBest ? RunFolder.readBest(folder, note) : RunFolder.readCheckpoint(folder, found.step, note),
  )
  return { state, chosen: await describe(folder, found.step, wanted, kept) }
}

const describe = async (folder: string, step: number, wanted: Wanted, kept: number | undefined): Promise<Chosen> => {
  const lines = await Failure.orThrow(RunFolder.lines(folder, "metric"))
  const [own, best] = [scoreAt(lines, step), kept === undefined ? undefined : scoreAt(lines, kept)]
  const at = (step: number): Scorer.Line => lines.find((line) => line.step === step)!
  const isBetter = own && best && best.value < own.value && Scorer.differing(at(own.step), at(best.step)).length === 0
  return {
    step,
    which: typeof wanted === "number" ? "step" : wanted,
    ...(own && { score: own }),
    ...(isBetter && { better: best }),
  }
}
