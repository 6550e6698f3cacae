/** One score with its label; further keys hold its provenance. */
import { z } from "zod"

export const Metric = z.looseObject({ value: z.unknown(), label: z.string() })
export type Metric = z.output<typeof Metric>
