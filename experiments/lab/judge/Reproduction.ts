/** Compares a committed cell with the same cell run again. */
import { Failure } from "@adafm/core"
import * as Catalogue from "../declare/Catalogue.ts"
import type * as CellRunner from "../run/CellRunner.ts"
import * as ExperimentPlan from "../run/ExperimentPlan.ts"
import * as ExperimentResults from "./ExperimentResults.ts"
import type * as ResultsFile from "./ResultsFile.ts"

export interface Line {
  readonly metric: string
  readonly committed: number
  readonly again: number
  /** Standard deviation of the score over resampled images, if it is known. */
  readonly noise?: number
}

/** A score that differs by more deviations of its noise counts as different. */
export const MAX_DEVIATIONS = 3

export const VERDICTS = ["equal", "within noise", "different"] as const

export const verdictOf = ({ committed, again, noise }: Line): (typeof VERDICTS)[number] =>
  committed === again
    ? "equal"
    : Math.abs(again - committed) <= MAX_DEVIATIONS * (noise ?? 0)
      ? "within noise"
      : "different"

type Committed = ResultsFile.ResultsFile["cells"][number]

/** All scores that are numbers, and the last point of the curve. */
export const lines = (committed: Committed, again: CellRunner.Result): readonly Line[] => {
  const metrics = committed.metrics as Readonly<Record<string, { readonly value: unknown } | undefined>>
  const scores = Object.entries(again.metrics).flatMap(([metric, { value }]): readonly Line[] => {
    const before = metrics[metric]?.value
    const noise = ExperimentResults.noiseOf(again, metric)
    return ExperimentResults.isNumber(before) && ExperimentResults.isNumber(value)
      ? [{ metric, committed: before, again: value, ...(noise > 0 && { noise }) }]
      : []
  })
  const [before, now] = [committed.curve.at(-1), again.curve.at(-1)]
  return before === undefined || now === undefined
    ? scores
    : [...scores, { metric: "last point of the curve", committed: before.kid, again: now.kid }]
}

/** A committed cell and the order that runs it here. @param wanted its id or its variant; the first finished cell by default */
export const choose = async (
  results: ResultsFile.ResultsFile,
  wanted: string | undefined,
): Promise<{ readonly cell: Committed; readonly order: CellRunner.Order }> => {
  const done = results.cells.filter(({ status }) => status === "done")
  const cell = done.find(({ id, variant }) => wanted === undefined || wanted === id || wanted === variant)
  if (cell === undefined)
    return Failure.raise(
      "BadArguments",
      `${results.experiment} has no finished cell${wanted ? ` with the id or variant ${wanted}` : ""}`,
    )
  const { experiment, profile, source } = results
  const known = { profile: profile as ExperimentPlan.Choices["profile"], source: source.name }
  const plan = await ExperimentPlan.make(await Catalogue.load(experiment), known)
  const entry = plan.entries.find(({ order }) => order.id === cell.id)
  if (entry !== undefined) return { cell, order: entry.order }
  const other =
    plan.source.sha256 === source.sha256
      ? "its declaration or its images have changed"
      : "the source model is a different one"
  return Failure.raise("OtherCell", `cell ${cell.id} cannot be planned here: ${other}`)
}
