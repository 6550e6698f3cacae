/** A step lowered for one set of input shapes and loaded into ONNX Runtime. */
import { Failure, NdArray } from "@adafm/core"
import { Graph, Session } from "@adafm/onnx"
import type { Arrays } from "../Engine.ts"
import * as Lower from "../lower/Lower.ts"
import * as Schedule from "../lower/schedule.ts"

type Tensors = Readonly<Record<string, Session.Tensor>>

export interface Loaded {
  /** State that the step reads or writes, by path. */
  readonly ports: Readonly<Record<string, Lower.Port>>
  /** Paths whose old value the step still reads when the new one is there: their new value needs memory of its own. */
  readonly doubled: ReadonlySet<string>
  /**
   * @param state what the step reads, in the graph's layout
   * @param next where the new values go: memory of their own for what is doubled, else the old values'
   */
  readonly run: (state: Tensors, batch: Arrays, next: Tensors) => Promise<Arrays>
  readonly release: () => Promise<void>
}

/** What ONNX Runtime and V8 say when memory is out. */
const outOfMemory = /bad_alloc|[Ff]ailed to allocate memory|Array buffer allocation failed/

const translated = (thrown: unknown): unknown =>
  thrown instanceof Error && outOfMemory.test(thrown.message)
    ? new Failure.Raised(
        Failure.make("OutOfMemory", `memory ran out inside a step; a smaller batch needs less (${thrown.message})`),
      )
    : thrown

export const load = async (lowered: Lower.Lowered, options: Session.Options): Promise<Loaded> => {
  const { stateIn, stateOut, batch: inputs, stats } = lowered
  const graph = Schedule.shallowestFirst(Schedule.withoutCopies(lowered.graph))
  const session = await Session.create(Graph.encode(graph, { domains: Lower.domains }), options)
  const mayOverwrite = Schedule.overwrites(graph)
  const doubled = Object.entries(stateOut).flatMap(([path, { name }]) => {
    const old = stateIn[path]
    return old !== undefined && !mayOverwrite(old.name, name) ? [path] : []
  })
  return {
    ports: { ...stateOut, ...stateIn },
    doubled: new Set(doubled),
    run: async (state, batch, next) => {
      const feeds: Record<string, Session.Tensor> = {}
      for (const [path, { name }] of Object.entries(stateIn)) feeds[name] = state[path]!
      for (const [path, { name }] of Object.entries(inputs)) feeds[name] = Session.tensorOf(batch[path]!)
      const fetches: Record<string, Session.Tensor | null> = {}
      for (const [path, { name }] of Object.entries(stateOut)) fetches[name] = next[path]!
      for (const { name } of Object.values(stats)) fetches[name] = null
      const results = await session.runTensors(feeds, fetches).catch((thrown: unknown) => {
        throw translated(thrown)
      })
      return Object.fromEntries(
        Object.entries(stats).map(([path, { name, dtype, shape }]) => [
          path,
          NdArray.make(dtype, shape, results[name]!.data as Float32Array),
        ]),
      )
    },
    release: () => session.release(),
  }
}
