import { z } from "zod"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import type * as Verb from "../Verb.ts"
import { engineOf, orFail } from "../Verb.ts"
import { imageProgress, lookFlags, lookShape } from "./features.ts"

const METRICS = ["fid", "fid-infinity", "kid", "is", "prdc", "memorisation", "diversity"] as const

const shape = {
  ...lookShape,
  reference: Values.text,
  metrics: z.exactOptional(Values.listOf(METRICS)),
  raw: Values.flag.default(false),
}

const shown = (value: unknown): string =>
  typeof value === "number"
    ? String(+value.toPrecision(5))
    : Object.entries(value as Readonly<Record<string, number>>)
        .map(([name, v]) => `${name} ${+v.toPrecision(4)}`)
        .join(", ")

export const evaluate: Verb.Verb<typeof shape> = {
  name: "evaluate",
  about: "scores of images, a model or a run against a reference",
  files: "<samples>",
  flags: [
    ["--reference <what>", "images, a model, a run, features (.safetensors) or statistics (.npz)"],
    ["--metrics <a,b>", `${METRICS.join(", ")} (default fid,kid; fid against statistics)`],
    ...lookFlags,
    ["--raw", "a run's generator as it is trained, not its moving average"],
  ],
  shape,
  run: async ({ files, options, terminal }) => {
    const { Evaluate } = await import("@adafm/job")
    const progress = imageProgress(terminal)
    const report = await orFail(
      Evaluate.run({ ...options, a: files[0]!, onProgress: progress.update }, () => engineOf(options)),
    ).finally(progress.stop)
    const text = [
      Terminal.table(
        Object.values(report.metrics).map(({ label, value, counts }) => [
          label,
          shown(value),
          `${counts.a ?? "statistics"} against ${counts.b ?? "statistics"}`,
        ]),
      ),
      ...report.warnings.map((warning) => `beware: ${warning}`),
    ].join("\n")
    return { json: { metrics: report.metrics, warnings: report.warnings }, text }
  },
}
