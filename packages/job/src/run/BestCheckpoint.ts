/**
 * Keeps the checkpoint with the best score of a run: the last one is often not the best. The untrained model of step 0 has no
 * checkpoint and does not count.
 */
import { Failure } from "@adafm/core"
import { RunFolder, State } from "@adafm/gan"
import * as E from "fp-ts/lib/Either.js"
import type { Score } from "./RunCheckpoint.ts"
import * as Scorer from "./Scorer.ts"

export interface Keeper {
  /** Keeps the checkpoint of this line's step if its score is better than that of the kept one. */
  readonly consider: (line: Scorer.Line) => Promise<void>
  readonly best: () => Score | undefined
}

export interface Options {
  readonly folder: string
  /** The scores of the run so far, and what scores compare with from now on. */
  readonly lines: readonly Scorer.Line[]
  readonly about: Scorer.About
  /** A score as it is taken from now on. */
  readonly score: (generator: State.Params) => Promise<Scorer.Line>
  readonly onNote?: (line: string) => void
}

/** The kept checkpoint with a score that compares with those from now on: if it has none, it is scored again. */
const held = async ({ folder, lines, about, score, onNote }: Options): Promise<Score | undefined> => {
  const found = await Failure.attempt(async (): Promise<Score | undefined> => {
    const step = await Failure.orThrow(RunFolder.best(folder))
    if (step === undefined) return undefined
    const line = lines.find((line) => line.step === step)
    const isComparable = line !== undefined && Scorer.differing(line, { ...about }).length === 0
    const own = isComparable
      ? line
      : await score(State.averagedGenerator(await Failure.orThrow(RunFolder.readBest(folder))))
    const chosen = Scorer.choosing(own)
    return chosen && { step, ...chosen }
  })()
  if (E.isRight(found)) return found.right
  onNote?.(`the best checkpoint so far cannot be read, so the next one with a score replaces it: ${found.left.message}`)
  return undefined
}

export const open = async (options: Options): Promise<Keeper> => {
  const { folder, about } = options
  let best = await held(options)
  return {
    best: () => best,
    consider: async (line) => {
      const [step, chosen] = [Number(line.step), Scorer.choosing(line)]
      if (step === 0 || chosen === undefined || Scorer.differing(line, { ...about }).length > 0) return
      if (best !== undefined && best.value <= chosen.value) return
      await Failure.orThrow(RunFolder.keepBest(folder, step))
      best = { step, ...chosen }
    },
  }
}
