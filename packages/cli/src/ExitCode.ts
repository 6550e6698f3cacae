/** Exit codes of the command: 0 done, 1 the work failed, 2 wrong arguments; a run that was interrupted ends with 130. */
import type { Failure } from "@adafm/core"

export const FAILED = 1
export const WRONG_ARGUMENTS = 2
export type ExitCode = typeof FAILED | typeof WRONG_ARGUMENTS

/** Failures that are wrong arguments, including those that only a package can detect. */
const WRONG = [
  "BadArguments",
  "BadHash",
  "BadRecipe",
  "NoClass",
  "TooFew",
  "UnknownEngine",
  "UnknownExtractor",
  "UnknownFormat",
  "UnknownProvider",
  "WrongSize",
]

export const of = ({ _tag }: Failure.Failure): ExitCode => (WRONG.includes(_tag) ? WRONG_ARGUMENTS : FAILED)
