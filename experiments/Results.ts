/** What an experiment found: `results.json` for programs, a page for people. */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { Page, Table } from "@adafm/report"
import { z } from "zod"
import type { Experiment, ProfileName, Variant } from "./Experiment.ts"
import type { Plan } from "./Plan.ts"
import * as Runner from "./Runner.ts"
import * as Verdict from "./Verdict.ts"

export const Results = z.strictObject({
  experiment: z.string(),
  profile: z.string(),
  commit: z.string().nullable(),
  source: z.strictObject({ name: z.string(), sha256: z.string() }),
  data: z.array(
    z.strictObject({
      name: z.string(),
      sha256: z.string(),
      heldOutSha256: z.string(),
      draw: z.number(),
      train: z.number(),
      heldOut: z.number(),
    }),
  ),
  cells: z.array(
    z.strictObject({
      id: z.string(),
      variant: z.string(),
      target: z.string(),
      draw: z.number(),
      seed: z.number(),
      steps: z.number(),
      size: z.number().nullable(),
      nf: z.number().nullable(),
      nfMax: z.number().nullable(),
      status: z.enum(["done", "not-run"]),
      seconds: z.number().nullable(),
      metrics: z.record(z.string(), z.unknown()),
    }),
  ),
  claims: z.array(
    z.strictObject({
      id: z.string(),
      text: z.string(),
      verdict: z.enum(Verdict.VERDICTS),
      effect: z.number().nullable(),
      pairs: z.number(),
    }),
  ),
})
export type Results = z.output<typeof Results>

const scoreIn = (result: Runner.Result | undefined, metric: string): number | undefined => {
  const value = result?.metrics[metric]?.value
  return typeof value === "number" ? value : undefined
}

export interface Found {
  readonly experiment: Experiment
  readonly profile: ProfileName
  readonly plan: Plan
  /** By the cell's id. */
  readonly results: ReadonlyMap<string, Runner.Result>
  readonly commit: string | null
}

/** Scores of a variant, by seed. */
const scoresOf = ({ plan, results }: Found, variant: string, metric: string): ReadonlyMap<number, number> =>
  new Map(
    plan.entries.flatMap(({ variant: { id }, seed, order }) => {
      const value = id === variant ? scoreIn(results.get(order.id), metric) : undefined
      return value === undefined ? [] : [[seed, value] as const]
    }),
  )

const judge = (found: Found, { lower, than, metric }: Experiment["claims"][number]): Verdict.Judgement => {
  const others = scoresOf(found, than, metric)
  const pairs = [...scoresOf(found, lower, metric)].flatMap(([seed, ours]) => {
    const other = others.get(seed)
    return other === undefined ? [] : [[ours, other] as const]
  })
  return Verdict.of(pairs)
}

export const json = (found: Found): Results => {
  const { experiment, profile, plan, results, commit } = found
  const draws = new Map(plan.entries.map(({ seed, target }) => [seed, target]))
  return Results.parse({
    experiment: experiment.name,
    profile,
    commit,
    source: { name: plan.source.path, sha256: plan.source.sha256 },
    data: [...draws].map(([draw, { name, hashes, train, heldOut }]) => ({
      ...{ name, draw, sha256: hashes.train, heldOutSha256: hashes.heldOut },
      ...{ train: train.length, heldOut: heldOut.length },
    })),
    cells: plan.entries.map(({ variant, seed, target, order }) => {
      const result = results.get(order.id)
      return {
        ...{
          id: order.id,
          variant: variant.id,
          target: target.name,
          draw: seed,
          seed,
          steps: order.cell.schedule.steps,
        },
        ...{ size: result?.size ?? null, nf: result?.nf ?? null, nfMax: result?.nfMax ?? null },
        ...{ status: result === undefined ? "not-run" : "done", seconds: result?.seconds ?? null },
        metrics: result?.metrics ?? {},
      }
    }),
    claims: experiment.claims.map((claim) => ({ id: claim.id, text: claim.text, ...judge(found, claim) })),
  })
}

const variantsOf = ({ plan }: Found): readonly Variant[] => [...new Set(plan.entries.map(({ variant }) => variant))]

const table = (found: Found, labels: Readonly<Record<string, string>>): Page.Block => {
  const rows = variantsOf(found).map(({ id, title }): readonly Table.Cell[] => {
    const cells = found.plan.entries.filter(({ variant }) => variant.id === id)
    const done = cells.flatMap(({ order }) => found.results.get(order.id) ?? [])
    const scores = Object.keys(labels).map((metric) => Table.estimate([...scoresOf(found, id, metric).values()]))
    const seconds = Table.estimate(done.map((r) => r.seconds))
    return [
      title,
      done.length === 0 ? "not run" : `${done.length} of ${cells.length}`,
      done[0]?.plan.trainable,
      ...scores,
      seconds === undefined ? undefined : Math.round(seconds.mean),
    ]
  })
  const digits: Readonly<Record<string, number>> = { kid: 5, fid: 3 }
  return Page.table({
    columns: [
      { title: "variant" },
      { title: "seeds" },
      { title: "trained parameters" },
      ...Object.entries(labels).map(([metric, title]) => ({
        title,
        best: "low" as const,
        digits: digits[metric] ?? 3,
      })),
      { title: "seconds" },
    ],
    rows,
  })
}

const sweepChart = (
  found: Found,
  { title, axis, series }: Experiment["sweeps"][number],
  label: string,
): readonly Page.Block[] => {
  const drawn = series.map(({ name, points }) => ({
    name,
    points: points.flatMap(([x, id]) => {
      const e = Table.estimate([...scoresOf(found, id, "kid").values()])
      return e === undefined ? [] : [{ x, y: e.mean, ...(e.range !== undefined && { range: e.range }) }]
    }),
  }))
  const filled = drawn.filter(({ points }) => points.length > 1)
  if (filled.length === 0) return []
  return [Page.chart({ kind: "lines", title, x: { label: axis }, y: { label, from: 0 }, series: filled })]
}

const grids = async (found: Found): Promise<Page.Block> => {
  const pictures = []
  for (const { variant, order, seed } of found.plan.entries) {
    const file = Runner.samplesOf(order.id)
    if (seed !== 0 || !found.results.has(order.id) || !existsSync(file)) continue
    pictures.push({
      png: new Uint8Array(await readFile(file)),
      caption: variant.title,
      alt: `${variant.id}, generated images`,
    })
  }
  return Page.grid({ pictures })
}

const CREDIT: Readonly<Record<string, string>> = {
  flowers:
    "Generated images; the generators learned from photographs of the TensorFlow flowers set, licensed CC-BY by the photographers that its LICENSE.txt names.",
  "drawn:flowers": "Generated images; the generators learned from pictures that this project's own program drew.",
}

export const page = async (found: Found, command: string): Promise<Page.Page> => {
  const { experiment, profile, plan, results } = found
  const judged = json(found)
  const done = judged.cells.filter(({ status }) => status === "done").length
  const first = [...results.values()][0]
  const labels = Object.fromEntries(
    Object.entries(first?.metrics ?? {}).flatMap(([name, { label, value }]) =>
      typeof value === "number" ? [[name, label]] : [],
    ),
  )
  const kid = labels.kid ?? "KID"
  const seeds = new Set(plan.entries.map(({ seed }) => seed)).size
  const { schedule } = plan.entries[0]!.order.cell
  const targets = [...new Set(plan.entries.map(({ target }) => target.name))]
  return {
    title: experiment.title,
    subtitle: `${experiment.name}, profile ${profile}: ${done} of ${judged.cells.length} cells done`,
    blocks: [
      Page.text(experiment.question),
      ...(seeds < Verdict.ENOUGH
        ? [Page.note(`Illustration, not evidence: ${seeds === 1 ? "one seed" : `${seeds} seeds`} of each variant.`)]
        : []),
      ...(plan.source.path.endsWith("tiny")
        ? [Page.note("The source is a random network: this only shows that everything runs.")]
        : []),
      Page.heading("Claims"),
      Page.table({
        columns: [{ title: "claim" }, { title: "verdict" }, { title: "effect" }, { title: "pairs" }],
        rows: judged.claims.map(({ text, verdict, effect, pairs }) => [text, verdict, effect ?? undefined, pairs]),
      }),
      Page.text(
        "The effect is the mean difference of paired scores, positive in the claim's favour. A claim holds when all pairs agree and " +
          "the mean exceeds twice its deviation.",
      ),
      Page.heading("Scores"),
      table(found, labels),
      ...experiment.sweeps.flatMap((sweep) => sweepChart(found, sweep, kid)),
      Page.chart({
        kind: "estimates",
        title: `${kid} of every run; lower is better`,
        x: { label: kid },
        rows: variantsOf(found).map(({ id, title }) => ({
          name: title,
          values: [...scoresOf(found, id, "kid").values()],
        })),
      }),
      Page.heading("Samples"),
      Page.text(`From the same latents, not chosen. ${targets.map((name) => CREDIT[name] ?? "").join(" ")}`.trim()),
      await grids(found),
      Page.heading("How to get these numbers"),
      Page.code(command),
      Page.facts({
        source: `${plan.source.path}, ${plan.source.sha256.slice(0, 12)}…`,
        target: judged.data
          .map((d) => `${d.name}, draw ${d.draw}: ${d.train} to learn from, ${d.heldOut} held out`)
          .join("; "),
        schedule: JSON.stringify(schedule),
        engine: first?.engine ?? "–",
        commit: found.commit ?? "–",
        ...(plan.impossible.length > 0 && { "not possible with this source": plan.impossible.join(", ") }),
      }),
    ],
  }
}
