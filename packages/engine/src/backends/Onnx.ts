/** The compiled engine: a step becomes one ONNX graph, run by ONNX Runtime. The state stays in the layout of the graph. */
import { Flat, NdArray } from "@adafm/core"
import { Graph, Session } from "@adafm/onnx"
import type { Arrays, Engine, Program } from "../Engine.ts"
import type { Target } from "../lower/Context.ts"
import { BLOCKED } from "../lower/Context.ts"
import * as Layout from "../lower/Layout.ts"
import * as Lower from "../lower/Lower.ts"
import * as Schedule from "../lower/schedule.ts"
import { rewrite } from "../trace/rewrite.ts"
import { trace } from "../trace/Trace.ts"

export interface Options extends Session.Options {
  /** `false` keeps to plain ONNX operators on NCHW also on the CPU provider. */
  readonly blocked?: boolean
}

/**
 * Channels in a block of ONNX Runtime's CPU operators: 16 with AVX-512, 8 with AVX2. Found by reordering the numbers 0, 1, 2, … and
 * looking where the second one lands; `undefined` where the operators are missing.
 */
export const blockSize = async (): Promise<number | undefined> => {
  const g = Graph.builder()
  const x = g.input("x", "float32", [1, 16, 2, 1])
  g.output("y", g.op("ReorderInput", [x], { channels_last: 0 }, { domain: BLOCKED }), "float32", [1, 16, 2, 1])
  try {
    const session = await Session.create(Graph.encode(g.graph(), { domains: Lower.domains }), { threads: 1 })
    const { y } = await session.run({
      x: { dtype: "float32", shape: [1, 16, 2, 1], data: Float32Array.from({ length: 32 }, (_, i) => i) },
    })
    await session.release()
    const block = (y!.data as Float32Array).indexOf(1)
    return block === 8 || block === 16 ? block : undefined
  } catch {
    return undefined
  }
}

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i])

const cpuTarget = async ({ blocked = true }: Options): Promise<Target> => ({
  block: blocked ? await blockSize() : undefined,
  contrib: true,
})

const instantiate = async (
  lowered: Lower.Lowered,
  specs: { readonly state: Flat.Flat<unknown> },
  options: Session.Options,
): Promise<Program> => {
  const graph = Schedule.shallowestFirst(Schedule.withoutCopies(lowered.graph))
  const session = await Session.create(Graph.encode(graph, { domains: Lower.domains }), options)
  const block = lowered.block ?? 1
  const ports = Object.entries(lowered.stateIn)
  const next = Object.entries(lowered.stateOut)
  const mayOverwrite = Schedule.overwrites(graph)
  /** Paths whose old value the graph still reads after the new one is there. */
  const doubled = new Set(
    next.flatMap(([path, { name }]) => {
      const old = lowered.stateIn[path]
      return old !== undefined && !mayOverwrite(old.name, name) ? [path] : []
    }),
  )
  /** State inside the graph's layout, and state that the graph never reads as it was written. */
  let state: Record<string, Session.Tensor> = {}
  const idle: Record<string, Arrays[string]> = {}
  /** Where the new values of doubled state go. */
  let spare: Record<string, Session.Tensor> = {}

  const write: Program["write"] = (arrays) => {
    for (const [path, array] of Object.entries(arrays)) {
      if (!(path in specs.state)) throw new Error(`the program has no state ${path}`)
      const port = lowered.stateIn[path] ?? lowered.stateOut[path]
      if (port === undefined) idle[path] = array
      else if (!sameShape(array.shape, port.shape))
        throw new Error(`state ${path} has shape [${port.shape.join(", ")}], not [${array.shape.join(", ")}]`)
      else {
        const packed = Layout.pack(array, port.layout, block)
        state[path] = Session.tensorOf(
          packed === array ? NdArray.make(array.dtype, array.shape, array.data.slice()) : packed,
        )
        if (doubled.has(path)) spare[path] ??= Session.tensorOf(NdArray.zeros(packed.dtype, packed.shape))
      }
    }
  }
  const read: Program["read"] = async (paths = Object.keys(specs.state)) =>
    Flat.fromEntries(
      paths.map((path) => {
        const port = lowered.stateIn[path] ?? lowered.stateOut[path]
        const held = state[path]
        if (port === undefined || held === undefined) {
          const array = idle[path]
          if (array === undefined) throw new Error(`state ${path} was never written`)
          return [path, array] as const
        }
        const data = NdArray.make(port.dtype, held.dims, (held.data as Float32Array).slice())
        return [path, Layout.unpack(data, port.layout, port.shape, block)] as const
      }),
    )
  const run: Program["run"] = async (batch) => {
    const feeds: Record<string, Session.Tensor> = {}
    for (const [path, port] of ports) {
      const held = state[path]
      if (held === undefined) throw new Error(`state ${path} was never written`)
      feeds[port.name] = held
    }
    for (const [path, port] of Object.entries(lowered.batch)) {
      const array = batch[path]
      if (array === undefined) throw new Error(`the batch lacks ${path}`)
      if (!sameShape(array.shape, port.shape))
        throw new Error(`batch ${path} has shape [${port.shape.join(", ")}], not [${array.shape.join(", ")}]`)
      feeds[port.name] = Session.tensorOf(array)
    }
    // new state goes over the old, or into the memory of the step before last
    const fetches: Record<string, Session.Tensor | null> = {}
    for (const [path, port] of next) fetches[port.name] = spare[path] ?? state[path]!
    for (const port of Object.values(lowered.stats)) fetches[port.name] = null
    const results = await session.runTensors(feeds, fetches)
    const old = Object.fromEntries(Object.keys(spare).map((path) => [path, state[path]!]))
    state = { ...state, ...spare }
    spare = old
    return Flat.fromEntries(
      Object.entries(lowered.stats).map(([path, port]) => {
        const { data } = results[port.name]!
        return [path, NdArray.make(port.dtype, port.shape, data as Float32Array)] as const
      }),
    )
  }
  return { write, read, run, dispose: () => session.release() }
}

export const create = async (options: Options = {}): Promise<Engine> => {
  const provider = options.provider ?? "cpu"
  const target = provider === "cpu" ? await cpuTarget(options) : { block: undefined, contrib: false }
  return {
    name: "onnx",
    provider,
    compile: async (step, specs) =>
      instantiate(Lower.lower(rewrite(trace(step, specs)), target), specs, { arena: false, ...options, provider }),
  }
}
