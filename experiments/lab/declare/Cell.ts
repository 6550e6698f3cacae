/**
 * One run of an experiment, as data. A *training* says what is trained, on which images and for how long. A *cell* is a training and
 * the way it is scored. Both are named by their hash, so a cell that several experiments declare runs once.
 */
import { createHash } from "node:crypto"
import { DiffAugment } from "@adafm/gan"
import { Pretrain } from "@adafm/job"
import { Surgery } from "@adafm/transfer"
import { z } from "zod"

const count = z.number().int().positive()
const hash = z.string().regex(/^[0-9a-f]{64}$/)

/** The start of the authors' code: new first and last layers, and their constants in a small head. */
export const asAuthors = (surgery: Surgery.Surgery): Surgery.Surgery => ({
  ...surgery,
  generator: { ...surgery.generator, top: "fresh" },
  discriminator: { ...surgery.discriminator, top: "fresh" },
  graft: "authors",
})

export const Schedule = z.strictObject({
  steps: count,
  batch: count.default(16),
  /** The paper has 1e-4 at 128 px; these experiments, at smaller sizes, twice that. */
  learningRate: z.number().positive().default(2e-4),
  /** Weight of R1 at 128 px; at other sizes it is multiplied by (size / 128)². */
  penaltyAt128: z.number().nonnegative().optional(),
  /** Weight of R1 at the size of the images; by default it follows from `penaltyAt128` (10 in the paper). */
  penalty: z.number().nonnegative().optional(),
  penaltyMode: z.enum(["real", "real_fake"]).default("real"),
  /** Step from which a modulation trains; a sixth of all by default. */
  unfreezeAt: z.number().int().nonnegative().optional(),
  /** Multiplies the learning rate of the modulation. */
  modulationRate: z.number().positive().default(1),
  /** DiffAugment of what the discriminator sees. */
  augment: DiffAugment.Policy.default([]),
  /** Adaptive discriminator augmentation, or the LeCam regulariser, with their own defaults. */
  stabiliser: z.enum(["ada", "lecam"]).optional(),
  /** The moving average's decay is 0.999 from the first step, as in the paper. */
  constantEma: z.boolean().optional(),
})
export type Schedule = z.output<typeof Schedule>

/** Committed cells call random filters "matched"; their files and their hashes keep that word. */
const OLD = "matched"
const read = (surgery: unknown): unknown =>
  JSON.parse(JSON.stringify(surgery), (key, value) => (key === "low" && value === OLD ? "random" : value))
const spelled = (key: string, value: unknown): unknown => (key === "low" && value === "random" ? OLD : value)

/** Everything that decides a run's parameters. It contains no path. */
export const Training = z.strictObject({
  version: z.literal(2).default(2),
  /** If it names a recipe, the recipe alone decides. */
  surgery: z.preprocess(read, Surgery.Surgery),
  schedule: Schedule,
  /** Labels condition the target. */
  conditional: z.boolean().default(false),
  /** SHA-256 of the source's configuration and parameters. */
  source: hash,
  /** SHA-256 over names and contents of the training images. */
  data: hash,
  seed: z.number().int().nonnegative(),
})
export type Training = z.output<typeof Training>

export const Score = z.strictObject({
  /** The extractor of the reported scores; `best` is resolved before a cell is hashed. */
  extractor: z.string().default("best"),
  /** Images on each side. */
  count: count.default(500),
  /** Cheap features for the curve. */
  curve: z.string().default("embedded"),
  /** Other extractors in which the chosen checkpoint's KID is computed. */
  second: z.array(z.string()).readonly().default([]),
  /** Checkpoints to score, evenly spaced, the last one at the end; `extractor` scores `chosenFrom` of them. */
  checkpoints: count.default(12),
  chosenFrom: count.default(2),
})
export type Score = z.output<typeof Score>

/** Steps between two checkpoints that are scored. */
export const every = ({ schedule: { steps } }: Training, { checkpoints }: Score): number =>
  Math.max(1, Math.ceil(steps / checkpoints))

/** A classifier that is trained on a draw's photographs and on images of a training's generator. */
export const Lesson = z.strictObject({
  /** The share of each batch that is generated. */
  share: z.number().min(0).max(1).default(0),
  /** Augmentation of the classifier's images: none, or mirrored, shifted, lighter and darker. */
  augment: z.enum(["none", "classic"]).default("classic"),
  /** What the classifier starts from. */
  start: z.enum(["random", "resnet-20"]).default("random"),
  steps: count.default(600),
  batch: count.default(50),
  learningRate: z.number().positive().default(1e-3),
  /** Number of classifiers, each with its own seed. */
  seeds: count.default(5),
  /** Number of generated images of each class. */
  generated: count.default(400),
})
export type Lesson = z.output<typeof Lesson>

export const Cell = z.strictObject({
  training: Training,
  score: Score,
  /** If present, classifiers are scored instead of the generator. */
  lesson: Lesson.optional(),
  /** SHA-256 of the images that choose a checkpoint, and of those that give the reported scores. */
  choosing: hash,
  reporting: hash,
})
export type Cell = z.output<typeof Cell>

/** Equal for equal values, whatever the order of their keys. */
const canonical = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(canonical)
    : typeof value === "object" && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .filter(([, v]) => v !== undefined)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([k, v]) => [k, canonical(spelled(k, v))]),
        )
      : value

/** The name of a training or a cell: 16 hexadecimal digits of its SHA-256. */
export const id = (value: object): string =>
  createHash("sha256")
    .update(JSON.stringify(canonical(value)))
    .digest("hex")
    .slice(0, 16)

/** The step at which a modulation begins by default. */
export const sixth = ({ schedule: { steps } }: Pick<Training, "schedule">): number => Math.floor(steps / 6)

/**
 * A training with everything said that another place would fill in, and nothing said that has no effect: equal trainings get one
 * name.
 */
export const resolved = (training: Training, size: number): Training => {
  const { surgery, schedule } = training
  const { unfreezeAt, modulationRate, penaltyAt128, ...rest } = schedule
  const { modulation, graft, headNorm, headGradient, zDim, ...network } = surgery
  const head = {
    ...(headNorm !== undefined && { headNorm }),
    ...(headGradient !== undefined && { headGradient }),
    ...(zDim !== undefined && { zDim }),
  }
  const own = Surgery.isModulated(surgery)
  return {
    ...training,
    surgery: {
      ...network,
      ...(surgery.head === "small" && { graft: graft ?? "calibrated", ...head }),
      ...(own && { modulation: modulation ?? { kind: "adafm" } }),
    },
    schedule: {
      ...rest,
      penalty: rest.penalty ?? Pretrain.penaltyWeight(size, penaltyAt128),
      ...(own && { unfreezeAt: unfreezeAt ?? sixth(training) }),
      modulationRate: own ? modulationRate : 1,
    },
  }
}

/** The step of a checkpoint that a training shares with its own `parent`. */
export interface Branch {
  readonly parent: Training
  readonly at: number
}

/**
 * A modulation that begins later than at step 0 goes on from the run without it: every member of the family branches from one
 * state.
 */
export const branch = (training: Training): Branch | undefined => {
  const { surgery, schedule } = training
  const at = schedule.unfreezeAt ?? 0
  if (!Surgery.isModulated(surgery) || at === 0) return undefined
  const still = (network: Surgery.Network): Surgery.Network =>
    network.moves === "modulated" ? { ...network, moves: "frozen" } : network
  const { modulation: _, ...others } = surgery
  const { unfreezeAt: __, ...times } = schedule
  return {
    at,
    parent: {
      ...training,
      surgery: { ...others, generator: still(surgery.generator), discriminator: still(surgery.discriminator) },
      schedule: { ...times, modulationRate: 1 },
    },
  }
}
