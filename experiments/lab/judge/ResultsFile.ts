/** `results.json`: what an experiment found, for programs. */
import { z } from "zod"
import { MEASURES } from "../declare/Experiment.ts"
import * as ExperimentResults from "./ExperimentResults.ts"
import type { Metric } from "./Metric.ts"
import * as Verdict from "./Verdict.ts"

export const ResultsFile = z.strictObject({
  experiment: z.string(),
  profile: z.string(),
  commit: z.string().nullable(),
  command: z.string(),
  source: z.strictObject({ name: z.string(), sha256: z.string(), step: z.number().nullable(), scores: z.unknown() }),
  data: z.array(
    z.strictObject({
      name: z.string(),
      draw: z.number(),
      /** SHA-256 over names and contents of the training images. */
      sha256: z.string(),
      choosingSha256: z.string(),
      reportingSha256: z.string(),
      train: z.number(),
      heldOut: z.number(),
    }),
  ),
  versions: z.record(z.string(), z.unknown()),
  /** For each target, the scores of real photographs and of the untouched source (`ReferenceScores`). */
  floors: z.record(z.string(), z.unknown()),
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
      reason: z.string().optional(),
      seconds: z.number().nullable(),
      msPerStep: z.number().nullable(),
      plan: z.record(z.string(), z.number()).optional(),
      /** Step of the checkpoint that the scores belong to. */
      chosen: z.number().nullable(),
      candidates: z.array(z.unknown()).optional(),
      curve: z.array(z.strictObject({ step: z.number(), seconds: z.number(), kid: z.number(), fid: z.number() })),
      metrics: z.record(z.string(), z.unknown()),
      /** Commit of the code that ran the cell, if the cell records it. */
      commit: z.string().nullable().optional(),
    }),
  ),
  claims: z.array(
    z.strictObject({
      id: z.string(),
      of: z.string().nullable(),
      text: z.string(),
      measure: z.enum(MEASURES),
      verdict: z.enum(Verdict.VERDICTS),
      effect: z.number().nullable(),
      deviation: z.number().nullable(),
      /** 95 % interval of the effect over resampled pairs. */
      interval: z.tuple([z.number(), z.number()]).readonly().nullable(),
      pairs: z.number(),
      /** Ids of the variants that it compares. */
      better: z.string(),
      than: z.string(),
      /** Verdicts by KID in other features on the same images; only of claims about KID. */
      opinions: z.array(
        z.strictObject({
          of: z.string(),
          /** None where the noise of some of these scores is not known: the spread over three pairs alone decides too easily. */
          verdict: z.enum(Verdict.VERDICTS).nullable(),
          effect: z.number().nullable(),
          pairs: z.number(),
        }),
      ),
    }),
  ),
})
export type ResultsFile = z.output<typeof ResultsFile>

/** Leaves out what all scores of the experiment have in common, and the resamples, which the cells have. */
const trimmed = (metrics: Readonly<Record<string, Metric>>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(metrics).map(([name, { images: _, versions: __, warnings: ___, resampled: ____, ...metric }]) => [
      name,
      metric,
    ]),
  )

const absent = {
  size: null,
  nf: null,
  nfMax: null,
  seconds: null,
  msPerStep: null,
  chosen: null,
  curve: [],
  metrics: {},
}

const opinions = (
  found: ExperimentResults.Results,
  claim: ExperimentResults.Results["experiment"]["claims"][number],
) =>
  claim.measure !== "kid"
    ? []
    : ExperimentResults.opinionsOf(found).flatMap((measure) => {
        const { verdict, effect, pairs } = ExperimentResults.judge(found, { ...claim, measure })
        const isNoiseKnown = [claim.better, claim.than].every((variant) =>
          ExperimentResults.saysNoise(found, variant, measure),
        )
        return pairs === 0
          ? []
          : [{ of: measure.replace("kid-", ""), verdict: isNoiseKnown ? verdict : null, effect, pairs }]
      })

export const make = (found: ExperimentResults.Results, command: string): ResultsFile => {
  const { experiment, profile, plan, results, commit, floors } = found
  const draws = new Map(
    plan.entries.map(({ seed, target }) => [`${target.name}/${seed}/${target.places.train.sha256}`, { seed, target }]),
  )
  return ResultsFile.parse({
    experiment: experiment.name,
    profile,
    commit,
    command,
    source: {
      name: plan.source.path,
      sha256: plan.source.sha256,
      step: plan.source.step ?? null,
      scores: plan.source.scores ?? null,
    },
    data: [...draws.values()].map(({ seed, target: { name, places } }) => ({
      name,
      draw: seed,
      sha256: places.train.sha256,
      choosingSha256: places.choosing.sha256,
      reportingSha256: places.reporting.sha256,
      train: places.train.names.length,
      heldOut: places.choosing.names.length + places.reporting.names.length,
    })),
    versions: [...results.values()].find(({ metrics }) => metrics.kid?.versions)?.metrics.kid?.versions ?? {},
    floors: Object.fromEntries(
      [...floors].map(([name, { pool, source, curve }]) => [
        name,
        { pool: trimmed(pool), source: trimmed(source), curve },
      ]),
    ),
    cells: [
      ...plan.entries.map(({ variant, seed, target, order }) => {
        const result = results.get(order.id)
        const { steps } = order.cell.training.schedule
        const about = { id: order.id, variant: variant.id, target: target.name, draw: seed, seed, steps }
        if (result === undefined) return { ...about, ...absent, status: "not-run" }
        const { size, nf, nfMax, seconds, msPerStep, plan: fates, chosen, candidates, curve, metrics, commit } = result
        const measured = { size, nf, nfMax, seconds, msPerStep, plan: fates, chosen, candidates, curve, commit }
        return { ...about, ...measured, metrics: trimmed(metrics), status: "done" }
      }),
      ...plan.missing.map(({ variant, reason }) => ({
        id: `not-run-${variant.id}`,
        variant: variant.id,
        target: "any",
        draw: 0,
        seed: 0,
        reason,
        ...absent,
        steps: plan.profile.schedule.steps,
        status: "not-run",
      })),
    ],
    claims: experiment.claims.map((claim) => ({
      id: claim.id,
      of: claim.of ?? null,
      text: claim.text,
      measure: claim.measure,
      ...ExperimentResults.judge(found, claim),
      better: claim.better,
      than: claim.than,
      opinions: opinions(found, claim),
    })),
  })
}
