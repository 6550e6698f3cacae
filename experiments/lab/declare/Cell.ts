/**
 * One run of an experiment as data. A *training* says what is trained, on what and for how long; a *cell* is a training and how
 * it is scored. Both are named by their hash: what several experiments ask for runs once.
 */
import { createHash } from "node:crypto"
import { DiffAugment } from "@adafm/gan"
import { Pretrain } from "@adafm/job"
import { Surgery } from "@adafm/transfer"
import { z } from "zod"

const count = z.number().int().positive()
const hash = z.string().regex(/^[0-9a-f]{64}$/)

/** As the authors' code begins: new first and last layers, their constants in a small head. */
export const asAuthors = (surgery: Surgery.Surgery): Surgery.Surgery => ({
  ...surgery,
  generator: { ...surgery.generator, top: "fresh" },
  discriminator: { ...surgery.discriminator, top: "fresh" },
  graft: "authors",
})

export const Schedule = z.strictObject({
  steps: count,
  batch: count.default(16),
  /** The paper's 1e-4 at 128 px; twice that at the sizes of these experiments. */
  learningRate: z.number().positive().default(2e-4),
  /** Weight of R1 at 128 px; at other sizes it is multiplied by (size / 128)². */
  penaltyAt128: z.number().nonnegative().optional(),
  /** Weight of R1 at the size of the images; what follows from `penaltyAt128`, 10 in the paper, unless given. */
  penalty: z.number().nonnegative().optional(),
  penaltyMode: z.enum(["real", "real_fake"]).default("real"),
  /** Step from which a modulation trains; a sixth of all by default. */
  unfreezeAt: z.number().int().nonnegative().optional(),
  /** Times the learning rate, for the modulation. */
  modulationRate: z.number().positive().default(1),
  /** DiffAugment of what the discriminator sees. */
  augment: DiffAugment.Policy.default([]),
  /** Adaptive discriminator augmentation, or the LeCam regulariser, with their own defaults. */
  stabiliser: z.enum(["ada", "lecam"]).optional(),
  /** The moving average's decay is 0.999 from the first step, as in the paper. */
  constantEma: z.boolean().optional(),
})
export type Schedule = z.output<typeof Schedule>

/** Committed cells call the control of random filters "matched": they are read, and named, with that word. */
const OLD = "matched"
const read = (surgery: unknown): unknown =>
  JSON.parse(JSON.stringify(surgery), (key, value) => (key === "low" && value === OLD ? "random" : value))
const spelled = (key: string, value: unknown): unknown => (key === "low" && value === "random" ? OLD : value)

/** Everything that decides a run's parameters, and no path. */
export const Training = z.strictObject({
  version: z.literal(2).default(2),
  /** A recipe, where one is named, decides in place of everything else that is said here. */
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
  /** Decides; `best` is resolved before a cell is named. */
  extractor: z.string().default("best"),
  /** Images of each side. */
  count: count.default(500),
  /** Cheap features for the curve. */
  curve: z.string().default("embedded"),
  /** Further opinions on the chosen checkpoint: KID through these. */
  second: z.array(z.string()).readonly().default([]),
  /** Checkpoints, evenly spread, the last one at the end; `extractor` sees `chosenFrom` of them. */
  checkpoints: count.default(12),
  chosenFrom: count.default(2),
})
export type Score = z.output<typeof Score>

/** Steps between two checkpoints that are scored. */
export const every = ({ schedule: { steps } }: Training, { checkpoints }: Score): number =>
  Math.max(1, Math.ceil(steps / checkpoints))

/** A classifier that learns from a draw's photographs and from images of a training's generator. */
export const Lesson = z.strictObject({
  /** Of each batch: so much of it is generated. */
  share: z.number().min(0).max(1).default(0),
  /** Of what the classifier sees: nothing, or mirrored, shifted, lighter and darker images. */
  augment: z.enum(["none", "classic"]).default("classic"),
  /** What the classifier starts from. */
  start: z.enum(["random", "resnet-20"]).default("random"),
  steps: count.default(600),
  batch: count.default(50),
  learningRate: z.number().positive().default(1e-3),
  /** Classifiers, one seed each. */
  seeds: count.default(5),
  /** Generated images of each class to draw from. */
  generated: count.default(400),
})
export type Lesson = z.output<typeof Lesson>

export const Cell = z.strictObject({
  training: Training,
  score: Score,
  /** In place of the generator's own scores. */
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

/** The name of a training, a cell or anything else that is data: 16 hexadecimal digits. */
export const id = (value: object): string =>
  createHash("sha256")
    .update(JSON.stringify(canonical(value)))
    .digest("hex")
    .slice(0, 16)

/** Where a modulation begins by default. */
export const sixth = ({ schedule: { steps } }: Pick<Training, "schedule">): number => Math.floor(steps / 6)

/**
 * A training with everything said that another place would fill in, and nothing said that has no effect: equal trainings get one
 * name.
 */
export const resolved = (training: Training, size: number): Training => {
  const { surgery, schedule } = training
  const { unfreezeAt, modulationRate, penaltyAt128, ...rest } = schedule
  const { modulation, graft, headGradient, zDim, ...network } = surgery
  const head = { ...(headGradient !== undefined && { headGradient }), ...(zDim !== undefined && { zDim }) }
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
