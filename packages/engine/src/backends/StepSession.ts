/** A step, lowered for one set of input shapes, as a session of ONNX Runtime. */
import { Failure, Flat, NdArray } from "@adafm/core"
import { Graph, Session } from "@adafm/onnx"
import type { Arrays } from "../Engine.ts"
import * as Lower from "../lower/Lower.ts"
import * as Schedule from "../lower/Schedule.ts"
import * as StepLoop from "../lower/StepLoop.ts"

type Tensors = Readonly<Record<string, Session.Tensor>>

export interface StepSession {
  /** State that the step reads or writes, by path. */
  readonly ports: Readonly<Record<string, Lower.Port>>
  /** Paths whose old value the step still reads after it has computed the new one: the new value needs separate memory. */
  readonly doubled: ReadonlySet<string>
  /**
   * @param state the state that the step reads, in the graph's layout
   * @param next where the new values are written: separate memory for doubled paths, the memory of the old value for the others.
   *   Omitted for resident state: the device allocates its new values.
   */
  readonly run: (state: Tensors, batch: Arrays, next?: Tensors) => Promise<{ stats: Arrays; state: Tensors }>
  /** One step for each batch, in one call of ONNX Runtime; the last state is written over the first. */
  readonly runAll: (state: Tensors, batches: readonly Arrays[]) => Promise<readonly Arrays[]>
  readonly release: () => Promise<void>
}

/** Messages of ONNX Runtime and V8 when memory runs out. */
const outOfMemory = /bad_alloc|[Ff]ailed to allocate memory|Array buffer allocation failed/

const translated = (thrown: unknown): never => {
  if (thrown instanceof Error && outOfMemory.test(thrown.message))
    throw new Failure.Raised(
      Failure.make("OutOfMemory", `memory ran out during a step; use a smaller batch (${thrown.message})`),
    )
  throw thrown
}

const stacked = (batches: readonly Arrays[], path: string): Arrays[string] =>
  NdArray.stack(batches.map((batch) => batch[path]!))

/** @param resident whether the new state stays in the device's memory */
export const load = async (
  lowered: Lower.Lowered,
  options: Session.Options,
  resident: boolean,
): Promise<StepSession> => {
  const { stateIn, stateOut, batch: inputs, stats } = lowered
  const graph = Schedule.shallowestFirst(Schedule.withoutCopies(lowered.graph))
  const open = (g: typeof graph, kept: readonly string[] = []): Promise<Session.Session> =>
    Session.create(Graph.encode(g, { domains: Lower.domains }), { ...options, resident: kept })
  const session = await open(graph, resident ? Object.values(stateOut).map(({ name }) => name) : [])
  const mayOverwrite = Schedule.overwrites(graph)
  const doubled = Object.entries(stateOut).flatMap(([path, { name }]) => {
    const old = stateIn[path]
    return old !== undefined && !mayOverwrite(old.name, name) ? [path] : []
  })
  /** Opened on first use; one graph serves any number of steps. */
  let looping: Promise<Session.Session> | undefined
  return {
    ports: { ...stateOut, ...stateIn },
    doubled: new Set(doubled),
    run: async (state, batch, next) => {
      const feeds: Record<string, Session.Tensor> = {}
      for (const [path, { name }] of Object.entries(stateIn)) feeds[name] = state[path]!
      for (const [path, { name }] of Object.entries(inputs)) feeds[name] = Session.tensorOf(batch[path]!)
      const fetches: Record<string, Session.Tensor | null> = {}
      for (const [path, { name }] of Object.entries(stateOut)) fetches[name] = next?.[path] ?? null
      for (const { name } of Object.values(stats)) fetches[name] = null
      const results = await session.runTensors(feeds, fetches).catch(translated)
      return {
        stats: Flat.map(stats, ({ name, dtype, shape }) =>
          NdArray.make(dtype, shape, results[name]!.data as Float32Array),
        ),
        state: Object.fromEntries(Object.entries(stateOut).map(([path, { name }]) => [path, results[name]!])),
      }
    },
    runAll: async (state, batches) => {
      looping ??= open(Schedule.withoutCopies(StepLoop.graph(lowered, graph)))
      const { names } = StepLoop
      const steps = { dtype: "int64", shape: [], data: BigInt64Array.of(BigInt(batches.length)) } as const
      const feeds: Record<string, Session.Tensor> = { [names.steps]: Session.tensorOf(steps) }
      const fetches: Record<string, Session.Tensor | null> = {}
      for (const path of Object.keys(inputs)) feeds[names.stack(path)] = Session.tensorOf(stacked(batches, path))
      for (const [path, { name }] of Object.entries(stateIn)) if (!(path in stateOut)) feeds[name] = state[path]!
      for (const path of Object.keys(stateOut)) {
        feeds[names.first(path)] = state[path]!
        fetches[names.final(path)] = state[path]!
      }
      for (const path of Object.keys(stats)) fetches[names.stats(path)] = null
      const results = await (await looping).runTensors(feeds, fetches).catch(translated)
      return batches.map((_, step) =>
        Flat.map(stats, ({ dtype, shape }, path) => {
          const size = NdArray.sizeOf(shape)
          const all = results[names.stats(path)]!.data as Float32Array
          return NdArray.make(dtype, shape, all.slice(step * size, (step + 1) * size))
        }),
      )
    },
    release: async () => {
      await session.release()
      await (await looping)?.release()
    },
  }
}
