/** Where the time of a compiled step goes, by operator and shape, against the measured peak speed of matrix products on this machine. */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Failure, Flat, NdArray } from "@adafm/core"
import type * as Engine from "@adafm/engine"
import * as Onnx from "@adafm/engine/backends/Onnx"
import { Graph, Session } from "@adafm/onnx"
import type * as TE from "fp-ts/lib/TaskEither.js"
import { z } from "zod"
import * as Workload from "./Workload.ts"

export interface Options {
  readonly workload: Workload.Workload
  readonly warmup: number
  readonly iterations: number
  readonly provider?: string
  readonly threads?: number
}

export interface Row {
  readonly op: string
  /** Shapes of the inputs and of the output. */
  readonly shapes: string
  /** Nodes of this kind in the graph. */
  readonly nodes: number
  /** Milliseconds of all of them, in one iteration. */
  readonly ms: number
  readonly share: number
  /** Speed of products and convolutions; null for other operators. */
  readonly gflops: number | null
}

export interface Profile {
  readonly variant: Workload.Workload["variant"]
  /** Speed of a 1024³ float32 matrix product. */
  readonly peak_gflops: number
  /** Sum over the operators of one iteration. */
  readonly total_ms: number
  readonly gflop: number
  /** Share of the time in convolutions and matrix products, and their speed. */
  readonly products: { readonly share: number; readonly gflops: number }
  readonly rows: readonly Row[]
  /** Operators that ran on another provider, because the chosen one lacks them. */
  readonly fallbacks: readonly Fallback[]
}

export interface Fallback {
  readonly provider: string
  readonly op: string
  readonly nodes: number
  readonly share: number
}

const Shapes = z.array(z.record(z.string(), z.array(z.number())))
/** The parts of ONNX Runtime's trace that are needed here; durations in microseconds. */
const Event = z.object({
  cat: z.string(),
  name: z.string(),
  dur: z.number(),
  args: z.object({
    op_name: z.string().optional(),
    provider: z.string().optional(),
    input_type_shape: Shapes.optional(),
    output_type_shape: Shapes.optional(),
  }),
})
type Event = z.output<typeof Event>

const dims = (shapes: Event["args"]["input_type_shape"]): readonly (readonly number[])[] =>
  (shapes ?? []).flatMap((shape) => Object.values(shape))

/** Floating-point operations of a product; undefined for other operators. */
export const flop = (
  op: string,
  inputs: readonly (readonly number[])[],
  output: readonly number[],
): number | undefined => {
  const [a, b] = inputs
  if (a === undefined || b === undefined) return undefined
  if (op === "Conv") return 2 * NdArray.sizeOf(output) * NdArray.sizeOf(b.slice(1))
  if (op === "ConvTranspose") return 2 * NdArray.sizeOf(a) * NdArray.sizeOf(b.slice(1))
  if (!/MatMul|Gemm/.test(op)) return undefined
  // |A|·|B| = (b·m·k)·(b·k·n) and |C| = b·m·n give k, whichever of the two is transposed
  const batch = a.length > 2 && b.length > 2 ? NdArray.sizeOf(output.slice(0, -2)) : 1
  const k = Math.sqrt((NdArray.sizeOf(a) * NdArray.sizeOf(b)) / (NdArray.sizeOf(output) * batch))
  return 2 * NdArray.sizeOf(output) * k
}

const rowsOf = (events: readonly Event[], skip: number, iterations: number): readonly Row[] => {
  const seen = new Map<string, number>()
  const groups = new Map<string, { nodes: Set<string>; us: number; flop: number | undefined; event: Event }>()
  for (const event of events) {
    const run = seen.get(event.name) ?? 0
    seen.set(event.name, run + 1)
    if (run < skip) continue
    const { op_name: op = "", input_type_shape, output_type_shape } = event.args
    const [inputs, [output = []]] = [dims(input_type_shape), dims(output_type_shape)]
    const key = JSON.stringify([op, inputs, output])
    const group = groups.get(key) ?? { nodes: new Set<string>(), us: 0, flop: flop(op, inputs, output), event }
    group.nodes.add(event.name)
    groups.set(key, { ...group, us: group.us + event.dur })
  }
  const total = [...groups.values()].reduce((sum, { us }) => sum + us, 0)
  const text = (shape: readonly number[]): string => shape.join("×")
  return [...groups.values()]
    .toSorted((a, b) => b.us - a.us)
    .map(({ nodes, us, flop, event: { args } }) => ({
      op: args.op_name ?? "",
      shapes: `${dims(args.input_type_shape).slice(0, 2).map(text).join(", ")} → ${text(dims(args.output_type_shape)[0] ?? [])}`,
      nodes: nodes.size,
      ms: us / 1000 / iterations,
      share: us / total,
      gflops: flop === undefined ? null : (flop * nodes.size * iterations) / us / 1000,
    }))
}

/** ONNX Runtime's name of a provider: `cpu` is `CPUExecutionProvider`. */
const isProvider = (full: string, name: string): boolean =>
  full
    .toLowerCase()
    .replace(/executionprovider$/, "")
    .replace(/^js$/, "webgpu") === name

/** @param asked the chosen provider */
export const fallbacksOf = (events: readonly Event[], asked: string): readonly Fallback[] => {
  const total = events.reduce((sum, { dur }) => sum + dur, 0)
  const found = new Map<string, { provider: string; op: string; nodes: Set<string>; us: number }>()
  for (const { name, dur, args } of events) {
    const { provider, op_name: op = "" } = args
    if (provider === undefined || isProvider(provider, asked)) continue
    const key = `${provider} ${op}`
    const one = found.get(key) ?? { provider, op, nodes: new Set<string>(), us: 0 }
    one.nodes.add(name)
    found.set(key, { ...one, us: one.us + dur })
  }
  return [...found.values()]
    .toSorted((a, b) => b.us - a.us)
    .map(({ provider, op, nodes, us }) => ({ provider, op, nodes: nodes.size, share: us / total }))
}

/** GFLOP/s of a 1024³ matrix product, the best of ten. */
const peak = async (threads: number | undefined): Promise<number> => {
  const n = 1024
  const g = Graph.builder()
  const shape = [n, n]
  g.output("c", g.op("MatMul", [g.input("a", "float32", shape), g.input("b", "float32", shape)]), "float32", shape)
  const session = await Session.create(Graph.encode(g.graph()), { ...(threads !== undefined && { threads }) })
  const matrix = NdArray.float32(shape, new Float32Array(n * n).fill(0.5))
  const times: number[] = []
  for (let i = 0; i < 10; i++) {
    const began = performance.now()
    await session.run({ a: matrix, b: matrix })
    times.push(performance.now() - began)
  }
  await session.release()
  return (2 * n ** 3) / Math.min(...times) / 1e6
}

/** Runs a workload under ONNX Runtime's profiler. */
export const run = ({
  workload,
  warmup,
  iterations,
  provider,
  threads,
}: Options): TE.TaskEither<Failure.Failure, Profile> =>
  Failure.attempt(async () => {
    const folder = await mkdtemp(join(tmpdir(), "adafm-profile-"))
    try {
      const peak_gflops = await peak(threads)
      const engine = await Onnx.create({
        profile: join(folder, "trace"),
        ...(provider !== undefined && { provider }),
        ...(threads !== undefined && { threads }),
      })
      const { step, state, inputs } = await Workload.prepare(workload)
      const spec = ({ shape, dtype }: Engine.Arrays[string]): Engine.Spec => ({ shape, dtype })
      const program = await engine.compile(step, { state: Flat.map(state, spec), batch: Flat.map(inputs, spec) })
      program.write(state)
      for (let i = 0; i < warmup + iterations; i++) await program.run(inputs)
      await program.dispose()
      const [file] = await readdir(folder)
      if (file === undefined) return Failure.raise("NoProfile", "ONNX Runtime wrote no trace", { file: folder })
      const trace = z.array(z.unknown()).parse(JSON.parse(await readFile(join(folder, file), "utf8")))
      const events = trace.flatMap((raw) => {
        const parsed = Event.safeParse(raw)
        return parsed.success && parsed.data.cat === "Node" && parsed.data.args.op_name !== undefined
          ? [parsed.data]
          : []
      })
      const rows = rowsOf(events, warmup, iterations)
      const products = rows.filter(({ gflops }) => gflops !== null)
      const sum = (of: readonly Row[], f: (row: Row) => number): number => of.reduce((n, row) => n + f(row), 0)
      const gflop = sum(products, ({ ms, gflops }) => (ms * gflops!) / 1000)
      return {
        variant: workload.variant,
        peak_gflops,
        total_ms: sum(rows, ({ ms }) => ms),
        gflop,
        products: {
          share: sum(products, ({ share }) => share),
          gflops: (1000 * gflop) / sum(products, ({ ms }) => ms),
        },
        rows,
        fallbacks: fallbacksOf(events, provider ?? "cpu"),
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  })
