/**
 * `pnpm bench [--against COMMAND] [--only NAME,…]`: the table of docs/performance.md. Every row runs in its own processes, an iteration
 * each in turn with the program of `--against` (see src/bench/ExternalProgram.ts). Times are medians; the ratio is our time to that
 * program's.
 */
import { parseArgs } from "node:util"
import { Failure } from "@adafm/core"
import * as Bench from "../src/bench/Bench.ts"

type Row = Pick<Bench.Options, "size" | "nf" | "nfMax" | "batch"> & Partial<Bench.Options>

const wide: Row = { size: 32, nf: 64, nfMax: 512, batch: 16 }
// one step in a call: otherwise its turns with another program would be eight times as long
const tall: Row = { size: 64, nf: 32, nfMax: 256, batch: 16, stepsPerCall: 1 }
const small: Row = { size: 32, nf: 16, nfMax: 128, batch: 16, warmup: 3, iterations: 9 }
const images: Row = { ...wide, mode: "sample", batch: 64 }

const sets: Readonly<Record<string, readonly Row[]>> = {
  wide: [{ ...wide, variants: ["scratch", "g4d2", "adafm"] }],
  tall: [{ ...tall, variants: ["scratch", "g4d2", "adafm"] }],
  sample: [images, { ...images, ...tall, batch: 64, mode: "sample" }],
  small: [
    { ...small, variants: ["scratch", "adafm"] },
    { ...small, threads: 1, variants: ["scratch", "adafm"] },
    { ...small, threads: 1, copies: 2, variants: ["scratch", "adafm"] },
  ],
  "full-width": [{ size: 128, nf: 64, nfMax: 1024, batch: 4, warmup: 1, iterations: 2 }],
  engines: [
    { ...wide, engines: ["onnx", "wasm"], warmup: 1, iterations: 3 },
    { ...small, engines: ["onnx", "wasm"], warmup: 1, iterations: 3 },
  ],
  // seven minutes an iteration
  reference: [{ ...small, engines: ["onnx", "cpu"], warmup: 1, iterations: 1 }],
}

const { values } = parseArgs({ options: { against: { type: "string" }, only: { type: "string" } } })
const chosen = values.only?.split(",") ?? Object.keys(sets)
const unknown = chosen.find((name) => sets[name] === undefined)
if (unknown !== undefined) throw new Error(`--only ${unknown}: expected some of ${Object.keys(sets).join(", ")}`)

const ms = ({ runs_ms, total_ms }: Bench.Result): string =>
  `${total_ms.toFixed(0)} (${Math.min(...runs_ms).toFixed(0)}–${Math.max(...runs_ms).toFixed(0)})`

const header = ["size/nf/nf-max/batch", "what", "engine, threads", "ms (least–most)", "images/s", "peak MB", "ratio"]
console.log(`| ${header.join(" | ")} |\n| ${header.map(() => "---").join(" | ")} |`)
let machine: Bench.Machine | undefined
for (const row of chosen.flatMap((name) => sets[name]!)) {
  const options: Bench.Options = {
    variants: ["scratch"],
    engines: ["onnx"],
    mode: "train",
    warmup: 2,
    iterations: 5,
    seed: 0,
    ...row,
    // copies that run at the same time cannot take turns with another program
    ...(values.against !== undefined && row.copies === undefined && { against: values.against }),
  }
  const done = await Failure.orThrow(Bench.run(options))
  machine ??= done.machine
  for (const variant of options.variants) {
    const results = done.results.filter((result) => result.variant === variant)
    const [ours] = results
    for (const result of results) {
      const { engine, provider, images_per_s, peak_rss_mb } = result
      const sizes = [options.size, options.nf, options.nfMax, options.batch].join("/")
      const what = options.mode === "train" ? variant : "images"
      const threads = options.threads ?? done.machine.threads
      const ratio = result === ours ? "" : (ours!.total_ms / result.total_ms).toFixed(3)
      const name = provider === null ? engine : `${engine}/${provider}`
      const cells = [sizes, what, `${name}, ${threads}`, ms(result), images_per_s.toFixed(1), peak_rss_mb, ratio]
      console.log(`| ${cells.join(" | ")} |`)
    }
  }
}
console.log(
  `\n${machine?.cpu}, ${machine?.cores} cores, ${machine?.memory_gb} GB, Node ${machine?.node}, ONNX Runtime ${machine?.onnxruntime}, ${new Date().toISOString().slice(0, 10)}`,
)
