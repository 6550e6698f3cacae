/** The sizes of features for which a score has a meaning: far beyond them its squares and cubes overflow. */
import { Failure } from "@adafm/core"

/** Largest size of a feature, and root of the largest variance. Those of Inception stay below 100. */
const MOST = 1e9

export interface Named {
  readonly path: string
  /** Features, or means. */
  readonly values: Float64Array
  /** Of statistics. */
  readonly covariance?: Float64Array
}

const largest = (values: Float64Array): number => {
  let most = 0
  for (const value of values) if (!(Math.abs(value) <= most)) most = Math.abs(value)
  return most
}

/** Throws `BadFeatures` for a side whose features are NaN, infinite or larger than 10⁹. */
export const check = ({ path, values, covariance = new Float64Array(0) }: Named): void => {
  const most = Math.max(largest(values), Math.sqrt(largest(covariance)))
  if (!(most <= MOST))
    Failure.raise(
      "BadFeatures",
      `the features reach ${most.toPrecision(3)}; scores need features of at most ${MOST.toPrecision(1)} (those of Inception stay below 100): look for the extractor or the file that made them`,
      { file: path },
    )
}

/** Throws `NotFinite` for a score that is NaN or infinite. */
export const checkScore = (name: string, value: number | Readonly<Record<string, number>>, path: string): void => {
  const bad = (typeof value === "number" ? [value] : Object.values(value)).find((number) => !Number.isFinite(number))
  if (bad !== undefined) Failure.raise("NotFinite", `${name} is ${bad} for these images`, { file: path })
}
