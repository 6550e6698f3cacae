/** What an experiment found, for people: a page of claims, tables, curves, pictures and everything that made the numbers. */
import { readFile } from "node:fs/promises"
import { Page, Table } from "@adafm/report"
import type { Sweep, Variant } from "./Experiment.ts"
import * as Found from "./Found.ts"
import * as Learned from "./Learned.ts"
import * as Results from "./Results.ts"
import * as Runner from "./Runner.ts"
import * as Verdict from "./Verdict.ts"

type All = Found.Found

const variantsOf = ({ plan }: All): readonly Variant[] => [
  ...new Map(plan.entries.map(({ variant }) => [variant.id, variant])).values(),
]

const targetsOf = ({ plan }: All): readonly string[] => [...new Set(plan.entries.map(({ target }) => target.name))]

const labelOf = ({ results }: All, metric: string, otherwise: string): string =>
  [...results.values()][0]?.metrics[metric]?.label ?? otherwise

const numbers = (values: readonly unknown[]): readonly number[] => values.filter(Found.isNumber)

const VERDICTS: Readonly<Record<Verdict.Verdict, string>> = {
  holds: "holds",
  contradicted: "contradicted",
  undecided: "undecided",
  "not-tested": "not tested",
}

/** Scores of one target; below them what they are to be read beside. */
const table = (found: All, target: string): Page.Block => {
  const rows = variantsOf(found).map(({ id, title }): readonly Table.Cell[] => {
    const cells = found.plan.entries.filter((e) => e.variant.id === id && e.target.name === target)
    const done = cells.flatMap(({ order }) => found.results.get(order.id) ?? [])
    const of = (name: string): Table.Estimate | undefined =>
      Table.estimate(numbers(done.map(({ metrics }) => metrics[name]?.value)))
    const perStep = Table.estimate(done.map(({ msPerStep }) => msPerStep))
    return [
      title,
      done.length === 0 ? "not run" : `${done.length} of ${cells.length}`,
      done[0]?.plan.trainable,
      of("kid"),
      of("fid"),
      done.length === 0 ? undefined : done.map(({ chosen }) => chosen).join(", "),
      of("diversity"),
      of("memorisation"),
      perStep === undefined ? undefined : Math.round(perStep.mean),
    ]
  })
  const floor = found.floors.get(target)
  const beside = (
    title: string,
    metrics: Readonly<Record<string, { readonly value: unknown }>>,
  ): readonly Table.Cell[] => {
    const of = (name: string): Table.Cell => numbers([metrics[name]?.value])[0]
    return [title, undefined, undefined, of("kid"), of("fid"), undefined, of("diversity"), undefined, undefined]
  }
  return Page.table({
    columns: [
      { title: "variant" },
      { title: "draws" },
      { title: "trained parameters" },
      { title: labelOf(found, "kid", "KID"), best: "low", digits: 5 },
      { title: labelOf(found, "fid", "FID"), best: "low", digits: 3 },
      { title: "checkpoint" },
      { title: "diversity", digits: 2 },
      { title: "nearest training image", digits: 2 },
      { title: "ms a step" },
    ],
    rows: [
      ...rows,
      ...(floor === undefined
        ? []
        : [
            beside("floor: photographs of the pool", floor.pool),
            beside("the source's images, before any training", floor.source),
          ]),
    ],
    contest: rows.length,
  })
}

type Point = Runner.Result["curve"][number]

/** The mean over draws at each checkpoint, with the range. */
const curveOf = (curves: readonly (readonly Point[])[], x: "step" | "seconds") =>
  (curves[0] ?? []).flatMap((_, i) => {
    const at = curves.flatMap((curve) => curve[i] ?? [])
    if (at.length < curves.length) return []
    const y = Table.estimate(at.map(({ kid }) => kid))!
    const mean = at.reduce((sum, p) => sum + p[x], 0) / at.length
    return [{ x: mean, y: y.mean, ...(y.range !== undefined && { range: y.range }) }]
  })

const CURVES = 7

const curves = (found: All, target: string): readonly Page.Block[] => {
  const { experiment, plan, results } = found
  const named =
    experiment.curves ??
    variantsOf(found)
      .slice(0, CURVES)
      .map(({ id }) => id)
  const series = (x: "step" | "seconds") =>
    variantsOf(found).flatMap(({ id, title }) => {
      const cells = plan.entries.filter((e) => e.variant.id === id && e.target.name === target)
      const each = cells.flatMap(({ order }) => {
        const result = results.get(order.id)
        return result === undefined ? [] : [result.curve]
      })
      return named.includes(id) && each.length > 0 ? [{ name: title, points: curveOf(each, x) }] : []
    })
  const floor = found.floors.get(target)
  const levels =
    floor === undefined
      ? []
      : [
          { name: "floor", y: floor.curve.pool },
          ...Found.LEVELS.map((share) => ({ name: `${100 * share} %`, y: Found.levelOf(floor, share) })),
        ]
  const label = [...results.values()][0]?.curveLabel ?? "KID"
  if (series("step").length === 0) return []
  const chart = (x: "step" | "seconds", name: string): Page.Block =>
    Page.chart({
      kind: "lines",
      title: `${target}: ${label} against ${name}`,
      x: { label: name, from: 0 },
      y: { label, from: 0 },
      series: series(x),
      levels,
    })
  return [chart("step", "iterations"), chart("seconds", "seconds of training")]
}

/** When each variant reaches the preset levels; "never" is a value. */
const speed = (found: All, target: string): readonly Page.Block[] => {
  const floor = found.floors.get(target)
  if (floor === undefined) return []
  const rows = variantsOf(found).flatMap(({ id, title }): readonly (readonly Table.Cell[])[] => {
    const done = found.plan.entries
      .filter((e) => e.variant.id === id && e.target.name === target)
      .flatMap(({ order }) => found.results.get(order.id) ?? [])
    if (done.length === 0) return []
    const when = (share: number): string =>
      done
        .map((result) => {
          const point = Found.reaches(result, Found.levelOf(floor, share))
          return point === undefined ? "never" : `${point.step} (${Math.round(point.seconds)} s)`
        })
        .join(", ")
    return [[title, ...Found.LEVELS.map(when)]]
  })
  if (rows.length === 0) return []
  const columns = [
    { title: `${target}: iterations (seconds) to` },
    ...Found.LEVELS.map((share) => ({
      title: `${100 * share} % of the way, KID ${Found.levelOf(floor, share).toPrecision(3)}`,
    })),
  ]
  return [Page.table({ columns, rows })]
}

const sweepChart = (found: All, target: string, { title, axis, log, series }: Sweep, label: string) => {
  const drawn = series.map(({ name, points }) => ({
    name,
    points: points.flatMap(([x, id]) => {
      const e = Table.estimate(Found.scoresOf(found, id, "kid", target))
      return e === undefined ? [] : [{ x, y: e.mean, ...(e.range !== undefined && { range: e.range }) }]
    }),
  }))
  const filled = drawn.filter(({ points }) => points.length > 1)
  if (filled.length === 0) return []
  const x = { label: axis, log }
  return [Page.chart({ kind: "lines", title: `${target}: ${title}`, x, y: { label, from: 0 }, series: filled })]
}

/** Every variant from the same latents, first draw. */
const grids = async (found: All, target: string): Promise<Page.Block> => {
  const pictures = []
  for (const {
    variant,
    order,
    seed,
    target: { name },
  } of found.plan.entries) {
    const file = Runner.samplesOf(order.id)
    if (seed !== 0 || name !== target || !found.results.has(order.id) || file === undefined) continue
    const caption = `${target}: ${variant.title}`
    pictures.push({ png: await readFile(file), caption, alt: `${caption}, generated images` })
  }
  return Page.grid({ pictures })
}

const fates = (found: All): Page.Block =>
  Page.table({
    columns: ["variant", "parameters", "copied", "fresh", "frozen", "modulated", "trained"].map((title) => ({ title })),
    rows: variantsOf(found).flatMap(({ id, title }) => {
      const entry = found.plan.entries.find((e) => e.variant.id === id && found.results.has(e.order.id))
      const plan = entry && found.results.get(entry.order.id)!.plan
      return plan === undefined
        ? []
        : [[title, plan.total, plan.copied, plan.fresh, plan.frozen, plan.modulated, plan.trainable]]
    }),
  })

const CREDIT: Readonly<Record<string, string>> = {
  flowers:
    "Generated images; the generators learned from photographs of the TensorFlow flowers set, licensed CC-BY by the photographers that its LICENSE.txt names.",
  horse: "Generated images; the generators learned from the horses of CIFAR-10 (Krizhevsky 2009).",
  ship: "Generated images; the generators learned from the ships of CIFAR-10 (Krizhevsky 2009).",
  "drawn:flowers": "Generated images; the generators learned from pictures that this project's own program drew.",
}

const notes = (found: All): readonly Page.Block[] => {
  const seeds = new Set(found.plan.entries.map(({ seed }) => seed)).size
  return [
    ...(seeds < Verdict.ENOUGH
      ? [Page.note(`Illustration, not evidence: ${seeds === 1 ? "one draw" : `${seeds} draws`} of each variant.`)]
      : []),
    ...(found.plan.source.path.endsWith("tiny")
      ? [Page.note("The source is a random network: this only shows that everything runs.")]
      : []),
  ]
}

export const claimsTable = (claims: Results.Results["claims"]): Page.Block =>
  Page.table({
    columns: [
      { title: "claim" },
      { title: "of" },
      { title: "measure" },
      { title: "verdict" },
      { title: "effect" },
      { title: "± deviation" },
      { title: "pairs" },
    ],
    rows: claims.map(({ text, of, measure, verdict, effect, deviation, pairs }) => [
      text,
      of ?? undefined,
      measure,
      VERDICTS[verdict],
      effect ?? undefined,
      deviation ?? undefined,
      pairs,
    ]),
  })

export const page = async (found: All, command: string): Promise<Page.Page> => {
  const { experiment, profile, plan, results } = found
  const judged = Results.json(found, command)
  const done = judged.cells.filter(({ status }) => status === "done").length
  const first = [...results.values()][0]
  const kid = labelOf(found, "kid", "KID")
  const targets = targetsOf(found)
  const total = [...results.values()].reduce((sum, r) => sum + r.seconds + r.scoringSeconds, 0)
  const perTarget = async (target: string): Promise<readonly Page.Block[]> => {
    const any = plan.entries.some(({ order, target: { name } }) => name === target && results.has(order.id))
    if (!any) return [Page.heading(target), Page.text("not run")]
    return [
      Page.heading(target),
      table(found, target),
      ...experiment.sweeps.flatMap((sweep) => sweepChart(found, target, sweep, kid)),
      Page.chart({
        kind: "estimates",
        title: `${target}: ${kid} of every draw; lower is better`,
        x: { label: kid },
        rows: variantsOf(found)
          .map(({ id, title }) => ({ name: title, values: Found.scoresOf(found, id, "kid", target) }))
          .filter(({ values }) => values.length > 0),
      }),
      ...curves(found, target),
      ...speed(found, target),
      Page.text(`From the same latents, not chosen, first draw. ${CREDIT[target] ?? ""}`.trim()),
      await grids(found, target),
      ...(await Learned.blocks(found, target)),
    ]
  }
  const blocks: Page.Block[] = []
  for (const target of targets) blocks.push(...(await perTarget(target)))
  return {
    title: experiment.title,
    subtitle: `${experiment.name}, profile ${profile}: ${done} of ${judged.cells.length} cells done`,
    blocks: [
      Page.text(experiment.question),
      ...notes(found),
      Page.heading("Claims"),
      claimsTable(judged.claims),
      Page.text(
        "The effect is the mean difference of paired scores (one target, draw and seed), positive in the claim's favour. A claim holds when all pairs " +
          "agree and the mean exceeds twice its deviation, which joins the spread over pairs and the bootstrap noise of the scores. Half of the held-out " +
          "images chose each run's checkpoint, the other half gave the scores; ranges are over draws.",
      ),
      ...blocks,
      Page.heading("What moved"),
      fates(found),
      ...(plan.missing.length === 0
        ? []
        : [
            Page.heading("Not run"),
            Page.list(plan.missing.map(({ variant, reason }) => `${variant.title}: ${reason}`)),
          ]),
      Page.heading("How to get these numbers"),
      Page.code(command),
      Page.facts({
        source: `${plan.source.path}, ${plan.source.sha256.slice(0, 12)}…${plan.source.step === undefined ? "" : `, ${plan.source.step} iterations`}`,
        ...(plan.source.scores !== undefined && { "the source's own scores": JSON.stringify(plan.source.scores) }),
        target: judged.data
          .map((d) => `${d.name}, draw ${d.draw}: ${d.train} to learn from, ${d.heldOut} held out`)
          .join("; "),
        schedule: JSON.stringify(plan.profile.schedule),
        scores: JSON.stringify(plan.entries[0]?.order.cell.score ?? {}),
        engine: first?.engine ?? "–",
        "time of all cells shown": `${(total / 3600).toFixed(1)} h, training and scores`,
        commit: found.commit ?? "–",
      }),
    ],
  }
}
