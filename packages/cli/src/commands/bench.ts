import { Failure } from "@adafm/core"
import type * as Job from "@adafm/job"
import { z } from "zod"
import * as Terminal from "../Terminal.ts"
import * as Values from "../Values.ts"
import * as Verb from "../Verb.ts"

const shape = {
  size: z.preprocess((v) => (typeof v === "string" ? Number(v) : v), z.literal([16, 32, 64, 128, 256])).default(32),
  nf: Values.width.default(64),
  nfMax: z.exactOptional(Values.width),
  batch: Values.batch.default(16),
  variant: Values.listOf(["scratch", "g4d2", ...Values.MODULATIONS]).default(["scratch"]),
  engines: Values.listOf(Verb.ENGINES).default(["onnx"]),
  mode: z.enum(["train", "sample"]).default("train"),
  warmup: Values.natural.default(2),
  iterations: Values.count.default(5),
  stepsPerCall: z.exactOptional(Values.count),
  copies: z.exactOptional(Values.count),
  against: z.exactOptional(z.string()),
  explain: Values.flag.default(false),
}

/** Rows of a profile that are printed; JSON has all. */
const SHOWN = 25

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

const explained = (profile: Job.StepProfile.Profile): string => {
  const { variant, total_ms, gflop, peak_gflops, products, rows, fallbacks } = profile
  return [
    `${variant}: ${total_ms.toFixed(1)} ms in operators; ${gflop.toFixed(2)} GFLOP of products take ${percent(products.share)} of it, at ${products.gflops.toFixed(0)} GFLOP/s; a 1024³ product reaches ${peak_gflops.toFixed(0)} GFLOP/s`,
    Terminal.table([
      ["ms", "share", "GFLOP/s", "nodes", "operator", "shapes"],
      ...rows
        .slice(0, SHOWN)
        .map((r) => [r.ms.toFixed(2), percent(r.share), r.gflops?.toFixed(0) ?? "", r.nodes, r.op, r.shapes]),
    ]),
    ...fallbacks.map(
      ({ provider, op, nodes, share }) => `fell back to ${provider}: ${nodes} × ${op}, ${percent(share)} of the time`,
    ),
  ].join("\n")
}

export const bench: Verb.Verb<typeof shape> = {
  name: "bench",
  about: "time training iterations or batches of images, with several engines side by side",
  flags: [
    ["--size <px>", "16, 32, 64, 128 or 256 (default 32)"],
    ["--nf <n>", "channels at full resolution (default 64)"],
    ["--nf-max <n>", "channels of the widest layer (default 16 nf)"],
    ["--batch <n>", "images per iteration (default 16)"],
    ["--variant <a,b>", "scratch (default), g4d2, adafm, or adafm with another modulation, as in `transfer`"],
    ["--engines <a,b>", `${Verb.ENGINES.join(", ")} (default onnx)`],
    ["--mode <name>", "train (default) or sample"],
    ["--warmup <n>", "iterations before the timed ones (default 2; none on cpu)"],
    ["--steps-per-call <n>", "iterations in one call of the onnx engine (default: as in training)"],
    ["--copies <n>", "run n processes of each engine at the same time (default 1)"],
    [
      "--against <command>",
      "time another program on the same work, in turns (see packages/job/src/bench/ExternalProgram.ts)",
    ],
    ["--explain", "print where the onnx engine spends its time, by operator and shape"],
    ["--iterations <n>", "timed iterations, of which the median counts (default 5; one on cpu)"],
  ],
  shape,
  run: async ({ options, terminal }) => {
    const { Bench, StepProfile } = await import("@adafm/job")
    const { variant: variants, engine, explain, ...rest } = options
    const engines = engine === undefined ? options.engines : [engine]
    const done = await Failure.orThrow(Bench.run({ ...rest, engines, variants, onNote: terminal.note }))
    const profiles: Job.StepProfile.Profile[] = []
    if (explain)
      for (const variant of variants)
        profiles.push(await Failure.orThrow(StepProfile.run({ ...rest, workload: { ...rest, variant } })))
    const { machine, workload } = done
    const fastest = (variant: string): number =>
      Math.min(...done.results.flatMap((r) => (r.variant === variant ? [r.total_ms] : [])))
    const text = [
      `${workload.mode}, ${workload.size} px, nf ${workload.nf}, batch ${workload.batch} · ${machine.cpu}, ${machine.threads} threads, Node ${machine.node}, ONNX Runtime ${machine.onnxruntime}`,
      Terminal.table([
        ["variant", "engine", "ms", "ratio to the fastest", "images/s", "peak MB"],
        ...done.results.map((r) => [
          r.variant,
          r.provider === null ? r.engine : `${r.engine}/${r.provider}`,
          r.total_ms.toFixed(1),
          (r.total_ms / fastest(r.variant)).toFixed(2),
          r.images_per_s.toFixed(1),
          r.peak_rss_mb,
        ]),
      ]),
      ...profiles.map(explained),
    ].join("\n")
    return { json: { ...done, ...(explain && { explain: profiles }) }, text }
  },
}
