/** An experiment as data: its variants, the claims that they test, and profiles that say how much of it is run. */
import { Surgery } from "@adafm/transfer"
import { z } from "zod"
import * as Cell from "./Cell.ts"

export const PROFILES = ["smoke", "quick", "standard", "paper"] as const
export type ProfileName = (typeof PROFILES)[number]

const name = z.string().regex(/^[a-z0-9-]+$/)
const count = z.number().int().positive()

/** A schema whose fields are all optional and have no defaults: a variant overrides only the fields that it names. */
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
  /** Fields that differ from the profile's schedule. */
  schedule: given(Cell.Schedule).default({}),
  /** Fields that differ from the profile's scores; variants that are compared need the same. */
  score: given(Cell.Score).optional(),
  /** A source other than the profile's: the same run at another step (`@2000`), `faces`, or a path. */
  source: z.string().optional(),
  /** A number of training images other than the profile's; `all` is the whole pool. */
  images: z.union([count, z.literal("all")]).optional(),
  /** The number of images of each class; labels then condition the target. */
  perClass: count.optional(),
  /** Trains classifiers on real and generated images; `perClass` gives the number of real ones. */
  lesson: given(Cell.Lesson).optional(),
  /** What the variant needs first: it is listed as not run, with this reason. */
  needs: z.string().optional(),
})
export type Variant = z.output<typeof Variant>

const Profile = z.strictObject({
  /** Every surgery begins as in the authors' code. */
  asAuthors: z.boolean().default(false),
  schedule: Cell.Schedule,
  score: Cell.Score.prefault({}),
  /** Fields of every variant's lesson. */
  lesson: given(Cell.Lesson).default({}),
  /** Draws of training images, one seed each. */
  seeds: count,
  /** Training images in a draw. */
  images: count,
  /** Only these variants; all by default. */
  variants: z.array(name).optional(),
  /** `tiny` is a random network made on the spot, `default` the bundled one. Without it `--source` is required. */
  source: z.enum(["tiny", "default"]).optional(),
  /** In the order in which they are run. Without it `--data` is required. */
  targets: z.array(z.enum(["drawn", "flowers", "horse", "ship"])).optional(),
})
export type Profile = z.output<typeof Profile>

/** What a claim compares. `steps` and `seconds` are counted until the curve reaches its middle level. */
export const MEASURES = ["kid", "fid", "diversity", "steps", "seconds", "class-kid", "agreement", "accuracy"] as const
export type Measure = (typeof MEASURES)[number]

const Claim = z.strictObject({
  id: name,
  /** The paper's claim that this one tests. */
  of: z.enum(["E1", "E2", "E3", "E4", "E5", "E6", "E7", "E8", "E9", "E10", "RQ5"]).optional(),
  text: z.string(),
  /** The claim holds when the measure of `better` is below that of `than`, or above it if `higher`. */
  better: name,
  than: name,
  measure: z.enum(MEASURES).default("kid"),
  higher: z.boolean().default(false),
})
export type Claim = z.output<typeof Claim>

/** A curve over variants: how the score depends on one setting. */
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
    /** The research question of the paper. */
    rq: z.string().optional(),
    variants: z.array(Variant).min(1),
    /** Variants whose training curves are drawn; the first few by default. */
    curves: z.array(name).optional(),
    /** Variants whose modulation, walks and styles are shown in Markdown too; those of the others are shown in HTML only. */
    analysed: z.array(name).default([]),
    sweeps: z.array(Sweep).default([]),
    claims: z.array(Claim).default([]),
    profiles: z.record(z.enum(PROFILES), Profile),
  })
  .superRefine(({ variants, sweeps, claims, curves, analysed, profiles }, ctx) => {
    const ids = new Set(variants.map((v) => v.id))
    if (ids.size < variants.length) ctx.addIssue({ code: "custom", message: "two variants have the same id" })
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
