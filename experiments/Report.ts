/** What an experiment found, for people: a page of claims, tables, curves, pictures and everything that made the numbers. */
import { Page } from "@adafm/report"
import * as Curves from "./Curves.ts"
import * as Found from "./Found.ts"
import * as Learned from "./Learned.ts"
import * as Pictures from "./Pictures.ts"
import * as Results from "./Results.ts"
import * as Tables from "./Tables.ts"
import * as Verdict from "./Verdict.ts"

type All = Found.Found

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

export const page = async (found: All, command: string): Promise<Page.Page> => {
  const { experiment, profile, plan, results } = found
  const judged = Results.json(found, command)
  const done = judged.cells.filter(({ status }) => status === "done").length
  const first = [...results.values()][0]
  const kid = Found.labelOf(found, "kid", "KID")
  const targets = Found.targetsOf(found)
  const total = [...results.values()].reduce((sum, r) => sum + r.seconds + r.scoringSeconds, 0)
  const perTarget = async (target: string): Promise<readonly Page.Block[]> => {
    const any = plan.entries.some(({ order, target: { name } }) => name === target && results.has(order.id))
    if (!any) return [Page.heading(target), Page.text("not run")]
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
      ...(await Learned.blocks(found, target)),
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
      Page.text(
        "The effect is the mean difference of paired scores (one target, draw and seed), positive in the claim's favour. A claim holds when all pairs " +
          "agree and the mean exceeds twice its deviation, which joins the spread over pairs and the bootstrap noise of the scores, which all draws of a target have in common. The interval is " +
          "that of resampled pairs: of three, their smallest and largest. Half of the held-out images chose each run's checkpoint, the other half gave the scores; ranges are over draws.",
      ),
      ...blocks,
      Page.heading("What moved"),
      Tables.fates(found),
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
