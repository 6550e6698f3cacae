/** The compiled engine: a step becomes one ONNX graph, which ONNX Runtime runs. The state stays in the layout of the graph. */
import { Failure, Flat, Host, NdArray } from "@adafm/core"
import { Graph, Session } from "@adafm/onnx"
import type { Arrays, Engine, Program, Spec, Specs, Step } from "../Engine.ts"
import * as Context from "../lower/Context.ts"
import * as Layout from "../lower/Layout.ts"
import * as Lower from "../lower/Lower.ts"
import * as Ir from "../trace/Ir.ts"
import * as MemoryEstimate from "../trace/MemoryEstimate.ts"
import * as Rewrite from "../trace/Rewrite.ts"
import * as Trace from "../trace/Trace.ts"
import * as DeviceMemory from "./DeviceMemory.ts"
import * as StepSession from "./StepSession.ts"

export interface Options extends Session.Options {
  /** `false` uses plain ONNX operators on NCHW on the CPU provider too. */
  readonly blocked?: boolean
}

/**
 * Channels in a block of ONNX Runtime's CPU operators: 16 with AVX-512, 8 with AVX2; `undefined` if there are no blocked operators.
 * Found by reordering the numbers 0, 1, 2, … and looking where the 1 ends up.
 */
export const blockSize = async (): Promise<number | undefined> => {
  const g = Graph.builder()
  const x = g.input("x", "float32", [1, 16, 2, 1])
  g.output("y", g.op("ReorderInput", [x], { channels_last: 0 }, { domain: Context.BLOCKED }), "float32", [1, 16, 2, 1])
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

const cpuTarget = async ({ blocked = true }: Options): Promise<Context.Target> => ({
  block: blocked ? await blockSize() : undefined,
  contrib: true,
})

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`

/** Refuses a step that does not fit into memory, before the operating system kills the process. */
const checkMemory = ({ state, working }: MemoryEstimate.MemoryEstimate, batch: Flat.Flat<Spec>): void => {
  const available = Host.freeMemory() ?? Number.POSITIVE_INFINITY
  if (state + working <= available) return
  const rows = Math.max(1, ...Object.values(batch).map(({ shape }) => shape[0] ?? 1))
  const fitting = Math.floor((rows * (available - state)) / working)
  const advice =
    fitting > 0 ? `a batch of ${fitting} would fit` : "no batch would fit: the network is too large for this machine"
  Failure.raise(
    "OutOfMemory",
    `the step needs about ${gigabytes(state + working)} (${gigabytes(state)} of state, ${gigabytes(working)} for a batch of ${rows}) ` +
      `but only ${gigabytes(available)} are free; ${advice}`,
  )
}

const shapesOf = (batch: Flat.Flat<Spec>): string =>
  JSON.stringify(Object.entries(batch).map(([path, { shape, dtype }]) => [path, shape, dtype]))

/** A step with its state. A graph is built once for each set of batch shapes. */
const open = async (
  step: Step,
  specs: Specs,
  target: Context.Target,
  options: Session.Options & { readonly provider: string },
): Promise<Program> => {
  const resident = Session.keepsOutputs(options.provider)
  const device = DeviceMemory.open(options.provider)
  const graphs = new Map<string, Promise<StepSession.StepSession>>()
  const make = async (batch: Flat.Flat<Spec>): Promise<StepSession.StepSession> => {
    const traced = Rewrite.program(Trace.step(step, { state: specs.state, batch }))
    checkMemory(MemoryEstimate.of(traced), batch)
    return StepSession.load(Lower.program(traced, target), options, resident)
  }
  const graphFor = (batch: Flat.Flat<Spec>): Promise<StepSession.StepSession> => {
    const key = shapesOf(batch)
    const known = graphs.get(key)
    if (known !== undefined) return known
    const made = make(batch)
    graphs.set(key, made)
    made.catch(() => graphs.delete(key))
    return made
  }
  const { ports } = await graphFor(specs.batch)
  const block = target.block ?? 1
  /** State in the layout of the graphs; and state that the step does not read, as it was written. */
  let state: Readonly<Record<string, Session.Tensor>> = {}
  const idle: Record<string, Arrays[string]> = {}
  /** Memory for the new values of doubled state: it held the values of the step before last. */
  let spare: Readonly<Record<string, Session.Tensor>> = {}

  const portOf = (path: string, { shape }: Spec): Lower.Port | undefined => {
    const declared = specs.state[path]
    if (declared === undefined) throw new Error(`the program has no state ${path}`)
    if (!Ir.sameShape(shape, declared.shape))
      throw new Error(`state ${path} must have shape [${declared.shape.join(", ")}], but has [${shape.join(", ")}]`)
    return ports[path]
  }
  /** The graph for a batch; throws if state or inputs are missing. */
  const graphOf = async (batch: Arrays): Promise<StepSession.StepSession> => {
    const missing = Object.keys(ports).find((path) => state[path] === undefined)
    if (missing !== undefined) throw new Error(`state ${missing} is missing: write it before the first run`)
    const lacking = Object.keys(specs.batch).find((path) => batch[path] === undefined)
    if (lacking !== undefined) throw new Error(`the batch has no ${lacking}`)
    return graphFor(Flat.map(specs.batch, ({ dtype }, path) => ({ dtype, shape: batch[path]!.shape })))
  }
  const runResident = async (batch: Arrays): Promise<Arrays> => {
    const graph = await graphOf(batch)
    state = await device.upload(state)
    const { stats, state: next } = await graph.run(state, batch)
    DeviceMemory.free(Object.keys(next).map((path) => state[path]!))
    state = { ...state, ...next }
    return stats
  }
  return {
    write: (arrays) => {
      const written: Record<string, Session.Tensor> = {}
      for (const [path, array] of Object.entries(arrays)) {
        const port = portOf(path, array)
        if (port === undefined) idle[path] = array
        else {
          const packed = Layout.pack(array, port.layout, block)
          written[path] = Session.tensorOf(
            packed === array ? NdArray.make(array.dtype, array.shape, array.data.slice()) : packed,
          )
        }
      }
      DeviceMemory.free(Object.keys(written).flatMap((path) => state[path] ?? []))
      state = { ...state, ...written }
    },
    read: async (paths = Object.keys(specs.state)) => {
      const asked = Object.fromEntries(Object.entries(state).filter(([path]) => paths.includes(path)))
      const here = await device.download(asked)
      return Flat.fromEntries(
        paths.map((path) => {
          const [port, held] = [ports[path], here[path] ?? idle[path]]
          if (held === undefined) throw new Error(`state ${path} was not written yet`)
          if (port === undefined) return [path, idle[path]!] as const
          const data = NdArray.make(port.dtype, here[path]!.dims, (held.data as Float32Array).slice())
          return [path, Layout.unpack(data, port.layout, port.shape, block)] as const
        }),
      )
    },
    run: async (batch) => {
      if (resident) return runResident(batch)
      const graph = await graphOf(batch)
      const own = Object.fromEntries(
        [...graph.doubled].map((path) => [
          path,
          spare[path] ?? Session.tensorOf(NdArray.zeros(ports[path]!.dtype, state[path]!.dims)),
        ]),
      )
      const { stats } = await graph.run(state, batch, { ...state, ...own })
      spare = { ...spare, ...Object.fromEntries(Object.keys(own).map((path) => [path, state[path]!])) }
      state = { ...state, ...own }
      return stats
    },
    runAll: async (batches) => {
      if (resident) {
        const stats: Arrays[] = []
        for (const batch of batches) stats.push(await runResident(batch))
        return stats
      }
      const found = await Promise.all(batches.map(graphOf))
      const [graph] = found
      if (graph === undefined) return []
      if (found.some((other) => other !== graph))
        throw new Error("the batches of one call of runAll must have the same shapes")
      return graph.runAll(state, batches)
    },
    dispose: async () => {
      DeviceMemory.free(Object.values(state))
      for (const graph of graphs.values()) await (await graph).release()
      await device.release()
    },
  }
}

export const create = async (options: Options = {}): Promise<Engine> => {
  const provider = options.provider ?? "cpu"
  const target = provider === "cpu" ? await cpuTarget(options) : { block: undefined, contrib: false }
  return {
    name: "onnx",
    provider,
    threads: options.threads ?? Session.defaultThreads,
    compile: (step, specs) => open(step, specs, target, { arena: false, ...options, provider }),
  }
}
