/** The index of all experiments: each claim of the paper, the evidence for and against it, and what was not run. */
import { Page } from "@adafm/report"
import * as PaperClaims from "../declare/PaperClaims.ts"
import type * as ResultsFile from "../judge/ResultsFile.ts"
import * as Verdict from "../judge/Verdict.ts"
import * as Tables from "./Tables.ts"

export interface Part {
  readonly title: string
  readonly results: ResultsFile.ResultsFile
  /** Address of its page, relative to the index. */
  readonly link: string
}

const VERDICTS = ["contradicted", "undecided", "holds", "not-tested"] as const

type Judged = ResultsFile.ResultsFile["claims"][number] & {
  readonly experiment: string
  readonly on: readonly string[]
}

/** The cells of variants that can be made from the source, and the finished ones. */
const planned = ({ cells }: ResultsFile.ResultsFile) => cells.filter(({ reason }) => reason === undefined)
const doneOf = ({ cells }: ResultsFile.ResultsFile) => cells.filter(({ status }) => status === "done")

/** The pairs of finished cells that a test rests on. */
const pairsOf = (
  results: ResultsFile.ResultsFile,
  { better, than, measure }: Pick<Judged, "better" | "than" | "measure">,
) => {
  const done = doneOf(results)
  return done
    .filter(({ variant }) => variant === better)
    .flatMap(({ id, target, draw }) => {
      const rival = done.find((cell) => cell.variant === than && cell.target === target && cell.draw === draw)
      return rival === undefined ? [] : [`${measure}: ${id}, ${rival.id}`]
    })
}

/** Experiments share cells, so tests may rest on the same pairs: a test whose pairs all belong to another test is left out. */
export const distinct = <T extends Pick<Judged, "on">>(tests: readonly T[]): readonly T[] =>
  tests.filter(({ on }, i) =>
    tests.every(
      (other, j) =>
        j === i ||
        on.length === 0 ||
        !on.every((pair) => other.on.includes(pair)) ||
        (other.on.length === on.length && j > i),
    ),
  )

/** The verdict of several tests of one claim, if they agree. Tests of too few pairs are counted separately. */
export const verdictOf = (tests: readonly Pick<Judged, "verdict" | "pairs">[]): string => {
  const shown = tests.filter(Verdict.isIllustration).length
  const made = tests.filter((test) => test.verdict !== "not-tested" && !Verdict.isIllustration(test))
  if (made.length === 0) return shown === 0 ? "not run" : `illustrated only (${shown} of ${tests.length} tests)`
  const kinds = VERDICTS.filter((kind) => made.some(({ verdict }) => verdict === kind))
  const counted = kinds.map((kind) => `${made.filter(({ verdict }) => verdict === kind).length} ${kind}`).join(", ")
  const illustrated = shown === 0 ? "" : `, ${shown} more illustrated`
  return `${kinds.length === 1 ? kinds[0] : `mixed: ${counted}`} (${made.length} of ${tests.length} tests made${illustrated})`
}

/** Errors of the rule for a claim about nothing: the spread over pairs as large as the noise, and twice as large (`VerdictRule.test`). */
const ERRORS = [0.05, 0.08] as const

/** How many verdicts chance alone would give. */
export const byChance = (tests: readonly Pick<Judged, "verdict" | "pairs" | "on">[]): string => {
  const made = distinct(tests).filter((test) => test.verdict !== "not-tested" && !Verdict.isIllustration(test)).length
  const [least, most] = ERRORS.map((error) => Math.round(error * made))
  return `${made} tests rest on ${Verdict.MIN_PAIRS} pairs or more. If there were no difference in any of them, chance alone would decide ${least} to ${most}.`
}

const judgedOf = (parts: readonly Part[]): readonly Judged[] =>
  parts.flatMap(({ results }) =>
    results.claims.map((claim) => ({ ...claim, experiment: results.experiment, on: pairsOf(results, claim) })),
  )

const table = (tests: readonly Judged[]): Page.Block =>
  Tables.claims(
    tests,
    tests.map(({ experiment }) => experiment),
  )

export const page = (parts: readonly Part[], profile: string, command: string): Page.Page => {
  const judged = judgedOf(parts)
  const own = judged.filter(({ of }) => of === null)
  const once = (some: (results: ResultsFile.ResultsFile) => ResultsFile.ResultsFile["cells"]): number =>
    new Set(parts.flatMap(({ results }) => some(results).map(({ id }) => id))).size
  return {
    title: "Results of all experiments",
    subtitle: `profile ${profile}: ${once(doneOf)} of ${once(planned)} cells done`,
    blocks: [
      ...(profile === "smoke" || profile === "quick"
        ? [Page.note("Illustration, not evidence: one draw, few steps. `--profile standard` is the evidence.")]
        : []),
      Page.text(
        "The claims are the paper's, in our words. Verdicts follow from paired runs. FINDINGS.md puts them in context.",
      ),
      Page.heading("The paper's claims"),
      Page.table({
        columns: [{ title: "claim" }, { title: "statement" }, { title: "verdict" }],
        rows: PaperClaims.paper.map(({ id, title, text, outside }) => [
          `${id}: ${title}`,
          text,
          outside ?? verdictOf(distinct(judged.filter(({ of }) => of === id))),
        ]),
      }),
      Tables.reading(judged),
      Page.text(byChance(judged)),
      ...PaperClaims.paper.flatMap(({ id, title }): readonly Page.Block[] => {
        const tests = judged.filter(({ of }) => of === id)
        return tests.length === 0 ? [] : [Page.heading(`${id}: ${title}`), table(tests)]
      }),
      ...(own.length === 0 ? [] : [Page.heading("Claims that are not the paper's"), table(own)]),
      Page.heading("Experiments"),
      Page.links(
        parts.map(({ title, results, link }) => ({
          text: `${title} (${results.experiment}: ${doneOf(results).length} of ${planned(results).length} cells)`,
          link,
        })),
      ),
      Page.heading("How to continue"),
      Page.code(command),
      Page.facts({
        sources: [
          ...new Set(parts.map(({ results }) => `${results.source.name} (${results.source.sha256.slice(0, 12)}…)`)),
        ].join(", "),
        commit: parts[0]?.results.commit ?? "–",
      }),
    ],
  }
}
