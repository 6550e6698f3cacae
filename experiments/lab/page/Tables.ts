/** Tables of an experiment's page: scores of every variant, further opinions, fates of the parameters, claims. */
import { Page, Table } from "@adafm/report"
import type { Measure } from "../declare/Experiment.ts"
import type * as CheckpointScores from "../judge/CheckpointScores.ts"
import * as ExperimentResults from "../judge/ExperimentResults.ts"
import type * as ResultsFile from "../judge/ResultsFile.ts"
import * as Verdict from "../judge/Verdict.ts"
import type * as CellRunner from "../run/CellRunner.ts"

type All = ExperimentResults.Results

const numbers = (values: readonly unknown[]): readonly number[] => values.filter(ExperimentResults.isNumber)

const estimate = (done: readonly CellRunner.Result[], metric: string): Table.Estimate | undefined =>
  Table.estimate(numbers(done.map(({ metrics }) => metrics[metric]?.value)))

/** Of a score that has several numbers, one. */
const part = (done: readonly CellRunner.Result[], metric: string, name: string): Table.Estimate | undefined =>
  Table.estimate(
    numbers(
      done.map(({ metrics }) => (metrics[metric]?.value as Readonly<Record<string, unknown>> | undefined)?.[name]),
    ),
  )

interface Column extends Table.Column {
  readonly of: (done: readonly CellRunner.Result[]) => Table.Cell
  /** What stands there for photographs and for the source's own images. */
  readonly beside?: (metrics: Readonly<Record<string, CheckpointScores.Metric>>) => Table.Cell
}

/** A score by its name, also of what the variants are read beside. */
const score = (title: string, metric: string, digits: number, best?: "low" | "high"): Column => ({
  title,
  digits,
  ...(best !== undefined && { best }),
  of: (done) => estimate(done, metric),
  beside: (metrics) => numbers([metrics[metric]?.value])[0],
})

const share = (title: string, name: string): Column => ({
  title,
  digits: 2,
  of: (done) => part(done, "prdc", name),
  beside: (metrics) => numbers([(metrics.prdc?.value as Readonly<Record<string, unknown>> | undefined)?.[name]])[0],
})

interface Rows {
  /** Also variants that are still to be run. */
  readonly every?: boolean
  /** Below the variants what they are to be read beside. */
  readonly beside?: boolean
}

/** Rows of variants; columns that nothing fills are left out. */
const ofVariants = (
  found: All,
  target: string,
  columns: readonly Column[],
  { every = false, beside = false }: Rows,
): Page.Block => {
  const variants = ExperimentResults.variantsOf(found)
    .map(({ id, title }) => {
      const cells = found.plan.entries.filter((e) => e.variant.id === id && e.target.name === target)
      const done = ExperimentResults.doneOf(found, id, target)
      return { title, done, cells: cells.length }
    })
    .filter(({ done }) => every || done.length > 0)
  const floor = beside ? found.floors.get(target) : undefined
  const own: readonly (readonly Table.Cell[])[] = variants.map(({ title, done, cells }) => [
    title,
    done.length === 0 ? "not run" : `${done.length} of ${cells}`,
    ...columns.map(({ of }) => (done.length === 0 ? undefined : of(done))),
  ])
  const others: readonly (readonly Table.Cell[])[] = (
    floor === undefined
      ? []
      : [
          { title: "floor: photographs of the pool", metrics: floor.pool },
          { title: "the source's images, before any training", metrics: floor.source },
        ]
  ).map(({ title, metrics }) => [title, undefined, ...columns.map(({ beside }) => beside?.(metrics))])
  // what has fewer draws than others is no rival of theirs
  const most = Math.max(...variants.map(({ done }) => done.length))
  const shown = [{ title: "variant" }, { title: "draws" }, ...columns]
  const filled = shown.map((_, c) => own.some((row) => row[c] !== undefined))
  const rows = [...own, ...others].map((row) => row.filter((_, c) => filled[c]))
  return Page.table({
    columns: shown.filter((_, c) => filled[c]).map(({ title, ...rest }) => ({ title, ...pick(rest) })),
    rows: rows.filter((row, r) => r < own.length || row.slice(1).some((cell) => cell !== undefined)),
    contest: [...variants.keys()].filter((r) => variants[r]!.done.length === most),
  })
}

const pick = ({ best, digits }: Omit<Table.Column, "title">): Omit<Table.Column, "title"> => ({
  ...(best !== undefined && { best }),
  ...(digits !== undefined && { digits }),
})

/** Scores of one target; below them what they are to be read beside. */
export const scores = (found: All, target: string): Page.Block =>
  ofVariants(
    found,
    target,
    [
      { title: "trained parameters", of: (done) => done[0]?.plan.trainable },
      score(ExperimentResults.labelOf(found, "accuracy", "accuracy"), "accuracy", 3, "high"),
      score(ExperimentResults.labelOf(found, "kid", "KID"), "kid", 5, "low"),
      score(ExperimentResults.labelOf(found, "fid", "FID"), "fid", 3, "low"),
      score(ExperimentResults.labelOf(found, "class-kid", "KID of each class"), "class-kid", 5, "low"),
      score("recognised as their class", "agreement", 3, "high"),
      {
        title: "checkpoint",
        of: (done) =>
          done.every(({ curve }) => curve.length === 0) ? undefined : done.map((r) => r.chosen).join(", "),
      },
      {
        title: "ms a step",
        of: (done) => Math.round(done.reduce((sum, { msPerStep }) => sum + msPerStep, 0) / done.length),
      },
      {
        title: "minutes on the clock",
        digits: 0,
        of: (done) => Table.estimate(done.map((r) => (r.seconds + r.scoringSeconds) / 60)),
      },
    ],
    { every: true, beside: true },
  )

/** The same checkpoints through other eyes; whether samples vary, resemble photographs, or copy them. */
export const opinions = (found: All, target: string): readonly Page.Block[] => {
  const names = ExperimentResults.opinionsOf(found)
  const levels = Math.max(0, ...[...found.results.values()].map(({ alignment }) => alignment?.length ?? 0))
  const isDone = found.plan.entries.some((e) => e.target.name === target && found.results.get(e.order.id)?.metrics.kid)
  if (!isDone) return []
  return [
    Page.details(`${target}: second opinions, variety, copies`, [
      Page.text(
        "KID of the same images through other features (further names: Inception's earlier levels, a ResNet of CIFAR-10), the mean distance between two samples, " +
          "precision and recall, and the median distance to the nearest training image relative to that between training images: far below 1 would be copies.",
      ),
      ofVariants(
        found,
        target,
        [
          ...names.map((name) => score(ExperimentResults.labelOf(found, name, name), name, 3, "low")),
          score("diversity", "diversity", 2),
          share("precision", "precision"),
          share("recall", "recall"),
          share("density", "density"),
          share("coverage", "coverage"),
          score("nearest training image", "memorisation", 2),
        ],
        { beside: true },
      ),
    ]),
    ...(levels === 0
      ? []
      : [
          Page.details(`${target}: how far from photographs, as the source's own discriminator sees them`, [
            Page.text(
              "KID of the mean over space behind each of its groups, counted from the image; a transfer that keeps n groups freezes the first n. Features are divided by " +
                "their root mean square over photographs. Variants of another source have no numbers here: another discriminator's do not compare.",
            ),
            ofVariants(
              found,
              target,
              Array.from({ length: levels }, (_, k) => ({
                title: `group ${k + 1}`,
                digits: 3,
                best: "low" as const,
                of: (done) =>
                  Table.estimate(
                    numbers(
                      done
                        .filter(({ cell }) => cell.training.source === found.plan.source.sha256)
                        .map(({ alignment }) => alignment?.[k]),
                    ),
                  ),
              })),
              {},
            ),
          ]),
        ]),
  ]
}

const NEAREST = 3

/** Which training images the samples resemble most, by name. */
export const nearest = (found: All, target: string): readonly Page.Block[] => {
  const rows = ExperimentResults.firstOf(found, target).flatMap(
    ({ entry, result }): readonly (readonly Table.Cell[])[] => {
      if (result.nearest.length === 0) return []
      const sorted = result.nearest.toSorted((a, b) => a.distance - b.distance).slice(0, NEAREST)
      return [[entry.variant.title, ...sorted.map(({ image, distance }) => `${image} (${distance.toPrecision(3)})`)]]
    },
  )
  const columns = ["variant", ...Array.from({ length: NEAREST }, (_, k) => `${k + 1}.`)].map((title) => ({ title }))
  return rows.length === 0
    ? []
    : [
        Page.details(`${target}: the training images nearest to the samples shown, by name`, [
          Page.text(
            "First draw; the smallest distances, in the features that decide. The photographs themselves are shown in report.html alone, which is not committed.",
          ),
          Page.table({ columns, rows }),
        ]),
      ]
}

/** What became of each variant's parameters; nothing where no network was trained. */
export const fates = (found: All): readonly Page.Block[] => {
  const rows = ExperimentResults.variantsOf(found).flatMap(({ id, title }) => {
    const [{ plan } = {}] = ExperimentResults.doneOf(found, id)
    return plan?.total === undefined
      ? []
      : [[title, plan.total, plan.copied, plan.fresh, plan.frozen, plan.modulated, plan.trainable]]
  })
  const heads = ["variant", "parameters", "copied", "fresh", "frozen", "modulated", "trained"]
  return rows.length === 0
    ? []
    : [Page.heading("What moved"), Page.table({ columns: heads.map((title) => ({ title })), rows })]
}

const VERDICTS: Readonly<Record<Verdict.Verdict, string>> = {
  holds: "holds",
  contradicted: "contradicted",
  undecided: "undecided",
  "not-tested": "not tested",
}

const verdictText = (judged: Pick<Verdict.Judgement, "verdict" | "pairs">): string =>
  Verdict.isIllustration(judged) ? "illustration" : VERDICTS[judged.verdict]

interface Told {
  readonly title: string
  readonly digits: number
}

/** How a claim's measure is called, and the digits of its differences. */
const MEASURES: Readonly<Record<Measure, Told>> = {
  kid: { title: "KID", digits: 6 },
  fid: { title: "FID", digits: 3 },
  diversity: { title: "diversity", digits: 3 },
  steps: { title: "iterations", digits: 0 },
  seconds: { title: "seconds", digits: 0 },
  "class-kid": { title: "KID of each class", digits: 6 },
  agreement: { title: "recognised as their class", digits: 3 },
  accuracy: { title: "accuracy", digits: 3 },
}

/** How claims are to be read. */
export const reading = (judged: readonly ResultsFile.ResultsFile["claims"][number][]): Page.Block => {
  const has = (...measures: readonly Measure[]): boolean =>
    judged.some(({ measure }) => measures.some((m) => m === measure))
  const opinions = judged.flatMap(({ opinions }) => opinions)
  const asked = [...new Set(opinions.map(({ of }) => of))]
  return Page.text(
    "The effect is the mean difference of paired scores (one target, draw and seed), positive in the claim's favour, with the interval of resampled pairs: of three, " +
      `their smallest and largest. A claim holds when there are at least ${Verdict.MIN_PAIRS} pairs, all agree, and the mean exceeds twice its deviation, which joins the spread over ` +
      "pairs and the bootstrap noise of the scores, which all draws of a target have in common; it is contradicted when they oppose it as clearly. Fewer pairs are an illustration." +
      (asked.length > 0 ? ` Other features (${asked.join(", ")}) judge the same images by KID in the same way.` : "") +
      (opinions.some(({ spreadOnly }) => spreadOnly)
        ? " Those with an asterisk do not know the noise of some of their scores and go by the spread over pairs alone: they decide too easily."
        : "") +
      (has("steps", "seconds")
        ? " Iterations are those until a run is as near to photographs as the source's own images; one that never comes so near counts as arriving one checkpoint after its end, which makes the effect a lower bound; where both never do there is no pair, and if none is left the claim is undecided."
        : ""),
  )
}

/** Which features say what; of those that agree it is said once. */
const opinionsText = (opinions: ResultsFile.ResultsFile["claims"][number]["opinions"]): string | undefined => {
  const verdicts = [...new Set(opinions.map(verdictText))]
  const mark = (some: typeof opinions): string => (some.some(({ spreadOnly }) => spreadOnly) ? "*" : "")
  if (verdicts.length < 2) return verdicts[0] && `${verdicts[0]}${mark(opinions)} (all ${opinions.length})`
  return verdicts
    .map((said) => {
      const who = opinions.filter((opinion) => verdictText(opinion) === said)
      return `${said}${mark(who)}: ${who.map(({ of }) => of).join(", ")}`
    })
    .join("; ")
}

/** Effects with their interval, and what another network says of the same images. */
export const claims = (
  judged: readonly ResultsFile.ResultsFile["claims"][number][],
  where?: readonly string[],
): Page.Block => {
  const heads = [
    "claim",
    "verdict",
    "effect",
    "±\u00a0deviation",
    "pairs",
    "measure",
    where === undefined ? "of the paper" : "experiment",
    "other features say",
  ]
  return Page.table({
    columns: heads.map((title) => ({ title })),
    rows: judged.map(({ text, of, measure, verdict, effect, deviation, interval, pairs, opinions }, i) => {
      const { title, digits } = MEASURES[measure]
      return [
        text,
        verdictText({ verdict, pairs }),
        effect === null ? undefined : { mean: effect, digits, ...(interval !== null && { range: interval }) },
        deviation === null ? undefined : { mean: deviation, digits },
        pairs,
        title,
        where === undefined ? (of ?? undefined) : where[i],
        opinionsText(opinions),
      ]
    }),
  })
}
