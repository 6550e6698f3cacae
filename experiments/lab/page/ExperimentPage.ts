/** The page of an experiment: claims, tables, curves, images, and what is needed to reproduce the numbers. */
import { Page } from "@adafm/report"
import * as ExperimentResults from "../judge/ExperimentResults.ts"
import * as ResultsFile from "../judge/ResultsFile.ts"
import * as Verdict from "../judge/Verdict.ts"
import * as Curves from "./Curves.ts"
import * as ModulationMaps from "./ModulationMaps.ts"
import * as Pictures from "./Pictures.ts"
import * as Tables from "./Tables.ts"

type All = ExperimentResults.Results

const notes = (found: All): readonly Page.Block[] => {
  const seeds = new Set(found.plan.entries.map(({ seed }) => seed)).size
  return [
    ...(seeds < Verdict.MIN_PAIRS
      ? [Page.note(`Illustration, not evidence: ${seeds === 1 ? "one draw" : `${seeds} draws`} of each variant.`)]
      : []),
    ...(found.plan.source.path.endsWith("tiny")
      ? [Page.note("The source is a random network: this only shows that everything runs.")]
      : []),
  ]
}

/** Names with values; the values of a list are joined. */
const settings = (values: object): string =>
  Object.entries(values)
    .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(" + ") || "none" : value}`)
    .join(", ")

/** One entry for all draws with the same number of images. */
const targetsText = (data: ResultsFile.ResultsFile["data"]): string => {
  const draws = new Map<string, number[]>()
  for (const { name, draw, train, heldOut } of data) {
    const size = `${name}: ${train} for training, ${heldOut} held out`
    draws.set(size, [...(draws.get(size) ?? []), draw])
  }
  return [...draws]
    .map(([size, each]) => `${size} (${each.length > 1 ? "draws" : "draw"} ${each.join(", ")})`)
    .join("; ")
}

export const page = async (found: All, command: string): Promise<Page.Page> => {
  const { experiment, profile, plan, results } = found
  const judged = ResultsFile.make(found, command)
  const done = judged.cells.filter(({ status }) => status === "done").length
  const left = plan.entries.length - done
  const first = [...results.values()][0]
  const kid = ExperimentResults.labelOf(found, "kid", "KID")
  const targets = ExperimentResults.targetsOf(found)
  const total = [...results.values()].reduce((sum, r) => sum + r.seconds + r.scoringSeconds, 0)
  const perTarget = async (target: string): Promise<readonly Page.Block[]> => {
    const any = plan.entries.some(({ order, target: { name } }) => name === target && results.has(order.id))
    if (!any) return [Page.heading(target), Page.text("not run yet")]
    return [
      Page.heading(target),
      Tables.scores(found, target),
      ...Tables.opinions(found, target),
      ...experiment.sweeps.flatMap((sweep) => Curves.sweep(found, target, sweep, kid)),
      ...(["kid", "accuracy"] as const).flatMap((measure) => Curves.estimates(found, target, measure)),
      ...Curves.curves(found, target),
      ...Curves.speed(found, target),
      ...(await Pictures.blocks(found, target)),
      ...Tables.nearest(found, target),
      ...(await ModulationMaps.blocks(found, target)),
    ]
  }
  const blocks: Page.Block[] = []
  for (const target of targets) blocks.push(...(await perTarget(target)))
  return {
    title: experiment.title,
    subtitle: `${experiment.name}, profile ${profile}: ${done} of ${plan.entries.length} cells done`,
    blocks: [
      Page.text(experiment.question),
      ...notes(found),
      Page.heading("Claims"),
      Tables.claims(judged.claims),
      Tables.reading(judged.claims),
      Page.text(
        "Half of the held-out images chose each run's checkpoint, the other half gave the scores; ranges are over draws.",
      ),
      ...blocks,
      ...Tables.fates(found),
      ...(plan.missing.length === 0
        ? []
        : [
            Page.heading("Not run"),
            Page.list(plan.missing.map(({ variant, reason }) => `${variant.title}: ${reason}`)),
          ]),
      Page.heading("How to reproduce these numbers"),
      ...(left > 0 ? [Page.text(`The same command runs the remaining ${left} cells.`)] : []),
      Page.code(command),
      Page.facts({
        source: `${plan.source.path}, ${plan.source.sha256}${plan.source.step === undefined ? "" : `, ${plan.source.step} iterations`}`,
        ...(plan.source.scores !== undefined && { "the source's own scores": JSON.stringify(plan.source.scores) }),
        targets: targetsText(judged.data),
        schedule: settings(plan.profile.schedule),
        scores: settings(plan.entries[0]?.order.cell.score ?? {}),
        ...(first !== undefined && {
          engine: first.engine,
          "wall time of all cells shown": `${(total / 3600).toFixed(1)} h, training and scores`,
          versions: settings(judged.versions) || "–",
        }),
        commit: found.commit ?? "–",
        "every number and hash": "results.json, in the folder of the experiment",
      }),
    ],
  }
}
