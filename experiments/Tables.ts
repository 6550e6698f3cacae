/** Tables of an experiment's page: scores of every variant, further opinions, fates of the parameters, claims. */
import { Page, Table } from "@adafm/report"
import * as Found from "./Found.ts"
import type * as Results from "./Results.ts"
import type * as Runner from "./Runner.ts"
import type * as Score from "./Score.ts"
import type * as Verdict from "./Verdict.ts"

type All = Found.Found

const numbers = (values: readonly unknown[]): readonly number[] => values.filter(Found.isNumber)

const estimate = (done: readonly Runner.Result[], metric: string): Table.Estimate | undefined =>
  Table.estimate(numbers(done.map(({ metrics }) => metrics[metric]?.value)))

/** Of a score that has several numbers, one. */
const part = (done: readonly Runner.Result[], metric: string, name: string): Table.Estimate | undefined =>
  Table.estimate(
    numbers(
      done.map(({ metrics }) => (metrics[metric]?.value as Readonly<Record<string, unknown>> | undefined)?.[name]),
    ),
  )

interface Column extends Table.Column {
  readonly of: (done: readonly Runner.Result[]) => Table.Cell
  /** What stands there for photographs and for the source's own images. */
  readonly beside?: (metrics: Readonly<Record<string, Score.Metric>>) => Table.Cell
}

/** A score by its name, also of what the variants are read beside. */
const score = (title: string, metric: string, digits: number, best?: "low" | "high"): Column => ({
  ...{ title, digits, ...(best !== undefined && { best }) },
  of: (done) => estimate(done, metric),
  beside: (metrics) => numbers([metrics[metric]?.value])[0],
})

const share = (title: string, name: string): Column => ({
  ...{ title, digits: 2, of: (done) => part(done, "prdc", name) },
  beside: (metrics) => numbers([(metrics.prdc?.value as Readonly<Record<string, unknown>> | undefined)?.[name]])[0],
})

/** Rows of variants and what they are to be read beside; columns that nothing fills are left out. */
const ofVariants = (found: All, target: string, columns: readonly Column[], isBeside: boolean): Page.Block => {
  const variants = Found.variantsOf(found).map(({ id, title }) => {
    const cells = found.plan.entries.filter((e) => e.variant.id === id && e.target.name === target)
    const done = Found.doneOf(found, id, target)
    return { title, done, cells: cells.length }
  })
  const floor = isBeside ? found.floors.get(target) : undefined
  const rows: readonly (readonly Table.Cell[])[] = [
    ...variants.map(({ title, done, cells }) => [
      title,
      done.length === 0 ? "not run" : `${done.length} of ${cells}`,
      ...columns.map(({ of }) => (done.length === 0 ? undefined : of(done))),
    ]),
    ...(floor === undefined
      ? []
      : [
          { title: "floor: photographs of the pool", metrics: floor.pool },
          { title: "the source's images, before any training", metrics: floor.source },
        ].map(({ title, metrics }) => [title, undefined, ...columns.map(({ beside }) => beside?.(metrics))])),
  ]
  const shown = [{ title: "variant" }, { title: "draws" }, ...columns]
  const filled = shown.map((_, c) => rows.some((row) => row[c] !== undefined))
  return Page.table({
    columns: shown.filter((_, c) => filled[c]).map(({ title, ...rest }) => ({ title, ...pick(rest) })),
    rows: rows.map((row) => row.filter((_, c) => filled[c])),
    contest: variants.length,
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
      score(Found.labelOf(found, "accuracy", "accuracy"), "accuracy", 3, "high"),
      score(Found.labelOf(found, "kid", "KID"), "kid", 5, "low"),
      score(Found.labelOf(found, "fid", "FID"), "fid", 3, "low"),
      score(Found.labelOf(found, "class-kid", "KID of each class"), "class-kid", 5, "low"),
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
        title: "minutes, training and scores",
        of: (done) => Math.round(done.reduce((sum, r) => sum + r.seconds + r.scoringSeconds, 0) / done.length / 60),
      },
    ],
    true,
  )

/** The same checkpoints through other eyes; whether samples vary, resemble photographs, or copy them. */
export const opinions = (found: All, target: string): readonly Page.Block[] => {
  const names = Found.opinionsOf(found)
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
          ...names.map((name) => score(Found.labelOf(found, name, name), name, 4, "low")),
          score("diversity", "diversity", 2),
          share("precision", "precision"),
          share("recall", "recall"),
          share("density", "density"),
          share("coverage", "coverage"),
          score("nearest training image", "memorisation", 2),
        ],
        true,
      ),
    ]),
    ...(levels === 0
      ? []
      : [
          Page.details(`${target}: how far from photographs, as the source's own discriminator sees them`, [
            Page.text(
              "KID of the mean over space behind each of its groups, counted from the image; a transfer that keeps n groups freezes the first n. Features are divided by " +
                "their root mean square over photographs.",
            ),
            ofVariants(
              found,
              target,
              Array.from({ length: levels }, (_, k) => ({
                ...{ title: `group ${k + 1}`, digits: 3, best: "low" as const },
                of: (done) => Table.estimate(numbers(done.map(({ alignment }) => alignment?.[k]))),
              })),
              false,
            ),
          ]),
        ]),
  ]
}

const NEAREST = 3

/** Which training images the samples resemble most, by name. */
export const nearest = (found: All, target: string): readonly Page.Block[] => {
  const rows = Found.variantsOf(found).flatMap(({ id, title }): readonly (readonly Table.Cell[])[] => {
    const first = found.plan.entries.find((e) => e.variant.id === id && e.target.name === target && e.seed === 0)
    const result = first && found.results.get(first.order.id)
    if (result === undefined || result.nearest.length === 0) return []
    const sorted = result.nearest.toSorted((a, b) => a.distance - b.distance).slice(0, NEAREST)
    return [[title, ...sorted.map(({ image, distance }) => `${image} (${distance.toPrecision(3)})`)]]
  })
  const columns = ["variant", ...Array.from({ length: NEAREST }, (_, k) => `${k + 1}.`)].map((title) => ({ title }))
  return rows.length === 0
    ? []
    : [
        Page.details(`${target}: the training images nearest to the samples shown, by name`, [
          Page.text(
            "First draw; distance in the features that decide. The photographs themselves are shown in report.html, which is not committed.",
          ),
          Page.table({ columns, rows }),
        ]),
      ]
}

export const fates = (found: All): Page.Block =>
  Page.table({
    columns: ["variant", "parameters", "copied", "fresh", "frozen", "modulated", "trained"].map((title) => ({ title })),
    rows: Found.variantsOf(found).flatMap(({ id, title }) => {
      const entry = found.plan.entries.find((e) => e.variant.id === id && found.results.has(e.order.id))
      const plan = entry && found.results.get(entry.order.id)!.plan
      return plan === undefined
        ? []
        : [[title, plan.total, plan.copied, plan.fresh, plan.frozen, plan.modulated, plan.trainable]]
    }),
  })

const VERDICTS: Readonly<Record<Verdict.Verdict, string>> = {
  holds: "holds",
  contradicted: "contradicted",
  undecided: "undecided",
  "not-tested": "not tested",
}

/** Effects with their interval, and what another network says of the same images. */
export const claims = (judged: readonly Results.Results["claims"][number][], where?: readonly string[]): Page.Block => {
  const heads = [
    "claim",
    where === undefined ? "of" : "experiment",
    "measure",
    "verdict",
    "effect",
    "± deviation",
    "pairs",
    "other features say",
  ]
  return Page.table({
    columns: heads.map((title) => ({ title })),
    rows: judged.map(({ text, of, measure, verdict, effect, deviation, interval, pairs, opinions }, i) => [
      text,
      where === undefined ? (of ?? undefined) : where[i],
      measure,
      VERDICTS[verdict],
      effect === null ? undefined : { mean: effect, ...(interval !== null && { range: interval }) },
      deviation ?? undefined,
      pairs,
      opinions.length === 0 ? undefined : opinions.map(({ of, verdict }) => `${of}: ${VERDICTS[verdict]}`).join(", "),
    ]),
  })
}
