/** An experiment as data: variants, the claims they speak to, and profiles that say how much of it is run. */
import { z } from "zod"
import * as Cell from "./Cell.ts"

export const PROFILES = ["smoke", "quick", "standard", "paper"] as const
export type ProfileName = (typeof PROFILES)[number]

const name = z.string().regex(/^[a-z0-9-]+$/)

const Variant = z.strictObject({
  id: name,
  title: z.string(),
  surgery: Cell.Surgery.prefault({}),
  /** Deviations from the profile's schedule. */
  schedule: Cell.Schedule.partial().default({}),
})
export type Variant = z.output<typeof Variant>

const Profile = z.strictObject({
  schedule: Cell.Schedule,
  score: Cell.Score.prefault({}),
  /** Draws of training images, one seed each. */
  seeds: z.number().int().positive(),
  /** Training images of a draw. */
  images: z.number().int().positive(),
  /** Only these variants; all by default. */
  variants: z.array(name).optional(),
  /** `tiny` is a random network that is made on the spot; `default` the best that is at hand; nothing: one has to be named. */
  source: z.enum(["tiny", "default"]).optional(),
  /** `drawn` flowers, or photographs where they are at hand. Nothing: they have to be named. */
  data: z.enum(["drawn", "default"]).optional(),
})
export type Profile = z.output<typeof Profile>

const Claim = z.strictObject({
  id: name,
  text: z.string(),
  /** The claim holds when the first variant's metric is below the second's. */
  lower: name,
  than: name,
  metric: z.enum(["kid", "fid"]).default("kid"),
})
export type Claim = z.output<typeof Claim>

/** A curve over variants: how the score changes along one choice. */
const Sweep = z.strictObject({
  title: z.string(),
  axis: z.string(),
  series: z.array(z.strictObject({ name: z.string(), points: z.array(z.tuple([z.number(), name])) })),
})

export const Experiment = z
  .strictObject({
    name,
    title: z.string(),
    question: z.string(),
    variants: z.array(Variant).min(1),
    sweeps: z.array(Sweep).default([]),
    claims: z.array(Claim).default([]),
    profiles: z.record(z.enum(PROFILES), Profile),
  })
  .superRefine(({ variants, sweeps, claims, profiles }, ctx) => {
    const ids = new Set(variants.map((v) => v.id))
    if (ids.size < variants.length) ctx.addIssue({ code: "custom", message: "two variants have one id" })
    const used = [
      ...sweeps.flatMap(({ series }) => series.flatMap(({ points }) => points.map(([, id]) => id))),
      ...claims.flatMap(({ lower, than }) => [lower, than]),
      ...Object.values(profiles).flatMap((p) => p.variants ?? []),
    ]
    for (const id of used) if (!ids.has(id)) ctx.addIssue({ code: "custom", message: `no variant is called ${id}` })
  })
export type Experiment = z.output<typeof Experiment>
export type Input = z.input<typeof Experiment>
