/** An experiment as data: variants, the claims they speak to, and profiles that say how much of it is run. */
import { Surgery } from "@adafm/transfer"
import { z } from "zod"
import * as Cell from "./Cell.ts"

export const PROFILES = ["smoke", "quick", "standard", "paper"] as const
export type ProfileName = (typeof PROFILES)[number]

const name = z.string().regex(/^[a-z0-9-]+$/)
const count = z.number().int().positive()

/** What is given of a schema: without the defaults, which would replace what a deviation says nothing about. */
const given = <S extends z.ZodObject>(schema: S): z.ZodType<Partial<z.output<S>>, Partial<z.input<S>>> => {
  const fields = Object.entries(schema.shape).map(([name, field]) => [
    name,
    (field instanceof z.ZodDefault ? field.unwrap() : field) as z.ZodType,
  ])
  return z.strictObject(Object.fromEntries(fields)).partial() as never
}

const Variant = z.strictObject({
  id: name,
  title: z.string(),
  surgery: Surgery.Surgery.prefault({}),
  /** Deviations from the profile's schedule. */
  schedule: given(Cell.Schedule).default({}),
  /** Deviations from the profile's scores; of what is compared all alike. */
  score: given(Cell.Score).optional(),
  /** Another source than the profile's: the same run at another step (`@2000`), `faces`, or a path. */
  source: z.string().optional(),
  /** Another number of training images than the profile's; `all` is the whole pool. */
  images: z.union([count, z.literal("all")]).optional(),
  /** So many of each class, and the labels condition the target. */
  perClass: count.optional(),
  /** Classifiers that learn from the images, real and generated; `perClass` says how many real ones. */
  lesson: given(Cell.Lesson).optional(),
  /** What it waits for: the variant is listed as not run, with this reason. */
  needs: z.string().optional(),
})
export type Variant = z.output<typeof Variant>

const Profile = z.strictObject({
  /** Every surgery begins as the authors' code does. */
  asAuthors: z.boolean().default(false),
  schedule: Cell.Schedule,
  score: Cell.Score.prefault({}),
  /** Of classifiers, where a variant has them. */
  lesson: given(Cell.Lesson).default({}),
  /** Draws of training images, one seed each. */
  seeds: count,
  /** Training images of a draw. */
  images: count,
  /** Only these variants; all by default. */
  variants: z.array(name).optional(),
  /** `tiny` is a random network that is made on the spot; `default` the one that comes along; nothing: one has to be named. */
  source: z.enum(["tiny", "default"]).optional(),
  /** In the order in which they are run. Nothing: they have to be named. */
  targets: z.array(z.enum(["drawn", "flowers", "horse", "ship"])).optional(),
})
export type Profile = z.output<typeof Profile>

/** What a claim compares. `steps` and `seconds` are those to the middle level of the curve. */
export const MEASURES = ["kid", "fid", "diversity", "steps", "seconds", "class-kid", "agreement", "accuracy"] as const
export type Measure = (typeof MEASURES)[number]

const Claim = z.strictObject({
  id: name,
  /** The claim of the paper that it belongs to. */
  of: z.enum(["E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8", "E9", "E10", "RQ5"]).optional(),
  text: z.string(),
  /** The claim holds when the first variant's measure is below the second's, or above where `higher`. */
  better: name,
  than: name,
  measure: z.enum(MEASURES).default("kid"),
  higher: z.boolean().default(false),
})
export type Claim = z.output<typeof Claim>

/** A curve over variants: how the score changes along one choice. */
const Sweep = z.strictObject({
  title: z.string(),
  axis: z.string(),
  log: z.boolean().default(false),
  series: z.array(z.strictObject({ name: z.string(), points: z.array(z.tuple([z.number(), name])) })),
})
export type Sweep = z.output<typeof Sweep>

export const Experiment = z
  .strictObject({
    name,
    title: z.string(),
    question: z.string(),
    /** The research question of the paper that it speaks to. */
    rq: z.string().optional(),
    variants: z.array(Variant).min(1),
    /** Variants whose curves are drawn; the first few by default. */
    curves: z.array(name).optional(),
    /** Variants whose modulation, walks and styles are shown wherever the page is; the others' only in HTML. */
    analysed: z.array(name).default([]),
    sweeps: z.array(Sweep).default([]),
    claims: z.array(Claim).default([]),
    profiles: z.record(z.enum(PROFILES), Profile),
  })
  .superRefine(({ variants, sweeps, claims, curves, analysed, profiles }, ctx) => {
    const ids = new Set(variants.map((v) => v.id))
    if (ids.size < variants.length) ctx.addIssue({ code: "custom", message: "two variants have one id" })
    const used = [
      ...sweeps.flatMap(({ series }) => series.flatMap(({ points }) => points.map(([, id]) => id))),
      ...claims.flatMap(({ better, than }) => [better, than]),
      ...(curves ?? []),
      ...analysed,
      ...Object.values(profiles).flatMap((p) => p.variants ?? []),
    ]
    for (const id of used) if (!ids.has(id)) ctx.addIssue({ code: "custom", message: `no variant is called ${id}` })
  })
export type Experiment = z.output<typeof Experiment>
export type Input = z.input<typeof Experiment>
