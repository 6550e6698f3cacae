/** Tables of an experiment's page: scores of every variant, second opinions, what happened to the parameters, claims. */
import { Page, Table } from "@adafm/report"
import { Surgery } from "@adafm/transfer"
import type { Measure } from "../declare/Experiment.ts"
import * as ExperimentResults from "../judge/ExperimentResults.ts"
import type { Metric } from "../judge/Metric.ts"
import type * as ResultsFile from "../judge/ResultsFile.ts"
import * as Verdict from "../judge/Verdict.ts"
import type * as CellRunner from "../run/CellRunner.ts"

type All = ExperimentResults.Results

const numbers = (values: readonly unknown[]): readonly number[] => values.filter(ExperimentResults.isNumber)

const estimate = (done: readonly CellRunner.Result[], metric: string): Table.Estimate | undefined =>
  Table.estimate(numbers(done.map(({ metrics }) => metrics[metric]?.value)))

/** One number of a score that has several. */
const part = (done: readonly CellRunner.Result[], metric: string, name: string): Table.Estimate | undefined =>
  Table.estimate(
    numbers(
      done.map(({ metrics }) => (metrics[metric]?.value as Readonly<Record<string, unknown>> | undefined)?.[name]),
    ),
  )

interface Column extends Table.Column {
  readonly of: (done: readonly CellRunner.Result[]) => Table.Cell
  /** The cell in the rows of photographs and of the source's own images. */
  readonly reference?: (metrics: Readonly<Record<string, Metric>>) => Table.Cell
}

/** A column of one score, also for the rows that variants are compared with. */
const score = (title: string, metric: string, digits: number, best?: "low" | "high"): Column => ({
  title,
  digits,
  ...(best !== undefined && { best }),
  of: (done) => estimate(done, metric),
  reference: (metrics) => numbers([metrics[metric]?.value])[0],
})

const share = (title: string, name: string): Column => ({
  title,
  digits: 2,
  of: (done) => part(done, "prdc", name),
  reference: (metrics) => numbers([(metrics.prdc?.value as Readonly<Record<string, unknown>> | undefined)?.[name]])[0],
})

interface Rows {
  /** Also shows variants that have not been run. */
  readonly every?: boolean
  /** Also shows photographs and the source's own images, below the variants. */
  readonly references?: boolean
}

/** A table with one row for each variant; empty columns are left out. */
const ofVariants = (
  found: All,
  target: string,
  columns: readonly Column[],
  { every = false, references = false }: Rows,
): Page.Block => {
  const variants = ExperimentResults.variantsOf(found)
    .map(({ id, title }) => {
      const cells = found.plan.entries.filter((e) => e.variant.id === id && e.target.name === target)
      const done = ExperimentResults.doneOf(found, id, target)
      return { title, done, cells: cells.length }
    })
    .filter(({ done }) => every || done.length > 0)
  const floor = references ? found.floors.get(target) : undefined
  const own: readonly (readonly Table.Cell[])[] = variants.map(({ title, done, cells }) => [
    title,
    done.length === 0 ? "not run" : `${done.length} of ${cells}`,
    ...columns.map(({ of }) => (done.length === 0 ? undefined : of(done))),
  ])
  const others: readonly (readonly Table.Cell[])[] = (
    floor === undefined
      ? []
      : [
          { title: "for comparison: photographs of the pool", metrics: floor.pool },
          { title: "for comparison: the source, before the transfer", metrics: floor.source },
        ]
  ).map(({ title, metrics }) => [title, undefined, ...columns.map(({ reference }) => reference?.(metrics))])
  // a variant with fewer draws than others does not compete for the best score
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

/** Scores of one target, and those of photographs and the source for comparison. */
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
        title: "ms per step",
        of: (done) => Math.round(done.reduce((sum, { msPerStep }) => sum + msPerStep, 0) / done.length),
      },
      {
        title: "wall time, minutes",
        digits: 0,
        of: (done) => Table.estimate(done.map((r) => (r.seconds + r.scoringSeconds) / 60)),
      },
    ],
    { every: true, references: true },
  )

/** The same checkpoints in other features; how varied the samples are, and whether they copy training images. */
export const opinions = (found: All, target: string): readonly Page.Block[] => {
  const names = ExperimentResults.opinionsOf(found)
  const levels = Math.max(0, ...[...found.results.values()].map(({ alignment }) => alignment?.length ?? 0))
  const isDone = found.plan.entries.some((e) => e.target.name === target && found.results.get(e.order.id)?.metrics.kid)
  if (!isDone) return []
  return [
    Page.details(`${target}: second opinions, diversity, memorisation`, [
      Page.text(
        "KID of the same images in other features (Inception's earlier levels, a ResNet for CIFAR-10); diversity, the mean distance between two samples; precision, recall, " +
          "density and coverage; and the median distance to the nearest training image, relative to that between training images: far below 1 would mean copies.",
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
        { references: true },
      ),
    ]),
    ...(levels === 0
      ? []
      : [
          Page.details(`${target}: KID in the features of the source's discriminator`, [
            Page.text(
              "Features are averaged over space after each group of the discriminator, counted from the image; a transfer that keeps n groups freezes the first n. Features are " +
                "divided by their root mean square over photographs. Variants of another source have no numbers here, because another discriminator's features do not compare.",
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

/** The training images nearest to the samples, by name. */
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
            "First draw; the smallest distances, in the deciding features. The photographs themselves are only in report.html, which is not committed.",
          ),
          Page.table({ columns, rows }),
        ]),
      ]
}

/** What happened to each variant's parameters; empty if no network was trained. */
export const fates = (found: All): readonly Page.Block[] => {
  const rows = ExperimentResults.variantsOf(found).flatMap(({ id, title }) => {
    const [{ plan } = {}] = ExperimentResults.doneOf(found, id)
    return plan?.total === undefined
      ? []
      : [[title, plan.total, plan.copied, plan.fresh, plan.frozen, plan.modulated, plan.trainable]]
  })
  const heads = ["variant", "parameters", "copied", "fresh", "frozen", "modulated", "trained"]
  const surgeries = ExperimentResults.variantsOf(found).flatMap(({ id, title }) => {
    const [{ cell } = {}] = ExperimentResults.doneOf(found, id)
    return cell === undefined ? [] : [`${title}. ${surgeryText(cell.training.surgery)}`]
  })
  return rows.length === 0
    ? []
    : [
        Page.heading("Parameters"),
        Page.table({ columns: heads.map((title) => ({ title })), rows }),
        Page.list(surgeries),
      ]
}

/** A cell's recipe decides in place of everything else that its surgery says. */
const surgeryText = (surgery: Surgery.Surgery): string =>
  surgery.recipe === undefined ? `${Surgery.text(surgery).join(". ")}.` : `Recipe ${surgery.recipe}.`

const VERDICTS: Readonly<Record<Verdict.Verdict, string>> = {
  holds: "holds",
  contradicted: "contradicted",
  undecided: "undecided",
  "not-tested": "not tested",
}

const verdictText = (judged: Pick<Verdict.Judgement, "verdict" | "pairs">): string =>
  Verdict.isIllustration(judged) ? "illustration" : VERDICTS[judged.verdict]

interface Shown {
  readonly title: string
  readonly digits: number
}

/** The title of a claim's measure, and the digits of its differences. */
const MEASURES: Readonly<Record<Measure, Shown>> = {
  kid: { title: "KID", digits: 6 },
  fid: { title: "FID", digits: 3 },
  diversity: { title: "diversity", digits: 3 },
  steps: { title: "iterations", digits: 0 },
  seconds: { title: "seconds", digits: 0 },
  "class-kid": { title: "KID of each class", digits: 6 },
  agreement: { title: "recognised as their class", digits: 3 },
  accuracy: { title: "accuracy", digits: 3 },
}

/** How to read the table of claims. */
export const reading = (judged: readonly ResultsFile.ResultsFile["claims"][number][]): Page.Block => {
  const has = (...measures: readonly Measure[]): boolean =>
    judged.some(({ measure }) => measures.some((m) => m === measure))
  const opinions = judged.flatMap(({ opinions }) => opinions)
  const asked = [...new Set(opinions.map(({ of }) => of))]
  return Page.text(
    "The effect is the mean difference of paired scores (same target, draw and seed), positive in favour of the claim, with the interval of resampled pairs (of three pairs, " +
      `the smallest and largest difference). A claim holds when there are at least ${Verdict.MIN_PAIRS} pairs, all have one sign, and the mean exceeds twice its deviation. The deviation ` +
      "joins the spread over pairs and the bootstrap noise of the scores, which all draws of a target share. A claim is contradicted when the pairs oppose it as clearly. Fewer pairs are an illustration." +
      (asked.length > 0 ? ` Other features (${asked.join(", ")}) judge the same images by KID in the same way.` : "") +
      (opinions.some(({ verdict }) => verdict === null)
        ? " Where the noise of their scores is not known, they give effects and no verdict: the spread over three pairs alone would decide 18 % of the claims that are not true."
        : "") +
      (has("steps", "seconds")
        ? " Iterations are counted until a run is as near to photographs as the source's own images. A run that never comes so near counts as arriving one checkpoint after its end, which makes the effect a lower bound. If neither run of a pair arrives, the pair does not count; if no pair is left, the claim is undecided."
        : ""),
  )
}

/** The verdicts by other features, grouped by verdict; the effects of those that give none. */
const opinionsText = (opinions: ResultsFile.ResultsFile["claims"][number]["opinions"]): string | undefined => {
  const judged = opinions.flatMap(({ verdict, ...rest }) => (verdict === null ? [] : [{ ...rest, verdict }]))
  const verdicts = [...new Set(judged.map(verdictText))]
  const named = verdicts.map((said) => {
    const who = judged.filter((opinion) => verdictText(opinion) === said)
    return who.length === opinions.length && verdicts.length === 1
      ? `${said} (all ${who.length})`
      : `${said}: ${who.map(({ of }) => of).join(", ")}`
  })
  const others = opinions.flatMap(({ verdict, of, effect }) =>
    verdict === null && effect !== null ? [`${of} ${String(Number(effect.toPrecision(2))).replace("-", "−")}`] : [],
  )
  return [...named, ...(others.length === 0 ? [] : [`effects ${others.join(", ")}`])].join("; ") || undefined
}

/** Claims with their effect and interval, and the verdicts by other features. */
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
    "by other features",
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
