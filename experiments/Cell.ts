/** One run of an experiment as data: what is trained, on what, for how long, and how it is scored. Its hash is its name. */
import { createHash } from "node:crypto"
import { Evaluate } from "@adafm/metrics"
import { z } from "zod"

const count = z.number().int().positive()
const hash = z.string().regex(/^[0-9a-f]{64}$/)

/** What happens to one network of the source. Groups are counted from the image; the first `keep` of them are "low". */
export const Network = z.strictObject({
  keep: z.number().int().nonnegative().default(0),
  /**
   * What the low groups start from: the source's values, a new start, random values with mean and deviation of each of the
   * source's tensors, or the source's kernels in another order.
   */
  low: z.enum(["copied", "fresh", "matched", "shuffled"]).default("copied"),
  /** What training does with the low groups. */
  moves: z.enum(["frozen", "modulated", "trained"]).default("frozen"),
  /** What the groups above start from; they always train. Fully connected layers and embeddings are always new. */
  rest: z.enum(["copied", "fresh"]).default("copied"),
})
export type Network = z.output<typeof Network>

export const Surgery = z.strictObject({
  generator: Network.prefault({}),
  discriminator: Network.prefault({}),
  head: z.enum(["gp", "small"]).default("gp"),
})
export type Surgery = z.output<typeof Surgery>

export const Schedule = z.strictObject({
  steps: count,
  batch: count.default(16),
  learningRate: z.number().positive().default(1e-4),
  /** Weight of R1; 10 · (size / 128)² unless given. */
  penalty: z.number().nonnegative().optional(),
  /** Step from which a modulation trains; a sixth of all by default. */
  unfreezeAt: z.number().int().nonnegative().optional(),
})
export type Schedule = z.output<typeof Schedule>

export const Score = z.strictObject({
  /** `best` is resolved before a cell is named. */
  extractor: z.string().default("best"),
  /** Images of each side. */
  count: count.default(500),
  metrics: z.array(z.enum(Evaluate.METRICS)).default(["kid", "fid"]),
})
export type Score = z.output<typeof Score>

/** Everything that decides the numbers, and no path. */
export const Cell = z.strictObject({
  version: z.literal(1).default(1),
  surgery: Surgery,
  schedule: Schedule,
  score: Score,
  /** SHA-256 of the source's configuration and parameters. */
  source: hash,
  /** SHA-256 over names and contents of the training images, and of those held out. */
  data: hash,
  heldOut: hash,
  seed: z.number().int().nonnegative(),
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
            .map(([k, v]) => [k, canonical(v)]),
        )
      : value

/** The name of a cell: 16 hexadecimal digits. */
export const id = (cell: Cell): string =>
  createHash("sha256")
    .update(JSON.stringify(canonical(cell)))
    .digest("hex")
    .slice(0, 16)
