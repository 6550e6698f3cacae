import { Failure } from "@adafm/core"
import { z } from "zod"
import * as CheckpointFlag from "../CheckpointFlag.ts"
import * as ExtractorFlags from "../ExtractorFlags.ts"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf, usage } from "../Verb.ts"

const METRICS = ["fid", "fid-infinity", "kid", "is", "prdc", "memorisation", "diversity"] as const

const shape = {
  ...ExtractorFlags.shape,
  reference: Values.text,
  metrics: z.exactOptional(Values.listOf(METRICS)),
  k: z.exactOptional(Values.count),
  raw: Values.flag.default(false),
  checkpoint: CheckpointFlag.value,
}

const digits = (v: number, n = 5): string => String(+v.toPrecision(n))

/** The value, with its deviation or interval. */
const shown = ({ value, deviation, interval }: Readonly<Record<string, unknown>>): string => {
  if (typeof value !== "number")
    return Object.entries(value as Readonly<Record<string, number>>)
      .map(([name, v]) => `${name} ${digits(v, 4)}`)
      .join(", ")
  const spread = typeof deviation === "number" ? ` ± ${digits(deviation, 2)}` : ""
  const { low, high, level } = (interval ?? {}) as Partial<Readonly<Record<"low" | "high" | "level", number>>>
  return low === undefined
    ? `${digits(value)}${spread}`
    : `${digits(value)}${spread} (${digits(low, 3)} to ${digits(high!, 3)}, ${100 * level!} % bootstrap)`
}

export const evaluate: Verb.Verb<typeof shape> = {
  name: "evaluate",
  about: "score images, a model or a run against a reference",
  files: "<samples>",
  flags: [
    [
      "--reference <what>",
      "images, a model, a run, features (.safetensors) or statistics (.npz, .safetensors); required",
    ],
    ["--metrics <a,b>", `${METRICS.join(", ")} (default fid,kid; fid against statistics)`],
    ["--k <n>", "neighbours for prdc (default 5, as its authors; torch-fidelity and StyleGAN use 3)"],
    ...ExtractorFlags.flags,
    ["--raw", "use a run's trained generator, not its moving average"],
    CheckpointFlag.flag,
  ],
  shape,
  run: async ({ files, options, terminal }) => {
    if (options.k !== undefined && !options.metrics?.includes("prdc")) usage("--k belongs to --metrics prdc")
    const { Evaluate } = await import("@adafm/job")
    const progress = ExtractorFlags.progress(terminal)
    const report = await Failure.orThrow(
      Evaluate.run({ ...options, a: files[0]!, onProgress: progress.update, onNote: terminal.note }, () =>
        engineOf(options),
      ),
    ).finally(progress.stop)
    const { metrics, warnings, checkpoint } = report
    const text = [
      ...CheckpointFlag.lines(checkpoint),
      Terminal.table(
        Object.values(metrics).map(({ label, counts, ...score }) => [
          label,
          shown(score),
          `${counts.a ?? "statistics"} against ${counts.b ?? "statistics"}`,
        ]),
      ),
      ...warnings.map((warning) => `warning: ${warning}`),
    ].join("\n")
    return { json: { metrics, warnings, ...(checkpoint && { checkpoint }) }, text }
  },
}
